/**
 * Records what the real engine says and which calls it makes, on a local OVHcloud, with the program of this checkout:
 *
 *     node --import tsx test/tools/pipeline/record.ts [previews] [deploy]
 *
 * `previews` writes `recordings/*.jsonl`, a log of the engine's events per preview. Both write the IAM actions that each actor's
 * calls needed, with the first step that needed them, into `test/access/calls.json`: `previews` those of preview and drift,
 * `deploy` those of deploy. Default: both, each with a sandbox of its own.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Actor } from "../../../access/actors";
import { checkout } from "../../../sandbox/layout";
import type { LoggedRequest } from "../../../sandbox/ovhcloud/server";
import { openSandboxStage, type Stage } from "../../engine/stage";

type Calls = Partial<Record<Actor, Record<string, string>>>;

/** Of the actors that were recorded in this run. */
const calls: Calls = {};
const callsFile = join(__dirname, "../../access/calls.json");
let seen: LoggedRequest | undefined;

/** Notes which actions the calls since the last time needed. */
function noteCalls(stage: Stage, actor: Actor, step: string): void {
    const requests = stage.cloud.api.requests();
    for (const action of requests.slice(seen ? requests.lastIndexOf(seen) + 1 : 0).flatMap(({ actions }) => actions)) {
        (calls[actor] ??= {})[action] ??= step;
    }
    seen = requests.at(-1);
}

/** In place of what the same actors were seen to do before. */
function saveCalls(): void {
    const all = { ...(JSON.parse(readFileSync(callsFile, "utf8")) as Calls), ...calls };
    writeFileSync(callsFile, `${JSON.stringify(sorted(all), undefined, 4)}\n`);
}

function sorted(all: Calls): object {
    const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);
    return Object.fromEntries(
        Object.entries(all)
            .sort(byName)
            .map(([actor, actions]) => [actor, Object.fromEntries(Object.entries(actions).sort(byName))]),
    );
}

/** Longer texts are cut: a dashboard or a kubeconfig tells nothing here. */
const longest = 160;

function shortened(value: unknown): unknown {
    if (typeof value === "string") return value.length > longest ? `${value.slice(0, longest)}...` : value;
    if (Array.isArray(value)) return value.map(shortened);
    if (typeof value !== "object" || value === null) return value;
    const ids = ["urn", "parent", "provider"];
    // No report reads what resources give.
    const isRead = ([key]: [string, unknown]): boolean => key !== "outputs";
    const cut = ([key, inner]: [string, unknown]): [string, unknown] => [
        key,
        ids.includes(key) ? inner : shortened(inner),
    ];
    return Object.fromEntries(Object.entries(value).filter(isRead).map(cut));
}

/** Of the engine's events those that a report reads, without the folder of the stage. */
function recorded(log: string, stage: Stage): string {
    const lines = log
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Record<string, any>)
        .filter(({ diagnosticEvent, resOutputsEvent, resourcePreEvent }) => {
            if (diagnosticEvent) return diagnosticEvent.severity !== "debug" && !diagnosticEvent.ephemeral;
            if (resOutputsEvent) return resOutputsEvent.metadata.op === "refresh";
            // Of what stays only the apps, whose images a report names.
            return resourcePreEvent?.metadata.op !== "same" || resourcePreEvent.metadata.type.endsWith(":App");
        })
        // What is said to people stays whole.
        .map((event) => (event.diagnosticEvent || event.policyEvent ? event : shortened(event)))
        .map((event) =>
            JSON.stringify(event).replaceAll(stage.layout.dir, "/sandbox").replaceAll(checkout, "/checkout"),
        );
    return `${lines.join("\n")}\n`;
}

async function preview(stage: Stage, actor: Actor, name: string, ...options: string[]): Promise<void> {
    const log = join(stage.layout.dir, "recorded.jsonl");
    rmSync(log, { force: true });
    const { code, stderr } = await stage.preview("--event-log", log, ...options);
    console.log(`${new Date().toISOString()} preview ${name}: ${code}${code === 0 ? "" : ` ${stderr.slice(-300)}`}`);
    const text = recorded(readFileSync(log, "utf8"), stage);
    writeFileSync(join(__dirname, "recordings", `${name}.jsonl`), text);
    noteCalls(stage, actor, name);
}

