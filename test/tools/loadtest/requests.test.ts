import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadConfig } from "../../../tools/loadtest/config";
import { draw, parseDistribution } from "../../../tools/loadtest/distribution";
import { randomOf } from "../../../tools/random";
import { RequestSource } from "../../../tools/loadtest/requests";
import { parseTrace } from "../../../tools/loadtest/trace";
import { drawPrompt } from "../../../tools/loadtest/workload";

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "requests-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sourceOf = (given: Parameters<typeof loadConfig>[0]) => new RequestSource(loadConfig(given));
const textOf = (source: RequestSource, index: number): string =>
    source.conversation(0, index)[0].messages[0].content as string;

describe("distributions", () => {
    it.each<[string, number, number]>([
        ["100", 100, 0],
        ["uniform:50:150", 100, 29],
        ["normal:100:10", 100, 10],
        ["lognormal:100:50", 100, 50],
        ["exponential:100", 100, 100],
    ])("%s has its mean and deviation", (text, mean, deviation) => {
        const random = randomOf("test");
        const values = Array.from({ length: 20_000 }, () => draw(parseDistribution(text)!, random, 0));
        const found = values.reduce((sum, value) => sum + value, 0) / values.length;
        const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - found) ** 2, 0) / values.length);
        expect(Math.abs(found - mean)).toBeLessThanOrEqual(0.03 * mean);
        expect(Math.abs(spread - deviation)).toBeLessThanOrEqual(0.08 * deviation + 0.5);
    });
});

describe("what is asked", () => {
    it("is the guide's pool by default", () => {
        expect(textOf(sourceOf({}), 7)).toBe(drawPrompt(1, 0, 7).text);
    });

    it("is of the asked length, with the asked share in common", () => {
        const source = sourceOf({ inputTokens: 200, prefixShare: 0.75 });
        const [one, other] = [textOf(source, 0).split(" "), textOf(source, 1).split(" ")];
        expect([one.length, other.length]).toEqual([200, 200]);
        expect(one.slice(0, 150)).toEqual(other.slice(0, 150));
        expect(one.slice(150)).not.toEqual(other.slice(150));
    });

    it("follows from the seed alone", () => {
        const given = { inputTokens: "lognormal:100:50", maxTokens: "uniform:10:900", turns: "uniform:1:4", images: 1 };
        const all = (seed: number) => [0, 1, 2].map((i) => sourceOf({ ...given, seed }).conversation(3, i));
        expect(all(1)).toEqual(all(1));
        expect(all(1)).not.toEqual(all(2));
    });

    it("holds images that are PNGs of the asked size", () => {
        const [{ messages }] = sourceOf({ images: 2, imageSize: "40x24" }).conversation(0, 0);
        const parts = messages[0].content as { type: string; image_url?: { url: string } }[];
        expect(parts.map(({ type }) => type)).toEqual(["text", "image_url", "image_url"]);
        const png = Buffer.from(parts[1].image_url!.url.replace("data:image/png;base64,", ""), "base64");
        expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([40, 24]);
        const data = png.indexOf("IDAT");
        expect(inflateSync(png.subarray(data + 4, data + 4 + png.readUInt32BE(data - 4)))).toHaveLength(41 * 24);
        expect(parts[1]).not.toEqual(parts[2]);
    });

    it("comes from a dataset's lines; one that is none is named", () => {
        const file = join(folder, "data.jsonl");
        const system = { role: "system", content: "be short" };
        writeFileSync(
            file,
            `${JSON.stringify({ messages: [system, { role: "user", content: "a" }], max_tokens: 5 })}\n{"prompt": "b"}\n`,
        );
        const source = sourceOf({ dataset: file, turns: 2 });
        const conversations = Array.from({ length: 40 }, (_, i) => source.conversation(0, i));
        expect(new Set(conversations.map(([first]) => first.maxTokens))).toEqual(new Set([5, 768]));
        // What the model is to be comes first, once.
        expect(conversations.every(([, second]) => second.messages.length === 1)).toBe(true);
        writeFileSync(file, '{"prompt": "b"}\n{"messages": []}\n');
        expect(() => sourceOf({ dataset: file })).toThrow(/data\.jsonl: line 2 is neither/);
        writeFileSync(file, "\n");
        expect(() => sourceOf({ dataset: file })).toThrow(/is empty/);
    });
});

describe("a trace", () => {
    it.each([
        [
            "Azure's",
            "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0319600,3180,8\n",
            0.052,
        ],
        [
            "BurstGPT's",
            "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,4808,10,4818,Conversation log\n" +
                "5.5,ChatGPT,7,0,7,Conversation log\n6,GPT-4,3180,8,3188,API log\n",
            1,
        ],
        [
            "Mooncake's",
            '{"timestamp": 27482, "input_length": 4808, "output_length": 10, "hash_ids": [0, 1]}\n' +
                '{"timestamp": 30535, "input_length": 3180, "output_length": 8, "hash_ids": [0, 2]}\n',
            3.053,
        ],
    ])("%s is read", (_, text, second) => {
        const requests = parseTrace(text, "t");
        expect(requests.map(({ inputTokens, outputTokens }) => [inputTokens, outputTokens])).toEqual([
            [4808, 10],
            [3180, 8],
        ]);
        expect(requests[0].t).toBe(0);
        expect(requests[1].t).toBeCloseTo(second, 6);
    });

    it("of blocks asks with the same text where they are the same", () => {
        const trace = parseTrace(
            '{"timestamp": 0, "input_length": 900, "output_length": 10, "hash_ids": [0, 1]}\n' +
                '{"timestamp": 1, "input_length": 1000, "output_length": 8, "hash_ids": [0, 2]}\n',
            "t",
        );
        const source = new RequestSource(loadConfig({}), trace);
        const [one, other] = [textOf(source, 0).split(" "), textOf(source, 1).split(" ")];
        expect([one.length, other.length]).toEqual([900, 1000]);
        expect(one.slice(0, 512)).toEqual(other.slice(0, 512));
        expect(one.slice(512)).not.toEqual(other.slice(512, 900));
        expect(source.conversation(0, 1)[0].maxTokens).toBe(8);
    });

    it.each([
        ["a,b,c\n1,2,3\n", /its columns are none of/],
        ["TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,1,2\n", /line 2 is no request: yesterday/],
        ['{"timestamp": 1}\n', /line 1 is no request/],
        ["TIMESTAMP,ContextTokens,GeneratedTokens\n", /has no request/],
    ])("that cannot be read is refused in words: %j", (text, message) => {
        expect(() => parseTrace(text, "--trace t.csv")).toThrow(message);
    });
});
