import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkout } from "../../sandbox/layout";
import type { PulumiRun } from "../../sandbox/pulumi-cli";
import type { Stage } from "./stage";

/** A section of docs/day-two.md. */
export interface Section {
    heading: string;
    /** What stands in its boxes marked `bash`, in order. */
    commands: string[];
}

/** Each heading with what stands until the next one. */
export function runbookSections(): Section[] {
    const page = readFileSync(join(checkout, "docs/day-two.md"), "utf8");
    return page
        .split(/^#{2,3} /m)
        .slice(1)
        .map((text) => ({
            heading: text.slice(0, text.indexOf("\n")),
            commands: [...text.matchAll(/^```bash\n([\s\S]*?)^```$/gm)].map(([, lines]) => lines),
        }));
}

/** Does what a section says, line by line as a person would, up to the first that fails. */
export function followRunbook(stage: Stage, heading: string): Promise<PulumiRun> {
    const section = runbookSections().find((one) => one.heading === heading);
    if (!section || section.commands.length === 0) throw new Error(`docs/day-two.md has no commands for "${heading}"`);
    return stage.shell(section.commands.join("\n"));
}
