import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

let isInstalled: (checkout: string) => boolean;
let dir: string;

beforeAll(async () => {
    // Plain JavaScript without types: it runs before anything is installed.
    ({ isInstalled } = (await import(join(__dirname, "../../machine/npm-packages.mjs"))) as {
        isInstalled: (checkout: string) => boolean;
    });
});

beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "checkout tëst-"));
    mkdirSync(join(dir, "node_modules"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const lock = {
    "": { name: "checkout" },
    "node_modules/ours": { link: true, resolved: "packages/ours" },
    "node_modules/zod": { version: "4.0.0", integrity: "sha512-made-up" },
    "node_modules/zod-for-macos": { version: "4.0.0", integrity: "sha512-made-up", optional: true },
};

/** What npm has written down: what is to be installed, and what has been. */
function record(wanted: object, installed?: object): boolean {
    writeFileSync(join(dir, "package-lock.json"), JSON.stringify({ packages: wanted }));
    const file = join(dir, "node_modules/.package-lock.json");
    if (installed) writeFileSync(file, JSON.stringify({ packages: installed }));
    return isInstalled(dir);
}

describe("the npm packages", () => {
    const { "": _checkout, "node_modules/zod-for-macos": _other, ...installed } = lock;

    it("are installed after a plain npm ci, without what other platforms need", () => {
        expect(record(lock, installed)).toBe(true);
    });

    it.each([
        ["never installed", undefined],
        ["without those for development", { ...installed, "node_modules/zod": undefined }],
        ["of another version", { ...installed, "node_modules/zod": { version: "3.0.0", integrity: "sha512-made-up" } }],
        ["of other content", { ...installed, "node_modules/zod": { version: "4.0.0", integrity: "sha512-other" } }],
    ])("are not when they were %s", (_, there) => {
        expect(record(lock, there)).toBe(false);
    });
});
