import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { diffApp, createBody, planCalls } from "../../../packages/ai-deploy/src/app/plan";
import type { LiveApp } from "../../../packages/ai-deploy/src/app/live";
import type { AppInputs } from "../../../packages/ai-deploy/src/app/args";
import type { TokenInputs } from "../../../packages/ai-deploy/src/token/args";
import { diff as diffToken } from "../../../packages/ai-deploy/src/token/lifecycle";
import { appArgs, tokenArgs } from "../../../src/inference/app-args";
import {
    defaultAlerting,
    defaultCluster,
    defaultLimits,
    defaultModel,
    defaultMonitoring,
    defaultPrices,
    isMap,
} from "../../../src/settings/defaults";
import { documentedSettings, settingsPage, type DocumentedSetting } from "../../../tools/docs/settings-page";
import { deploy } from "../../program/deploy";
import { faultsOf, parse, secretKeys, toSet } from "../../settings/config";
import { configSet, readSetCommand } from "../../settings/pulumi-config";

const documented = documentedSettings();
const settings = documented.filter(({ type }) => type);
const commandsOf = ({ tags }: DocumentedSetting) => tags.example?.split("\n") ?? [];
/** The config after these commands. */
function after(config: Record<string, unknown>, lines: string[]): Record<string, unknown> {
    return lines.reduce((before, line) => configSet(before, line), config);
}

it("docs/settings.md is as `npm run docs` writes it", async () => {
    expect(readFileSync(join(__dirname, "../../../docs/settings.md"), "utf8")).toBe(await settingsPage());
});

