import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { figures } from "../../tools/chat/chat";

/** What docs/proof.md shows of each tool is what the tool prints today. */

const root = join(__dirname, "../..");
const page = readFileSync(join(root, "docs/proof.md"), "utf8");

/** The lines that the page shows below a command. */
function shown(tool: string): string[] {
    const [, block] = new RegExp("^```text\\n\\$ npm run " + tool + "\\b.*\\n([\\s\\S]*?)^```", "m").exec(page)!;
    return block.trimEnd().split("\n");
}

/** All that a tool's sources hold. */
function sources(folder: string): string {
    const files = readdirSync(join(root, folder)).filter((name) => name.endsWith(".ts"));
    return files.map((name) => readFileSync(join(root, folder, name), "utf8")).join("\n");
}

describe("the transcripts in docs/proof.md", () => {
    it("verify: each promise is one of the program's", () => {
        const text = sources("tools/verify");
        const promises = shown("verify").flatMap((line) => /^ {2}[✓✗!?] (.*?) — /.exec(line)?.[1] ?? []);
        expect(promises.length).toBeGreaterThan(10);
        const written = (promise: string): string =>
            promise.replace(/^ministral:/, "name}:").replace(/ client token can/, " ${purpose} token can");
        expect(promises.filter((promise) => !text.includes(written(promise)))).toEqual([]);
    });

    it.each(["find-target", "prove-scaling"])("%s: its lines are the program's, but for the numbers", (tool) => {
        // Within a template, and what a template is made of.
        const text = sources(`tools/${tool}`) + sources(`tools/${tool}`).replace(/\$\{[^}]*\}+%?/g, "#");
        const figures =
            / {2,}|█+|[\d.]+ ?(?:%|ms)?|measured\.yaml|vllm:\w+|timeToFirstToken|interTokenLatency|ministral|\bmin\b| s\.|[:,] /;
        for (const line of shown(tool).filter((one) => one !== "…")) {
            const words = line.split(figures).map((part) => part.trim());
            for (const part of words.filter((one) => one.length > 3)) expect(text).toContain(part);
        }
    });

    it("chat: the figures have the program's form", () => {
        const line = shown("chat").at(-1)!;
        const [, promptTokens, outputTokens, firstTokenSeconds, rate, seconds] =
            /^(\d+) tokens in, (\d+) out, first token after ([\d.]+) s, ([\d.]+) tokens\/s, ([\d.]+) s in all/
                .exec(line)!
                .map(Number);
        const said = figures({
            text: "",
            promptTokens,
            outputTokens,
            firstTokenSeconds,
            // Of which one place is shown.
            seconds: firstTokenSeconds + (outputTokens - 1) / rate,
            finishReason: "length",
        });
        expect(said).toBe(line);
        expect(seconds).toBeCloseTo(firstTokenSeconds + (outputTokens - 1) / rate, 1);
    });
});
