import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { OvhClient } from "../../packages/ai-deploy/src/client";
import { resolveCredentials } from "../../packages/ai-deploy/src/credentials";
import { checkout } from "../../sandbox/layout";
import { sandboxProjectId } from "../../sandbox/local-cloud";
import { endProcesses, sandboxProcesses } from "../../sandbox/processes";
import type { PulumiRun } from "../../sandbox/pulumi-cli";
import { openStage, type Stage } from "./stage";

let stage: Stage;

/** The committed sandbox stack: a model on one half, a cluster on the other. */
beforeAll(async () => {
    const { config } = parse(readFileSync(join(checkout, "Pulumi.sandbox.yaml"), "utf8")) as {
        config: Record<string, unknown>;
    };
    stage = await openStage({ program: checkout, config, chart: true });
    stage.configure({ "monitoring.chart.path": stage.layout.chart });
});
afterAll(() => stage.close());

async function succeed(run: Promise<PulumiRun>): Promise<string> {
    const { code, stdout, stderr } = await run;
    expect(code, stdout + stderr).toBe(0);
    return stdout + stderr;
}

function kubernetes(): CoreV1Api {
    const config = new KubeConfig();
    config.loadFromFile(stage.layout.kubeconfig);
    return config.makeApiClient(CoreV1Api);
}

/** Kinds of the resources that the state has, sorted. */
function kinds(): string[] {
    const state = JSON.parse(stage.stateText()) as { checkpoint: { latest: { resources?: { type: string }[] } } };
    return (state.checkpoint.latest.resources ?? []).map(({ type }) => type).sort();
}

async function killApiServer(): Promise<void> {
    const programs = sandboxProcesses(stage.layout.kubernetes).filter((pid) =>
        readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0].endsWith("kube-apiserver"),
    );
    expect(programs).toHaveLength(1);
    await endProcesses(programs, 0);
}

const nothing = () => [stage.cloud.api.apps(), stage.cloud.api.tokens(), stage.cloud.api.clusters(), kinds()];

describe.sequential("a cluster that does not answer keeps nothing of the models", () => {
    it("destroy gives back load balancers and volumes before the cluster goes, also when the namespace never ends", async () => {
        await succeed(stage.up());
        const finalizers = ["example.com/never-taken-off"];
        await kubernetes().createNamespacedConfigMap({
            namespace: "monitoring",
            body: { metadata: { name: "stuck", finalizers } },
        });
        const said = await succeed(stage.destroy());
        expect(said).toMatch(/giving back load balancers .*203\.0\.113\.\d+.*; volumes /);
        expect(said).toContain("load balancers and volumes are given back");
        expect(said).not.toContain("warning: cluster");
        expect(nothing()).toEqual([[], [], [], []]);
    });

    it("with the API server down, refresh keeps what is there and up changes the model", async () => {
        await succeed(stage.up());
        const before = kinds();
        await killApiServer();
        const refreshed = await succeed(stage.refresh());
        expect(refreshed).toMatch(/unreachable/);
        expect(refreshed).not.toContain("DELETE_UNREACHABLE");
        expect(kinds()).toEqual(before);
        stage.configure({ "models.ministral.scaling.target": 41 });
        const writes = stage.writes().length;
        const said = await succeed(stage.up());
        expect(said).not.toContain("DELETE_UNREACHABLE");
        const [app] = stage.cloud.api.apps();
        expect(stage.writes().slice(writes)).toContain(`PUT /ai/app/${app.id}/scalingstrategy`);
        expect(kinds()).toEqual(before);
    });

    it("destroy frees the GPUs and ends, and tells what may be left", async () => {
        const said = await succeed(stage.destroy());
        expect(said).toMatch(/warning: cluster .* does not answer .*may be left and go on being billed/);
        expect(nothing()).toEqual([[], [], [], []]);
    });

    it("so does destroy of a cluster that was deleted outside", async () => {
        await succeed(stage.up());
        const api = new OvhClient(resolveCredentials({ config: () => undefined, env: stage.env, files: [] }));
        await api.delete(`/cloud/project/${sandboxProjectId}/kube/${stage.cloud.api.clusters()[0]}`);
        while (stage.cloud.api.clusters().length > 0) await sleep(50);
        const said = await succeed(stage.destroy());
        expect(said).toContain("is gone already");
        expect(nothing()).toEqual([[], [], [], []]);
    });
});
