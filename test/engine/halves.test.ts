import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OvhClient } from "../../packages/ai-deploy/src/api/client";
import { resolveCredentials } from "../../packages/ai-deploy/src/api/credentials";
import { sandboxProjectId } from "../../sandbox/credentials";
import { endProcesses, sandboxProcesses } from "../../sandbox/processes";
import type { PulumiRun } from "../../sandbox/pulumi-cli";
import { followRunbook, prepareByRunbook } from "./runbook";
import { openSandboxStage, type Stage } from "./stage";

let stage: Stage;

/** The committed sandbox stack: a model on one half, a cluster on the other. */
beforeAll(async () => {
    stage = await openSandboxStage();
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

/** That of a cluster before may still be ending: it is killed, too. */
async function killApiServer(): Promise<void> {
    const programs = sandboxProcesses(stage.layout.kubernetes).filter((pid) =>
        programOf(pid).endsWith("kube-apiserver"),
    );
    expect(programs).not.toEqual([]);
    await endProcesses(programs, 0);
}

function programOf(pid: number): string {
    try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0];
    } catch {
        // It has ended since it was listed.
        return "";
    }
}

function ovhcloud(): OvhClient {
    return new OvhClient(resolveCredentials({ config: () => undefined, env: stage.env, files: [] }));
}

const clusterPath = () => `/cloud/project/${sandboxProjectId}/kube/${stage.cloud.api.clusters()[0]}`;

/** As in the control panel: every kubeconfig handed out so far opens nothing any more. */
async function resetKubeconfig(): Promise<void> {
    await ovhcloud().post(`${clusterPath()}/kubeconfig/reset`);
    while ((await ovhcloud().get<{ status: string }>(clusterPath())).status !== "READY") await sleep(100);
}

async function deleteClusterOutside(): Promise<void> {
    await ovhcloud().delete(clusterPath());
    while (stage.cloud.api.clusters().length > 0) await sleep(50);
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

    it("a cluster that is replaced takes everything over, and meanwhile a model moves, the new app first", async () => {
        await succeed(stage.up());
        const [old] = stage.cloud.api.clusters();
        const [app] = stage.cloud.api.apps();
        const before = stage.writes().length;
        await prepareByRunbook(stage, "Move the model to another region");
        const said = await succeed(followRunbook(stage, "Move the cluster"));
        const ofApps = stage
            .writes()
            .slice(before)
            .filter((call) => /^(POST|DELETE) .ai.app/.test(call));
        expect(ofApps).toEqual(["POST /ai/app", `DELETE /ai/app/${app.id}`]);
        expect(stage.cloud.api.stored().map(({ spec }) => spec.region)).toEqual(["BHS"]);
        expect(said).toMatch(/metrics, Grafana's database and silences are lost/);
        expect(said).toMatch(/giving back load balancers/);
        const clusters = stage.cloud.api.clusters();
        expect(clusters).toHaveLength(1);
        expect(clusters).not.toContain(old);
        const { items } = await kubernetes().listNamespacedSecret({ namespace: "monitoring" });
        expect(items.map(({ metadata }) => metadata!.name)).toContain("vllm-auth-token");
        await succeed(stage.previewNothing());
    });

    it("a kubeconfig that was revoked is fetched anew: objects change again, none is replaced, on other nodes", async () => {
        await resetKubeconfig();
        const uid = async () =>
            (await kubernetes().readNamespacedSecret({ namespace: "monitoring", name: "vllm-auth-token" })).metadata!
                .uid;
        const before = await uid();
        stage.configure({ "models.ministral.tokens.scrapeRotation": "2026-12-01" });
        const writes = stage.writes().length;
        await succeed(followRunbook(stage, "Another node flavor"));
        expect(await uid()).toBe(before);
        const ofPools = stage
            .writes()
            .slice(writes)
            .filter((call) => call.includes("/nodepool"));
        expect(ofPools.map((call) => call.split(" ")[0])).toEqual(["POST", "DELETE"]);
        await succeed(stage.previewNothing());
    });

    it("destroy does without the kubeconfig of the state, which opens nothing any more", async () => {
        await resetKubeconfig();
        const said = await succeed(stage.destroy());
        expect(said).toContain("load balancers and volumes are given back");
        expect(nothing()).toEqual([[], [], [], []]);
        stage.configure({ cluster: undefined, models: undefined });
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
        expect(said).toMatch(/does not answer \(ECONNREFUSED\): what is in it stays as it is/);
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

    it("a cluster that was deleted outside: preview says what helps, and that makes everything anew", async () => {
        await succeed(stage.up());
        const [app] = stage.cloud.api.apps();
        await deleteClusterOutside();
        const said = await succeed(stage.preview());
        expect(said).toContain("PULUMI_K8S_DELETE_UNREACHABLE=true pulumi refresh, then pulumi up");
        stage.env.PULUMI_K8S_DELETE_UNREACHABLE = "true";
        await succeed(stage.refresh());
        delete stage.env.PULUMI_K8S_DELETE_UNREACHABLE;
        expect(kinds().filter((kind) => /^(kubernetes|ovh):/.test(kind))).toEqual([]);
        await succeed(stage.up());
        expect(stage.cloud.api.clusters()).toHaveLength(1);
        expect(stage.cloud.api.apps().map(({ id }) => id)).toEqual([app.id]);
        await succeed(stage.previewNothing());
    });

    it("destroy of one that was deleted outside needs no help", async () => {
        await deleteClusterOutside();
        const said = await succeed(stage.destroy());
        expect(said).toContain("is gone already");
        expect(nothing()).toEqual([[], [], [], []]);
    });
});
