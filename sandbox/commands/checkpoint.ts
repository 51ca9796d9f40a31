import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { readJson } from "../files";
import type { Layout } from "../layout";
import type { Say } from "./phases";
import { UserError } from "./user-error";

/**
 * Mends the state of a stack that a full disk has cut off in mid-write, with the one before, which Pulumi keeps: what was
 * made after it, the next `up` finds and takes up. Throws a UserError when neither is whole.
 */
export function mendCheckpoint({ pulumiState }: Layout, project: string, stack: string, say: Say): void {
    const file = join(pulumiState, ".pulumi/stacks", project, `${stack}.json`);
    const isBroken = (path: string): boolean => existsSync(path) && readJson(path) === undefined;
    if (!isBroken(file)) return;
    const before = `${file}.bak`;
    if (!existsSync(before) || isBroken(before)) {
        throw new UserError(`${file} was cut off, and so was the state before: "npm run sandbox -- reset" begins anew`);
    }
    say("the state of the stack was cut off, as a full disk does: the one before it is taken");
    copyFileSync(before, file);
}
