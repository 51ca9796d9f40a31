/**
 * Records what the real engine says and which calls it makes, on a local OVHcloud, with the program of this checkout:
 *
 *     node --import tsx test/tools/pipeline/record.ts
 *
 * It writes `recordings/*.jsonl`, a log of the engine's events per preview, and `test/access/calls.json`, the IAM actions that
 * each actor's calls needed, with the first step that needed them. About ten minutes.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Actor } from "../../../access/actors";
import { checkout } from "../../../sandbox/layout";
import { openSandboxStage, type Stage } from "../../engine/stage";

const calls: Partial<Record<Actor, Record<string, string>>> = {};
let seen = 0;

/** Notes which actions the calls since the last time needed. */
function noteCalls(stage: Stage, actor: Actor, step: string): void {
    const requests = stage.cloud.api.requests();
    for (const action of requests.slice(seen).flatMap(({ actions }) => actions)) {
        (calls[actor] ??= {})[action] ??= step;
    }
    seen = requests.length;
    writeFileSync(join(__dirname, "../../access/calls.json"), `${JSON.stringify(sorted(calls), undefined, 4)}\n`);
}

function sorted(all: typeof calls): object {
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
        .map((event) => (event.diagnosticEvent ? event : shortened(event)))
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

async function up(stage: Stage, step: string, again = true): Promise<void> {
    const { code, stdout, stderr } = await stage.up();
    // On a busy machine an app at this speed may not come up at once.
    if (code !== 0 && again && step !== "an app that fails") return up(stage, step, false);
    console.log(
        `${new Date().toISOString()} up ${step}: ${code}${code === 0 ? "" : ` ${(stdout + stderr).slice(-600)}`}`,
    );
    noteCalls(stage, "deploy", step);
}

async function record(): Promise<void> {
    const stage = await openSandboxStage();
    try {
        // An older version, which a later step leaves.
        stage.configure({ "cluster.version": "1.33" });
        await preview(stage, "preview", "first");
        await up(stage, "up");
        await preview(stage, "preview", "nothing");
        const changes: Record<string, Record<string, unknown>> = {
            target: { "models.ministral.scaling.target": 40 },
            image: { "models.ministral.image": "vllm/vllm-openai:v0.33.0" },
            region: { "models.ministral.region": "BHS" },
            "another-model": { "models.qwen.model": "Qwen/Qwen3-8B", "models.ministral.replicas.max": 2 },
            retention: { "monitoring.retention": "30d" },
            "node-flavor": { "cluster.nodePool.flavor": "b3-16" },
            "open-grafana": { "monitoring.grafana.allowedSources": ["0.0.0.0/0"] },
            refused: { "models.ministral.replicas.min": 9, "models.ministral.replicas.max": 2 },
        };
        for (const [name, values] of Object.entries(changes)) {
            stage.configure(values);
            await preview(stage, "preview", name, "--policy-pack", join(checkout, "policies"));
            stage.configure(Object.fromEntries(Object.keys(values).map((key) => [key, undefined])));
            stage.configure({ "models.qwen": undefined, "monitoring.grafana.allowedSources": ["203.0.113.0/24"] });
        }
        await stage.cloud.api.deleteApp(stage.cloud.api.apps()[0].id);
        await preview(stage, "drift", "drift", "--refresh");
        // As a person would: the state takes note, and the app is made anew.
        await stage.refresh();
        await up(stage, "an app deleted outside");
        const steps: Record<string, Record<string, unknown>> = {
            "scaling.target": { "models.ministral.scaling.target": 40 },
            image: { "models.ministral.image": "vllm/vllm-openai:v0.13.1" },
            labels: { "models.ministral.labels.team": "search" },
            "probes.readiness": { "models.ministral.probes.readiness.initialDelaySeconds": 240 },
            "desiredState STOPPED": { "models.ministral.desiredState": "STOPPED" },
            "desiredState RUNNING": { "models.ministral.desiredState": undefined },
            "tokens.clientRotation": { "models.ministral.tokens.clientRotation": "2026-11-26" },
            "tokens.overlapSeconds 0": {
                "models.ministral.tokens.clientRotation": "2026-11-27",
                "models.ministral.tokens.overlapSeconds": 0,
            },
            "nodePool.nodes": { "cluster.nodePool.nodes": 4 },
            "nodePool.flavor": { "cluster.nodePool.flavor": "b3-16" },
            "cluster.version": { "cluster.version": "1.34" },
            "cluster.updatePolicy": { "cluster.updatePolicy": "MINIMAL_DOWNTIME" },
            "cluster.name": { "cluster.name": "another-name" },
            region: { "models.ministral.region": "BHS" },
            "an app that fails": { "models.ministral.vllm.extraArgs": ["--no-such-option"] },
            "cluster.network": {
                "models.ministral.vllm.extraArgs": undefined,
                "cluster.network": "private",
                "cluster.private.vlanId": 100,
            },
            "private.routeThroughGateway": { "cluster.private.routeThroughGateway": false },
        };
        for (const [step, values] of Object.entries(steps)) {
            stage.configure(values);
            await up(stage, step);
        }
        const { code } = await stage.destroy();
        console.log(`${new Date().toISOString()} destroy: ${code}`);
        noteCalls(stage, "deploy", "destroy");
    } finally {
        await stage.close();
    }
}

void record();
