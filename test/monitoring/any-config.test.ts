import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { stringify } from "yaml";
import { ensureToolchain, type Toolchain } from "../../sandbox/toolchain/toolchain";
import { replicaRange } from "../../src/hours/schedule";
import { alertmanagerConfig } from "../../src/monitoring/alertmanager";
import { isRelayed } from "../../src/monitoring/relayed";
import { vllmMetrics } from "../../src/vllm/metrics";
import { modelRules, spendRules, stackRules } from "../../src/monitoring/rules";
import { probeJob, relayedJob, relayJob, scrapeJob, type ScrapeJob } from "../../src/monitoring/scrape-jobs";
import { monitoringChecks } from "../../src/monitoring/settings-checks";
import { maySleep, parseSettings, SettingsError, type Settings } from "../../src/settings";
import { maxNumSeqs } from "../../src/vllm/limits";
import { renderedJob } from "./rendered-job";

// Whatever the settings accept, Prometheus, its operator and Alertmanager take: one rule or job that they refuse leaves a
// model, or all of them, unwatched. More of them: ANY_CONFIGS=5000 npx vitest run test/monitoring/any-config.test.ts
const wanted = Number(process.env.ANY_CONFIGS ?? 300);
// promtool checks thousands for minutes.
vi.setConfig({ testTimeout: 200 * Math.max(300, wanted) });
const seed = 20261125;

/** Text as people type it, and as nobody should. */
const text = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.string({ unit: "grapheme", maxLength: 10 }),
    fc.constantFrom(
        '"',
        "'",
        "`",
        "\\",
        "{{",
        "}}",
        "{{ $value }}",
        "$1",
        "${x}",
        "%s",
        "#x",
        ": ",
        "- a",
        "\n",
        "!x",
        "*a",
    ),
);
const joined = (...parts: (fc.Arbitrary<string> | string)[]): fc.Arbitrary<string> =>
    fc
        .tuple(...parts.map((part) => (typeof part === "string" ? fc.constant(part) : part)))
        .map((texts) => texts.join(""));
const positive = fc.double({ min: 0, minExcluded: true, max: 1e12, noNaN: true });

/** A name of a metric, among them words that PromQL knows otherwise. */
const metric = fc.oneof(
    fc.constantFrom(vllmMetrics.numRequestsRunning.name, vllmMetrics.numRequestsWaiting.name),
    fc.stringMatching(/^[a-zA-Z_:][a-zA-Z0-9_:]{0,20}$/),
    fc.constantFrom(
        ..."and or unless by without on ignoring group_left offset bool inf nan sum count_values start".split(" "),
    ),
    text,
);

const model = fc.record(
    {
        model: fc.constantFrom("Qwen/Qwen3-8B", "/hub/model"),
        image: fc.oneof(fc.constant("vllm/vllm-openai:v0.13.0"), joined(text, ":v1"), joined("registry/", text, ":v1")),
        region: fc.stringMatching(/^[A-Z][A-Z0-9-]{0,6}$/),
        replicas: fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 95 })).map(([min, more]) => ({
            min,
            max: Math.max(1, min + more),
        })),
        scaling: fc.record(
            {
                metric,
                target: fc.oneof(fc.integer({ min: 1, max: 900 }), positive),
                aggregation: fc.constantFrom("AVERAGE", "MAX", "MIN", "SUM"),
            },
            { requiredKeys: [] },
        ),
        vllm: fc.record({
            extraArgs: fc.array(fc.oneof(fc.constantFrom("--seed=x", "--max-num-batched-tokens=7"), text)),
        }),
        scrape: fc.record({
            labels: fc.dictionary(fc.oneof(fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,9}$/), text), text, {
                maxKeys: 3,
            }),
        }),
        targets: fc.record(
            {
                timeToFirstToken: fc.constantFrom(0.001, 0.5, 1, 20, 2560),
                interTokenLatency: fc.constantFrom(0.01, 0.05, 1, 80),
                withinTargets: fc.double({ min: 0.94, max: 1, maxExcluded: true, noNaN: true }),
                errorBudget: fc.double({ min: 0, minExcluded: true, max: 0.06, noNaN: true }),
            },
            { requiredKeys: [] },
        ),
    },
    { requiredKeys: ["model"] },
);

