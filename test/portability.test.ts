import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";

const files = execFileSync("git", ["ls-files", "-z"], { cwd: join(__dirname, ".."), encoding: "utf8" })
    .split("\0")
    .filter(Boolean);

it("no two files are one where letters have no case, as on macOS", () => {
    const seen = new Map<string, string>();
    const alike = files.filter((file) => {
        const folded = file.normalize("NFC").toLowerCase();
        const twin = seen.get(folded);
        seen.set(folded, file);
        return twin !== undefined;
    });
    expect(files.length).toBeGreaterThan(100);
    expect(alike).toEqual([]);
});

it("every path can be checked out on any file system", () => {
    expect(files.filter((file) => /[<>:"\\|?*\s]|[^\x20-\x7e]|[ .](\/|$)/.test(file) || file.length > 150)).toEqual([]);
});
