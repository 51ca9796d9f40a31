import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readStackFile } from "../../src/settings/stack-file";

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "stack-file-test-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = (text: string): Record<string, unknown> | undefined => {
    writeFileSync(join(folder, "Pulumi.test.yaml"), text);
    return readStackFile(folder, "llm", "test");
};

it("gives the project's keys as they lie there", () => {
    const text =
        "config:\n  llm:alerting:\n    receivers:\n      a:\n        url:\n          secure: v1:x\n  ovh:endpoint: ovh-eu\n";
    expect(read(text)).toEqual({
        alerting: { receivers: { a: { url: { secure: "v1:x" } } } },
        "ovh:endpoint": "ovh-eu",
    });
});

it.each(["", "config:\n", "encryptionsalt: v1:x\n", "# nothing\n"])("%j holds none", (text) => {
    expect(read(text)).toEqual({});
});

it("is undefined where there is no such file", () => {
    expect(readStackFile(folder, "llm", "other")).toBeUndefined();
});

it.each(["config: [", "config:\n  a: 1\n  a: 2\n", "config:\n  llm:alerting: 'x\n"])(
    "%j is told, not passed over",
    (text) => {
        expect(() => read(text)).toThrow(/^Pulumi\.test\.yaml: .* at line \d/s);
    },
);