const receiver = fc.oneof(
    fc.record({ type: fc.constant("webhook"), url: joined("https://x.example.org/", text) }),
    fc.record({ type: fc.constant("slack"), url: fc.constant("https://x.example.org"), channel: joined("#", text) }),
    fc.record({
        type: fc.constant("email"),
        to: fc.oneof(fc.constant("a@example.org"), joined(text, "@example.org")),
        from: joined("a@", text),
        smarthost: fc.oneof(fc.constant("smtp.example.org:587"), joined(text, ":25")),
        username: text,
        password: fc.constant("x"),
    }),
);

const config = fc.record({
    models: fc
        .dictionary(fc.stringMatching(/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/), model, { minKeys: 1, maxKeys: 3 })
        .map((models) => ({ ministral: null, ...models })),
    monitoring: fc.record({
        scrapeInterval: fc.constantFrom("5s", "15s", "1m30s", "2m", "500ms"),
        scrapeTimeout: fc.constantFrom("5s", "10s", "1s", "500ms"),
        replicaMetrics: fc.constantFrom("relay", "direct"),
        grafana: fc.constant({ access: "internal" }),
    }),
    limits: fc.record({ eurosPerHour: positive, eurosPerMonth: positive }, { requiredKeys: [] }),
    alerting: fc.oneof(
        fc.record({ runbooks: fc.oneof(fc.constant("docs/operations"), text, joined("https://x.example.org/", text)) }),
        fc.record({ receivers: fc.record({ mine: receiver }), routes: fc.constant({ page: ["mine"] }) }),
    ),
});

/** The settings that this config is, or undefined where it is refused. */
function accepted(raw: Record<string, unknown>): Settings | undefined {
    const values = { projectId: "0123456789abcdef", huggingFaceToken: "hf_x", appReaderKey: "a:b:c", ...raw };
    const written = Object.entries(values).map(([key, value]) => [
        key,
        typeof value === "string" ? value : JSON.stringify(value),
    ]);
    const secretKeys = new Set(["huggingFaceToken", "alerting", "appReaderKey"]);
    try {
        return parseSettings({ values: Object.fromEntries(written) as Record<string, string>, secretKeys }, "test", [
            monitoringChecks,
        ]);
    } catch (error) {
        if (error instanceof SettingsError) return undefined;
        throw error;
    }
}

function* acceptedConfigs(): Generator<Settings> {
    for (let found = 0, round = 0; found < wanted; round++) {
        for (const raw of fc.sample(config, { numRuns: 500, seed: seed + round })) {
            const settings = accepted(raw);
            if (!settings) continue;
            yield settings;
            if (++found === wanted) return;
        }
    }
}

/** Objects of a model as the stack has them. */
function watched(name: string, { models, monitoring, alerting, limits }: Settings) {
    const settings = models[name];
    const { region, image, scaling, targets, scrape, desiredState } = settings;
    const replicas = replicaRange(settings);
    const relayed = isRelayed(monitoring, replicas);
    const rules = modelRules(
        {
            ...{ name, app: "11111111-2222-4333-8444-555555555555", region, image, replicas, scaling, targets },
            // A price may be as odd as a limit.
            ...{ replicaPrice: limits.eurosPerHour, relayed, desiredState, maxNumSeqs: maxNumSeqs(settings) },
        },
        alerting.runbooks,
    );
    const args = {
        ...{ model: name, url: "https://app.example.net", labels: scrape.labels },
        ...{ interval: monitoring.scrapeInterval, timeout: monitoring.scrapeTimeout },
    };
    const relay = `vllm-relay-${name}.monitoring.svc:9400`;
    const jobs: ScrapeJob[] = relayed
        ? [relayedJob(args, relay), ...(maySleep(settings) ? [] : [probeJob(args)]), relayJob(args, relay)]
        : [scrapeJob(args)];
    return { rules, jobs };
}

