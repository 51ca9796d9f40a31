import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { parse } from "yaml";
import { checkout } from "../../sandbox/layout";
import { openStage, type Stage } from "./stage";

let stage: Stage;

/** The committed prod stack, with what it leaves to be set, Grafana at an address that stays, and the chart of this test's own folder. */
beforeAll(async () => {
    const configOf = (name: string) =>
        (parse(readFileSync(join(checkout, `Pulumi.${name}.yaml`), "utf8")) as { config: Record<string, unknown> })
            .config;
    const sandbox = configOf("sandbox");
    const toSet = ["projectId", "huggingFaceToken"].map((key) => `ovhcloud-llm-serving:${key}`);
    const config = { ...configOf("prod"), ...Object.fromEntries(toSet.map((key) => [key, sandbox[key]])) };
    stage = await openStage({ program: checkout, config, chart: true });
    const grafana = { access: "loadBalancer", allowedSources: ["198.51.100.7/32"], keepAddress: true };
    stage.configure({ "monitoring.chart.path": stage.layout.chart, "monitoring.grafana": grafana });
});
afterAll(() => stage.close());

interface Resource {
    type: string;
    id?: string;
    protect?: boolean;
    inputs?: Record<string, unknown>;
    outputs?: Record<string, unknown>;
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
        const again = await stage.previewNothing();
        expect(again.code, again.stdout).toBe(0);
    });

    it("Grafana's load balancer has the stack's floating IP, which a Service that is made anew finds again", async () => {
        const { grafanaUrl, addresses, kubeconfig } = await stage.outputs();
        expect(ofType("FloatingIp")).toMatchObject({
            protect: true,
            outputs: { address: addresses.grafana as unknown },
        });
        expect(grafanaUrl).toContain(`http://${addresses.grafana}/`);
        const config = new KubeConfig();
        config.loadFromString(kubeconfig as string);
        const core = config.makeApiClient(CoreV1Api);
        const service = { namespace: "monitoring", name: "grafana-kept" };
        const there = async (): Promise<void> => {
            const { status } = await core.readNamespacedService(service);
            expect(status?.loadBalancer?.ingress?.[0]?.ip).toBe(addresses.grafana);
        };
        await vi.waitFor(there, { timeout: 30_000, interval: 200 });
        const { metadata, spec } = await core.readNamespacedService(service);
        await core.deleteNamespacedService(service);
        const { name, labels, annotations } = metadata!;
        const { type, ports, selector, loadBalancerIP, loadBalancerSourceRanges } = spec!;
        const body = {
            metadata: { name, labels, annotations },
            spec: { type, selector, loadBalancerIP, loadBalancerSourceRanges },
        };
        await core.createNamespacedService({ ...service, body: { ...body, spec: { ...body.spec, ports } } });
        await vi.waitFor(there, { timeout: 30_000, interval: 200 });
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
        for (const type of ["App", "Release", "Namespace", "KubeNodePool", "Kube", "Network", "FloatingIp"]) {
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