async function up(stage: Stage, step: string, fails = false): Promise<void> {
    // On a busy machine an app at this speed may not come up at once.
    let run = await stage.up();
    if (run.code !== 0 && !fails) run = await stage.up();
    const { code, stdout, stderr } = run;
    console.log(`${new Date().toISOString()} up ${step}: ${code}`);
    if ((code === 0) === fails) throw new Error(`up ${step}: ${code}\n${(stdout + stderr).slice(-2000)}`);
    noteCalls(stage, "deploy", step);
}

/** Changes that are looked at, each alone and taken back. */
const looks: Record<string, Record<string, unknown>> = {
    target: { "models.ministral.scaling.target": 40 },
    image: { "models.ministral.image": "vllm/vllm-openai:v0.33.0" },
    region: { "models.ministral.region": "BHS" },
    "another-model": { "models.qwen.model": "Qwen/Qwen3-8B", "models.ministral.replicas.max": 2 },
    retention: { "monitoring.retention": "30d" },
    "node-flavor": { "cluster.nodePool.flavor": "b3-16" },
    "open-grafana": { "monitoring.grafana.allowedSources": ["0.0.0.0/0"] },
    refused: { "models.ministral.replicas.min": 9, "models.ministral.replicas.max": 2 },
};

async function previews(stage: Stage): Promise<void> {
    await preview(stage, "preview", "first");
    await stage.up();
    seen = stage.cloud.api.requests().at(-1);
    await preview(stage, "preview", "nothing");
    for (const [name, values] of Object.entries(looks)) {
        stage.configure(values);
        await preview(stage, "preview", name, "--policy-pack", join(checkout, "policies"));
        stage.configure(Object.fromEntries(Object.keys(values).map((key) => [key, undefined])));
        stage.configure({ "models.qwen": undefined, "monitoring.grafana.allowedSources": ["203.0.113.0/24"] });
    }
    await stage.cloud.api.deleteApp(stage.cloud.api.apps()[0].id);
    seen = stage.cloud.api.requests().at(-1);
    await preview(stage, "drift", "drift", "--refresh");
}

/** What is done one after the other, each on top of the one before: one `up` for what one `up` can change. */
const changes: Record<string, Record<string, unknown>> = {
    "changes in place": {
        "models.ministral.scaling.target": 40,
        "models.ministral.image": "vllm/vllm-openai:v0.13.1",
        "models.ministral.labels.team": "search",
        "models.ministral.probes.readiness": { initialDelaySeconds: 240 },
        "models.ministral.tokens.clientRotation": "2026-11-26",
        "cluster.nodePool.nodes": 4,
        "cluster.updatePolicy": "MINIMAL_DOWNTIME",
        "cluster.name": "another-name",
    },
    "a stop, a token that ends at once, other nodes, a version": {
        "models.ministral.desiredState": "STOPPED",
        "models.ministral.tokens.clientRotation": "2026-11-27",
        "models.ministral.tokens.overlapSeconds": 0,
        "cluster.nodePool.flavor": "b3-16",
        "cluster.version": "1.34",
    },
    "a start": { "models.ministral.desiredState": undefined },
    "another region, and a command that fails": {
        "models.ministral.region": "BHS",
        "models.ministral.vllm.extraArgs": ["--no-such-option"],
    },
    "a private network": {
        "models.ministral.vllm.extraArgs": undefined,
        "cluster.network": "private",
        "cluster.private.vlanId": 100,
    },
    "another way out of it": { "cluster.private.routeThroughGateway": false },
};

async function deploy(stage: Stage): Promise<void> {
    // An older version, which a later step leaves.
    stage.configure({ "cluster.version": "1.33" });
    await up(stage, "up");
    for (const [step, values] of Object.entries(changes)) {
        stage.configure(values);
        await up(stage, step, step.endsWith("fails"));
    }
    // As a person would: the state takes note, and the app is made anew.
    await stage.cloud.api.deleteApp(stage.cloud.api.apps()[0].id);
    seen = stage.cloud.api.requests().at(-1);
    await stage.refresh();
    noteCalls(stage, "deploy", "refresh");
    const { code } = await stage.destroy();
    console.log(`${new Date().toISOString()} destroy: ${code}`);
    noteCalls(stage, "deploy", "destroy");
}

const parts = { previews, deploy };

async function record(names: string[]): Promise<void> {
    for (const name of names.length > 0 ? names : Object.keys(parts)) {
        if (!(name in parts)) throw new Error(`${name}: give one of ${Object.keys(parts).join(", ")}`);
        const stage = await openSandboxStage();
        seen = undefined;
        try {
            await parts[name as keyof typeof parts](stage);
            saveCalls();
        } finally {
            await stage.close();
        }
    }
}

record(process.argv.slice(2)).catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
});
