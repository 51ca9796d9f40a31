import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkout } from "../../sandbox/layout";
import type { PulumiRun } from "../../sandbox/pulumi-cli";
import type { Stage } from "./stage";

/** A section of docs/day-two.md. */
export interface Section {
    heading: string;
    /** Whether it is a part of the one before. */
    isPart: boolean;
    /** What stands in its boxes marked `bash`, in order. */
    commands: string[];
}

/** Each heading with what stands until the next one. */
export function runbookSections(): Section[] {
    const page = readFileSync(join(checkout, "docs/day-two.md"), "utf8");
    const [, ...parts] = page.split(/^(#{2,3}) (.+)\n/m);
    return Array.from({ length: parts.length / 3 }, (_, i) => {
        const [marks, heading, text] = parts.slice(3 * i, 3 * i + 3);
        const commands = [...text.matchAll(/^```bash\n([\s\S]*?)^```$/gm)].map(([, lines]) => lines);
        return { heading, isPart: marks === "###", commands };
    });
}

/** What runs a section: a stage, or a shell alone. */
type Shell = Pick<Stage, "shell">;

/**
 * Does what a section says, line by line as a person would, up to the first that fails.
 * @param named what the section leaves to be named, such as `APP_ID`
 */
export function followRunbook(shell: Shell, heading: string, named: Record<string, string> = {}): Promise<PulumiRun> {
    return shell.shell(commandsOf(heading), named);
}

/** The same without the `pulumi up` that ends it, which is the test's to run. */
export async function prepareByRunbook(shell: Shell, heading: string): Promise<void> {
    const before = /^([\s\S]+\n)pulumi up\n$/.exec(commandsOf(heading));
    if (!before) throw new Error(`"${heading}" does not end with pulumi up`);
    const { code, stdout, stderr } = await shell.shell(before[1]);
    if (code !== 0) throw new Error(stdout + stderr);
}

function commandsOf(heading: string): string {
    const commands = runbookSections().find((one) => one.heading === heading)?.commands ?? [];
    if (commands.length === 0) throw new Error(`docs/day-two.md has no commands for "${heading}"`);
    return commands.join("\n");
}
