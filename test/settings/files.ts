import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

const root = join(__dirname, "../..");
const project = "ovhcloud-llm-serving:";

/** A key as Pulumi.yaml declares it. */
interface Declaration {
    type: string;
    description: string;
    default: Record<string, unknown>;
}

export function readProjectFile(): { config: Record<string, Declaration> } {
    return parse(readFileSync(join(root, "Pulumi.yaml"), "utf8")) as { config: Record<string, Declaration> };
}

interface StackFile {
    config: Record<string, unknown>;
    /** Keys with an encrypted value. */
    secrets: string[];
    salt?: string;
}

/** The committed stack files, by stack. Stacks that a person adds to the checkout are theirs. */
export function stackFiles(): Record<string, StackFile> {
    const committed = ["dev", "prod", "sandbox"];
    const present = readdirSync(root).filter((name) => /^Pulumi\..+\.yaml$/.test(name));
    const files = committed.map((stack): [string, StackFile] => {
        if (!present.includes(`Pulumi.${stack}.yaml`)) throw new Error(`Pulumi.${stack}.yaml is missing`);
        const file = parse(readFileSync(join(root, `Pulumi.${stack}.yaml`), "utf8")) as {
            config: Record<string, unknown>;
            encryptionsalt?: string;
        };
        const config = Object.entries(file.config).map(([key, value]) => [key.slice(project.length), value]);
        const secrets = config
            .filter(([, value]) => typeof value === "object" && value !== null && "secure" in value)
            .map(([key]) => key as string);
        return [
            stack,
            { config: Object.fromEntries(config) as Record<string, unknown>, secrets, salt: file.encryptionsalt },
        ];
    });
    return Object.fromEntries(files);
}
