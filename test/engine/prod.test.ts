import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { checkout } from "../../sandbox/layout";
import { openStage, type Stage } from "./stage";

let stage: Stage;

/** The committed prod stack, with what it leaves to be set, and the chart of this test's own folder. */
beforeAll(async () => {
    const configOf = (name: string) =>
        (parse(readFileSync(join(checkout, `Pulumi.${name}.yaml`), "utf8")) as { config: Record<string, unknown> })
            .config;
    const sandbox = configOf("sandbox");
    const toSet = ["projectId", "huggingFaceToken"].map((key) => `ovhcloud-llm-serving:${key}`);
    const config = { ...configOf("prod"), ...Object.fromEntries(toSet.map((key) => [key, sandbox[key]])) };
    stage = await openStage({ program: checkout, config, chart: true });
    stage.configure({ "monitoring.chart.path": stage.layout.chart });
});
afterAll(() => stage.close());

interface Resource {
    type: string;
    id?: string;
    protect?: boolean;
    inputs?: Record<string, unknown>;
}

function resources(): Resource[] {
    const state = JSON.parse(stage.stateText()) as { checkpoint: { latest: { resources?: Resource[] } } };
    return state.checkpoint.latest.resources ?? [];
}

const ofType = (type: string): Resource => resources().find((one) => one.type.endsWith(`:${type}`))!;

describe.sequential("the prod stack, real engine, emulated OVHcloud", () => {
    it("up puts the cluster into a private network of its own", async () => {
        const { code, stdout, stderr } = await stage.up();
        expect(code, stdout + stderr).toBe(0);
        expect(ofType("Kube").inputs).toMatchObject({
            privateNetworkId: ofType("Network").id,
            nodesSubnetId: ofType("Subnet").id,
        });
        expect(ofType("RouterInterface").inputs).toMatchObject({
            routerId: ofType("Router").id,
            subnetId: ofType("Subnet").id,
        });
        expect((await stage.outputs()).grafanaUrl).toMatch(/^http:\/\/localhost:3000\//);
        const again = await stage.previewNothing();
        expect(again.code, again.stdout).toBe(0);
    });

    it("a change that would replace the cluster, and with it lose its volumes, is refused", async () => {
        const before = stage.writes().length;
        stage.configure({ "cluster.region": "SBG5" });
        const { code, stdout, stderr } = await stage.up();
        stage.configure({ "cluster.region": undefined });
        expect(code).not.toBe(0);
        expect(stdout + stderr).toMatch(/protect/);
        expect(stage.writes().slice(before)).toEqual([]);
        expect(stage.cloud.api.clusters()).toHaveLength(1);
    });

    it("destroy is refused, and nothing goes", async () => {
        const before = { resources: resources().length, writes: stage.writes().length };
        const { code, stdout, stderr } = await stage.destroyAfterPreview();
        expect(code).not.toBe(0);
        expect(stdout + stderr).toMatch(/protect/);
        expect(resources()).toHaveLength(before.resources);
        expect(stage.writes().slice(before.writes)).toEqual([]);
    });

    it("destroy without a preview is refused as well, and leaves the app and whatever holds data", async () => {
        const { code, stdout, stderr } = await stage.destroy();
        expect(code).not.toBe(0);
        expect(stdout + stderr).toMatch(/protect/);
        for (const type of ["App", "Release", "Namespace", "KubeNodePool", "Kube", "Network"]) {
            expect(ofType(type)).toBeDefined();
        }
    });

    it("with the protection taken off, destroy leaves nothing, the network included", async () => {
        stage.configure({ "cluster.protect": false, "models.ministral.protect": false });
        for (const run of [await stage.up(), await stage.destroy()]) expect(run.code, run.stdout + run.stderr).toBe(0);
        expect(resources()).toEqual([]);
        expect([stage.cloud.api.apps(), stage.cloud.api.tokens(), stage.cloud.api.clusters()]).toEqual([[], [], []]);
        expect(stage.cloud.api.violations()).toEqual([]);
    });
});