describe("the default in each comment is the one of the program", () => {
    const defaults = (model: string) => ({
        models: { NAME: defaultModel(model) },
        cluster: defaultCluster,
        monitoring: defaultMonitoring,
        alerting: defaultAlerting,
        limits: defaultLimits,
        prices: defaultPrices,
    });
    /** Values at a path, `N` standing for each place of a list. */
    const valuesAt = (root: unknown, steps: string[]): unknown[] => {
        const [step, ...rest] = steps;
        if (step === undefined) return root === undefined ? [] : [root];
        if (step === "N") return Array.isArray(root) ? root.flatMap((one) => valuesAt(one, rest)) : [];
        return isMap(root) ? valuesAt(root[step], rest) : [];
    };
    const expected = (paths: string[]): unknown[] =>
        paths.flatMap((path) => {
            const steps = path.replace(/ \(\w+\)$/, "").split(/[.[\]]+/);
            return ["ministral", "NAME"].flatMap((model) => valuesAt(defaults(model), steps));
        });
    // A name of the model in a default is that of any.
    const texts = (values: unknown[]) =>
        new Set(values.map((value) => JSON.stringify(value).replace(/"ministral"/, '"NAME"')));

    it.each(settings.map((setting): [string, DocumentedSetting] => [setting.paths[0], setting]))("%s", (_, setting) => {
        const given = [...(setting.tags.default ?? "").matchAll(/`([^`]+)`/g)].map(
            ([, json]) => JSON.parse(json) as unknown,
        );
        expect(texts(given)).toEqual(texts(expected(setting.paths)));
        if (given.length === 0) expect(setting.tags.default ?? "none").toMatch(/^none/);
    });
});

describe("each example is taken, and sets its setting", () => {
    const withExample = documented.filter(({ tags }) => tags.example);

    it.each(withExample.map((setting): [string, DocumentedSetting] => [setting.paths[0], setting]))(
        "%s",
        (_, setting) => {
            const config = after(toSet, commandsOf(setting));
            expect(faultsOf(config, secretKeys)).toEqual([]);
            const keys = commandsOf(setting).map((line) => readSetCommand(line).key);
            const asKey = (path: string) =>
                new RegExp(
                    `^${path.replace(/\[N\]/g, "\\[\\d\\]").replace(/\./g, "\\.").replace(/NAME/g, "[\\w-]+")}($|\\.|\\[)`,
                );
            expect(
                setting.paths.some((path) => keys.some((key) => asKey(path).test(key))),
                keys.join(),
            ).toBe(true);
        },
    );

    it("is there for every setting, of its own or of the group that it is in", () => {
        const examples = withExample.map(({ paths: [path] }) => path);
        const shown = settings.filter(
            ({ paths, tags }) => tags.example || examples.some((group) => paths[0].startsWith(group)),
        );
        const without = settings.filter((one) => !shown.includes(one)).map(({ paths: [path] }) => path);
        expect(without.filter((path) => !path.startsWith("alerting."))).toEqual([]);
    });
});

describe("what a change does", () => {
    const own = (setting: DocumentedSetting) => (setting.tags.change ?? "").split(/[;:,]/)[0];
    const context = { name: "ministral", projectId: "p", huggingFaceToken: "t", adoptionLabel: "x" };
    const appId = "00000000-0000-4000-8000-000000000001";

    /** What the provider would do to a running app and its tokens. */
    function modelChange(was: Record<string, unknown>, is: Record<string, unknown>): string {
        const [olds, news] = [was, is].map((config) => {
            const { huggingFaceToken, models } = parse(config, secretKeys);
            return {
                model: models.ministral,
                args: appArgs(models.ministral, { ...context, huggingFaceToken }) as AppInputs,
            };
        });
        const live = { id: appId, spec: createBody(olds.args), status: { state: "RUNNING" } } as unknown as LiveApp;
        const { changes, replaces } = diffApp({ ...olds.args, appId, state: "RUNNING" }, news.args);
        const calls = replaces.length > 0 ? [] : planCalls(live, news.args, olds.args);
        const token = (["scrape", "client"] as const).map((purpose) => {
            const [old, now] = [olds, news].map(({ model }) => tokenArgs(model, purpose, context) as TokenInputs);
            return diffToken({ ...old, tokenId: "1", value: "v", version: 1 }, now);
        });
        const tokens = token.some((one) => one.replaces.length > 0);
        if (replaces.length > 0) return tokens ? "replaces the app and its tokens" : "replaces the app";
        if (tokens) return "replaces the tokens";
        if (calls.some(({ path }) => path === "")) return "rolls";
        return changes && calls.length === 0 ? "stops the app" : "live";
    }

    const ofModels = settings.filter(({ paths: [path] }) => /^(models\.|huggingFaceToken)/.test(path));
    const withOwnExample = ofModels.filter(({ tags }) => tags.example);

    it.each(withOwnExample.map((setting): [string, DocumentedSetting] => [setting.paths[0], setting]))(
        "%s",
        (_, setting) => {
            const changed = after(toSet, commandsOf(setting));
            expect(modelChange(toSet, changed)).toBe(own(setting));
        },
    );

    it("the same for every part of a volume", () => {
        const volumes = documented.find(({ paths: [path] }) => path === "models.NAME.volumes")!;
        const full = after(toSet, commandsOf(volumes));
        const parts = ofModels.filter(({ paths: [path] }) => path.startsWith("models.NAME.volumes["));
        expect(parts.map(own)).toEqual(parts.map(() => "replaces the app"));
        for (const { paths } of parts) {
            const key = paths[0].replace("NAME", "ministral");
            const at = key.includes("dataStore") ? "[1]" : "[0]";
            const value = key.endsWith("permission") ? "RWD" : "/other";
            const changed = configSet(full, `pulumi config set --path '${key.replace("[N]", at)}' ${value}`);
            expect(modelChange(full, changed), key).toBe("replaces the app");
        }
    });

    describe("to the cluster, by what the ovh plugin was recorded replacing", () => {
        const replaced = { Kube: recordedReplaces("kube"), KubeNodePool: recordedReplaces("pool") };
        const privately = { ...toSet, cluster: { network: "private", private: { vlanId: 100 } } };
        const ofCluster = settings.filter(({ paths: [path] }) => path.startsWith("cluster."));
        /** The commands of an example that set this very setting. */
        const ownLines = (setting: DocumentedSetting) =>
            commandsOf(setting).filter((line) => readSetCommand(line).key.startsWith(setting.paths[0]));

        async function clusterChange(before: Record<string, unknown>, lines: string[]): Promise<string> {
            const was = await deploy({ stack: "dev", config: before });
            const is = await deploy({ stack: "dev", config: after(before, lines) });
            const [kube, pool] = (["Kube", "KubeNodePool"] as const).map((type) => {
                const [old, now] = [was.find(type), is.find(type)];
                const keys = Object.keys({ ...old.inputs, ...now.inputs });
                const changed = keys.filter(
                    (key) => JSON.stringify(old.inputs[key]) !== JSON.stringify(now.inputs[key]),
                );
                return old.name !== now.name || changed.some((key) => replaced[type].includes(key));
            });
            return kube ? "replaces the cluster" : pool ? "replaces the node pool" : "in place";
        }

        const replacing = ofCluster.filter((setting) => /^replaces the (cluster|node pool)/.test(own(setting)));

        it.each(replacing.map((setting): [string, DocumentedSetting] => [setting.paths[0], setting]))(
            "%s",
            async (path, setting) => {
                const lines = path === "cluster.network" ? commandsOf(setting) : ownLines(setting);
                const moved = lines.map((line) => line.replace("eu-west-par-a", "eu-west-par-b"));
                // Zones can be named in a region that has several only.
                const inZone = path === "cluster.nodePool.availabilityZones" && after(toSet, commandsOf(setting));
                expect(await clusterChange(inZone || toSet, inZone ? moved : lines)).toBe(own(setting));
            },
        );

        it("and all others together replace neither cluster nor pool", async () => {
            // The id of another network, which replaces the cluster, is not known to mocks.
            const apart = /^(replaces the network$|refused)/;
            const others = ofCluster.filter((one) => !replacing.includes(one) && !apart.test(own(one)));
            expect(others.length).toBeGreaterThan(9);
            expect(await clusterChange(privately, others.flatMap(ownLines))).toBe("in place");
        });
    });
});

/** Inputs whose change the real plugin has answered with a replacement. */
function recordedReplaces(kind: "kube" | "pool"): string[] {
    const file = join(__dirname, `../../sandbox/plugins/recordings/ovh/${kind}-replace.txt`);
    const answers = readFileSync(file, "utf8").matchAll(/"replaces": \[([^\]]+)\]/g);
    return [...answers].flatMap(([, names]) => names.match(/\w+/g)!);
}
