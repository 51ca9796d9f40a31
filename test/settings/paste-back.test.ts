import { describe, expect, it } from "vitest";
import type { Fault } from "../../src/settings";
import { documentedSettings, type DocumentedSetting } from "../../tools/docs/settings-page";
import { faultsOf, secretKeys, toSet } from "./config";
import { configSet, readSetCommand } from "./pulumi-config";

/** Of another kind, out of any range, misspelt. */
const wrong = ["-1", "0", "1000000000", "0.123", "true", "'no such value'", "x", "free-", "RUNING", "max", "mistrall"];
const documented = documentedSettings();

/** The example that sets a setting, its own or its group's, and the key in it. */
function exampleOf({ paths: [path], tags }: DocumentedSetting): { commands: string[]; key: string; isPath: boolean } {
    const group = documented.find((one) => !one.type && one.tags.example && path.startsWith(one.paths[0]));
    const commands = (tags.example ?? group?.tags.example)?.split("\n") ?? [];
    const any = path
        .replace(/ \(\w+\)$/, "")
        .replaceAll("[N]", "\\[\\d\\]")
        .replaceAll("NAME", "[\\w-]+");
    const read = commands.map(readSetCommand).find(({ key }) => new RegExp(`^${any}($|\\.|\\[)`).test(key));
    return { commands, ...(read ?? { key: "", isPath: true }) };
}

/** What a message says would be right, as commands. */
function suggestions({ key, fix }: Fault): string[] {
    // A secret is on no command line: it is asked for, or another command writes it, as this one would.
    const piped = fix.replace(/openssl rand -hex 24 \| (pulumi config set .*)$/, `$1 ${"0123456789abcdef".repeat(3)}`);
    const commands = piped.match(/pulumi config set (--\w+ )*(?!-)\S+ [^\s,;(][^\s,;]*/g) ?? [];
    const listed =
        /(?:give one of|vLLM [\d.]+ has) ([^:;]*[^:;\s]:?[^;\s]*(?:, [^;\s]+)*?)(?:: |$)/.exec(fix)?.[1].split(", ") ??
        [];
    const values = [
        ...[...fix.matchAll(/give at (?:least|most) ([\d.]*\d)/g)].map(([, value]) => value),
        ...[...fix.matchAll(/give at most [\w.]+, which is (\d+)/g)].map(([, value]) => value),
        ...[...fix.matchAll(/such as "?([^"\s]+)"?/g)].map(([, value]) => value),
        ...[...fix.matchAll(/did you mean "([^"]+)"/g)].map(([, value]) => value),
        ...(/^give ([\d.]+) or ([\d.]+) /.exec(fix)?.slice(1) ?? []),
        ...(fix === "give true or false" ? ["true", "false"] : []),
        ...listed.map((value) => value.replaceAll('"', "")),
    ];
    return [...commands, ...values.map((value) => `pulumi config set --path '${key}' ${value}`)];
}

/** Messages that a wrong value of this setting brings, each with the config that has it. */
function refusals(setting: DocumentedSetting): [config: Record<string, unknown>, fault: Fault][] {
    const { commands, key, isPath } = exampleOf(setting);
    if (key === "") return [];
    const right = commands.reduce((config, line) => configSet(config, line), toSet as Record<string, unknown>);
    return wrong.flatMap((value) => {
        const config = configSet(right, `pulumi config set ${isPath ? "--path " : ""}'${key}' ${value}`);
        return faultsOf(config, secretKeys).map((fault): [Record<string, unknown>, Fault] => [config, fault]);
    });
}

function faultsAfter(config: Record<string, unknown>, line: string, of: string): Fault[] {
    return faultsOf(configSet(config, line), secretKeys).filter(({ key }) => key === of);
}

const settings = documented.filter(({ type }) => type);

describe("whatever a message says would be right is taken when it is pasted", () => {
    const tried = new Set<string>();

    it.each(settings.map((setting): [string, DocumentedSetting] => [setting.paths[0], setting]))(
        "%s",
        (path, setting) => {
            for (const [config, fault] of refusals(setting)) {
                for (const line of suggestions(fault)) {
                    const [left] = faultsAfter(config, line, fault.key);
                    // What fits the setting by itself may not fit another one, of which the next message speaks.
                    const next = left && left.fix !== fault.fix ? suggestions(left) : [];
                    const last = next.flatMap((other) => faultsAfter(configSet(config, line), other, fault.key));
                    if (left) expect([next.length > 0, last], `${fault.fix}\n${line}\n${left.fix}`).toEqual([true, []]);
                    tried.add(path);
                }
            }
        },
    );

    it("which is more than half of them", () => expect(tried.size).toBeGreaterThan(settings.length / 2));
});

it("no message names a key twice", () => {
    for (const setting of settings) {
        for (const [config] of refusals(setting)) {
            const keys = faultsOf(config, secretKeys).map(({ key }) => key);
            expect(keys).toEqual([...new Set(keys)]);
        }
    }
});
