import { describe, expect, it } from "vitest";
import type { Fault } from "../../src/settings";
import { documentedSettings, type DocumentedSetting } from "../../tools/docs/settings-page";
import { faultsOf, secretKeys, toSet } from "./config";
import { configAfter, configSet, readSetCommand, without } from "./pulumi-config";

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
    // What is asked for, or read from a file, is a secret or a certificate, which the tests of those have.
    const one = "pulumi config (?:rm (?:--path )?(?!-)[^\\s,;]+|set (?:--\\w+ )*(?!-)\\S+ [^\\s,;(<][^\\s,;]*)";
    const commands = piped.match(new RegExp(`${one}(?: && ${one})*`, "g")) ?? [];
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
    return faultsOf(configAfter(config, line), secretKeys).filter(({ key }) => key === of);
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
                    const last = next.flatMap((other) => faultsAfter(configAfter(config, line), other, fault.key));
                    if (left) expect([next.length > 0, last], `${fault.fix}\n${line}\n${left.fix}`).toEqual([true, []]);
                    tried.add(path);
                }
            }
        },
    );

    it("which is more than half of them", () => expect(tried.size).toBeGreaterThan(settings.length / 2));
});

describe("what has to be set and is not is told with a command that sets it", () => {
    const receivers: Record<string, Record<string, string>> = {
        webhook: { url: "https://example.org/made-up" },
        slack: { url: "https://example.org/made-up", channel: "#alerts" },
        email: { to: "ops@example.org", from: "alerts@example.org", smarthost: "smtp.example.org:587" },
        pagerduty: { routingKey: "0123456789abcdef0123456789abcdef" },
        opsgenie: { apiKey: "made-up" },
    };
    const inReceivers = Object.entries(receivers).flatMap(([type, rest]) =>
        Object.keys({ type, ...rest }).map((left): [string, Record<string, unknown>] => {
            const { [left]: _, ...receiver } = { type, ...rest } as Record<string, string>;
            const alerting = { receivers: { oncall: receiver }, routes: { page: ["oncall"] } };
            return [`alerting.receivers.oncall.${left}`, { ...toSet, alerting }];
        }),
    );
    // Where the setting stands in a map that is there, such as an entry of the schedule, and is left out.
    const examples = settings
        .filter(({ tags }) => tags.default?.startsWith("none: has to be set"))
        .map((setting): [string, Record<string, unknown>] => {
            const { commands, key } = exampleOf(setting);
            expect(key, setting.paths[0]).not.toBe("");
            const right = commands.reduce((config, line) => configSet(config, line), toSet as Record<string, unknown>);
            const path = key.replace(/(clients)\[0\]$/, "$1");
            return [path, without(right, path)];
        })
        // projectId and the token have words of their own in place of a value.
        .filter(([path]) => path.includes("."));

    const second = { ...toSet, models: { ministral: {}, second: { protect: true } } };

    it.each([["models.second.model", second] as [string, Record<string, unknown>], ...examples, ...inReceivers])(
        "%s",
        (path, config) => {
            const fault = faultsOf(config, secretKeys).find(({ key }) => key === path)!;
            expect(fault.found).toBe("not set");
            const asked = fault.fix.endsWith(" (it asks for it)");
            const [line] = /pulumi config set .*$/.exec(fault.fix)!;
            const value =
                receivers[(valueOf(config, path) as { type: string } | undefined)?.type ?? ""]?.[
                    path.split(".").at(-1)!
                ];
            const pasted = asked ? `${line.replace(" (it asks for it)", "")} <secret>` : line;
            const secret = value ?? path.split(".").at(-1);
            expect(faultsOf(configAfter(config, pasted, secret), secretKeys).filter(({ key }) => key === path)).toEqual(
                [],
            );
        },
    );

    function valueOf(config: Record<string, unknown>, path: string): unknown {
        return path
            .split(".")
            .slice(0, -1)
            .reduce<any>((value, step) => value?.[step], config);
    }
});

describe("a word where a list or a map belongs", () => {
    it.each([
        ["models.ministral.frontDoor", true],
        ["models.ministral.frontDoor", { clients: "search" }, "models.ministral.frontDoor.clients"],
        ["models.ministral.schedule", "mon-fri"],
        ["models.ministral.replicas", 3],
        ["models.ministral", "on"],
        ["cluster", "GRA11"],
        ["monitoring.grafana.allowedSources", "198.51.100.0/24"],
        ["limits", 4000],
        ["alerting.routes.page", "oncall"],
        ["alerting.receivers", ["oncall"]],
    ])("%s: %j", (path, value, key = path) => {
        const steps = path.split(".");
        const config = structuredClone(toSet) as Record<string, any>;
        const last = steps.pop()!;
        const at = steps.reduce((inner, step) => (inner[step] ??= {}), config);
        at[last] = value;
        const fault = faultsOf(config).find((one) => one.key === key)!;
        const [line] = suggestions(fault);
        expect(line).toContain("pulumi config rm ");
        // What then is missing is told by itself.
        expect(
            faultsOf(configAfter(config, line))
                .filter((one) => one.key === key)
                .map(({ found }) => found)
                .filter((found) => found !== "not set"),
        ).toEqual([]);
    });
});

it("no message names a key twice", () => {
    for (const setting of settings) {
        for (const [config] of refusals(setting)) {
            const keys = faultsOf(config, secretKeys).map(({ key }) => key);
            expect(keys).toEqual([...new Set(keys)]);
        }
    }
});