describe(`${wanted} configs that the settings accept`, () => {
    const folder = mkdtempSync(join(tmpdir(), "any-config-"));
    let bin: Toolchain["bin"];
    const all = [...acceptedConfigs()];
    beforeAll(async () => {
        bin = (await ensureToolchain({ log: () => undefined, wanted: ["promtool", "amtool"] })).bin;
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    /** Runs a checker over files, many at a time. Returns what it said of those that it refused. */
    function refused(tool: "promtool" | "amtool", args: string[], contents: unknown[]): string {
        const files = contents.map((content, index) => {
            const file = join(folder, `${tool}-${args.join("-")}-${index}.yaml`);
            writeFileSync(file, stringify(content));
            return file;
        });
        let said = "";
        for (let first = 0; first < files.length; first += 500) {
            const call = [...args, ...files.slice(first, first + 500)];
            const { status, stdout, stderr } = spawnSync(bin[tool], call, { encoding: "utf8", maxBuffer: 1e9 });
            const faults = `${stdout}${stderr}`.split("\n").filter((line) => /FAILED|error/i.test(line));
            if (status !== 0) said += faults.join("\n");
        }
        return said;
    }

    it("are of many kinds", () => {
        expect(all).toHaveLength(wanted);
        const models = all.flatMap(({ models }) => Object.values(models));
        const odd = (value: string) => /["'`{}$\\]/.test(value);
        expect(models.some(({ image }) => odd(image))).toBe(true);
        expect(models.some(({ scrape }) => Object.values(scrape.labels).some((value) => value.includes("{{")))).toBe(
            true,
        );
        expect(models.some(({ scaling }) => scaling.metric === "and")).toBe(true);
        expect(models.some(maySleep)).toBe(true);
        expect(all.some(({ alerting }) => odd(alerting.runbooks))).toBe(true);
    });

    it("yield rules that promtool accepts, those of a model by themselves and those of the stack", () => {
        const ofModels = all.flatMap((settings) =>
            Object.keys(settings.models).map((name) => watched(name, settings).rules),
        );
        const ofStacks = all.map(({ alerting }) => stackRules(alerting.runbooks));
        const ofSpend = all.flatMap(({ limits: { eurosPerHour, eurosPerMonth }, alerting }) =>
            eurosPerMonth === undefined
                ? []
                : spendRules({ eurosPerMonth, fixedPrice: eurosPerHour }, alerting.runbooks),
        );
        expect(ofSpend.length).toBeGreaterThan(0);
        const files = [...ofModels, ...ofStacks, ...ofSpend].map((group) => ({ groups: [group] }));
        expect(refused("promtool", ["check", "rules", "--lint-fatal"], files)).toBe("");
    });

    it("yield jobs that promtool accepts", () => {
        const jobs = all.flatMap((settings, index) =>
            Object.keys(settings.models).flatMap((name) =>
                watched(name, settings).jobs.map((job) => renderedJob(`${index}-${job.jobName}-${name}`, job, "token")),
            ),
        );
        const files: object[] = [];
        for (let first = 0; first < jobs.length; first += 500) {
            files.push({ scrape_configs: jobs.slice(first, first + 500) });
        }
        for (const file of files) expect(refused("promtool", ["check", "config"], [file])).toBe("");
    });

    it("yield a configuration of Alertmanager that amtool accepts", () => {
        const files = all.map(({ alerting }) => alertmanagerConfig(alerting));
        expect(refused("amtool", ["check-config"], files)).toBe("");
    });

    it("are told from what promtool refuses, so that the tests above can fail", () => {
        const rule = { record: "a", expr: "rate(and{}[5m]" };
        expect(refused("promtool", ["check", "rules"], [{ groups: [{ name: "x", rules: [rule] }] }])).toMatch(
            /parse error/,
        );
        const job = { job_name: "a", scrape_interval: "5x" };
        expect(refused("promtool", ["check", "config"], [{ scrape_configs: [job] }])).toMatch(/duration/);
    });
});
