import { spawnSync } from "node:child_process";

/**
 * Files that the commits since `base` have changed, made or deleted, as a pull request shows them: from where the two parted. Of a
 * file that was renamed both names.
 * @param folder a checkout
 * @returns paths from its root; undefined where git cannot tell: a commit that was pushed over, no commit at all, a shallow clone
 */
export function changedFiles(folder: string, base: string): string[] | undefined {
    const args = ["diff", "--name-only", "--no-renames", "-z", "--end-of-options", `${base}...HEAD`, "--"];
    const { status, stdout, error } = spawnSync("git", args, {
        cwd: folder,
        encoding: "utf8",
        maxBuffer: 64 * 1024 * 1024,
    });
    if (error) throw new Error(`git could not be run: ${error.message}`);
    return status === 0 ? stdout.split("\0").filter(Boolean) : undefined;
}
