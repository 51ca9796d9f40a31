import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { groups, loadConfig, loadConfigSchema } from "../../../tools/loadtest/config";
import { UsageError } from "../../../tools/loadtest/usage-error";
import { readOptions, settingsOverview, usage } from "../../../tools/loadtest/options";

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "config-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const configOf = (...args: string[]) => {
    const options = readOptions(args);
    if (options.help) throw new Error("help");
    return options.config;
};

describe("the config", () => {
    it("is the reference architecture's load test by default", () => {
        expect(loadConfig({})).toMatchObject({
            workers: [500],
            maxTokens: { kind: "fixed", value: 768 },
            temperature: 0.7,
            ramp: 10,
            timeout: 300,
        });
    });

    it("is the same from flags and from a file, and flags go before the file", () => {
        const file = join(folder, "load.yaml");
        writeFileSync(file, "rate: [5, 10]\nduration: 30\nmaxTokens: lognormal:300:100\nignoreEos: true\n");
        const flags = ["--rate", "5,10", "--duration", "30", "--max-tokens", "lognormal:300:100", "--ignore-eos"];
        expect(configOf("--config", file)).toEqual(configOf(...flags));
        expect(configOf("--config", file, "--duration", "7")).toMatchObject({ duration: 7, rate: [5, 10] });
    });

    it.each([
        [["--max-tokens", "many"], "--max-tokens many: give a whole number up to 1000000, or uniform:LEAST:MOST"],
        [["--max-tokens", "uniform:9:3"], "--max-tokens uniform:9:3: give"],
        [["--rate", "5", "--workers", "5"], "--workers and --rate exclude each other"],
        [["--trace", "a.csv", "--duration", "60"], "--duration and --trace exclude each other"],
        [["--burst", "5"], "--burst is only for --rate"],
        [["--sweep"], "--sweep needs several steps"],
        [["--arrivals", "sometimes"], "--arrivals sometimes: give poisson or constant"],
        [["--workers", "1,x"], "--workers 1,x: give a whole number from 1 to 20000, or up to 50"],
        [["--with-prompts"], "--with-prompts is only for --csv"],
        [["--json", ""], "--json : name a file"],
    ])("%s is refused with what would be right", (args, message) => {
        expect(() => configOf(...args)).toThrow(UsageError);
        expect(() => configOf(...args)).toThrow(message);
    });

    it("names a key of the file as it stands there, and says of all that is wrong", () => {
        const file = join(folder, "wrong.yaml");
        writeFileSync(file, "ramp: soon\nwrokers: 3\nseed: -1\n");
        expect(() => configOf("--config", file)).toThrow(
            new RegExp(
                `wrong.yaml: ramp soon: give a number.*\n.*wrong.yaml: seed -1: give[^]*wrong.yaml: wrokers: no such setting`,
            ),
        );
        writeFileSync(file, "just text");
        expect(() => configOf("--config", file)).toThrow(/write settings in it/);
        expect(() => configOf("--config", join(folder, "none.yaml"))).toThrow(/ENOENT/);
    });
});

it("every setting is in one group, in the usage, and in the docs with its default", () => {
    expect(Object.values(groups).flat().sort()).toEqual(Object.keys(loadConfigSchema.shape).sort());
    const docs = readFileSync(resolve(__dirname, "../../../docs/loadtest.md"), "utf8");
    const words = (text: string): string => text.replace(/\s+/g, " ");
    for (const { settings } of settingsOverview()) {
        for (const { key, fallback, meaning } of settings) {
            const row = docs.split("\n").find((line) => line.startsWith(`| \`${key}\``));
            const cells = row?.split("|").map((cell) => words(cell.trim()));
            expect(cells?.slice(1, 4), key).toEqual([`\`${key}\``, fallback ?? "", words(meaning)]);
            expect(usage).toContain(`--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
        }
    }
});
