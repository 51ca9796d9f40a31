import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { mendCheckpoint } from "../../../sandbox/commands/checkpoint";
import { layoutOf } from "../../../sandbox/layout";

/** What the file of a stack holds after mending, when these files were left. */
function mended(now?: string, before?: string): string | undefined {
    const layout = layoutOf(mkdtempSync(join(tmpdir(), "checkpoint-")));
    const folder = join(layout.pulumiState, ".pulumi/stacks/llm");
    mkdirSync(folder, { recursive: true });
    if (now !== undefined) writeFileSync(join(folder, "test.json"), now);
    if (before !== undefined) writeFileSync(join(folder, "test.json.bak"), before);
    mendCheckpoint(layout, "llm", "test", () => undefined);
    return now === undefined ? undefined : readFileSync(join(folder, "test.json"), "utf8");
}

it.each([
    ["whole", '{"new": 1}', '{"old": 1}', '{"new": 1}'],
    ["cut off", '{"new": ', '{"old": 1}', '{"old": 1}'],
    ["empty", "", '{"old": 1}', '{"old": 1}'],
    ["not there", undefined, undefined, undefined],
])("a state that is %s", (_, now, before, after) => {
    expect(mended(now, before)).toBe(after);
});

it.each([[undefined], [""], ['{"old"']])("with nothing whole to go back to (%j) says what begins anew", (before) => {
    expect(() => mended('{"new": ', before)).toThrow(
        /test\.json was cut off, .* "npm run sandbox -- reset" begins anew$/,
    );
});
