import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { OvhClient } from "../../packages/ai-deploy/src/api/client";
import { resolveCredentials } from "../../packages/ai-deploy/src/api/credentials";
import type { FaultRule } from "../../sandbox/ovhcloud/faults";
import { makeAuthority, type Certificate } from "../../sandbox/ovhcloud/certificates";
import type { ManagedKubernetes } from "../../sandbox/ovhcloud/mks";
import { openStage, type Stage } from "./stage";

/** Which kubeconfig opens a cluster now: each reset makes another. */
const generation = new Map<string, number>();

/** What takes until it is released, so that a kill meets it however slow the machine is. */
type Held = "cluster" | "nodes";
const releases = new Map<Held, Promise<void>>();

/** Holds back what is ordered from now on; returns its release. */
function hold(what: Held): () => void {
    let release = (): void => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    releases.set(what, released);
    return () => {
        releases.delete(what);
        release();
    };
}

/** Clusters in name only, that take a moment. */
const mks: ManagedKubernetes = {
    create: () => releases.get("cluster") ?? sleep(1500),
    kubeconfig: async (id) => kubeconfig(id, generation.get(id) ?? 0),
    resetKubeconfig: async (id) => void generation.set(id, (generation.get(id) ?? 0) + 1),
    scale: () => releases.get("nodes") ?? sleep(1000),
    resume: () => Promise.resolve(),
    delete: () => sleep(100),
};

const authority = makeAuthority("CN=clusters of a test");
const clients = new Map<string, Promise<Certificate>>();

/** Of the kubeconfig that a cluster has after so many resets; the plugin of Kubernetes reads certificate and key. */
function clientOf(id: string, count: number): Promise<Certificate> {
    const name = `${id} ${count}`;
    const made = clients.get(name) ?? authority.then((signer) => signer.issue("CN=admin", { client: true }));
    clients.set(name, made);
    return made;
}

async function kubeconfig(id: string, count: number): Promise<string> {
    const base64 = (text: string): string => Buffer.from(text).toString("base64");
    const { certificate, key } = await clientOf(id, count);
    const server = {
        server: "https://127.0.0.1:1",
        "certificate-authority-data": base64((await authority).certificate),
    };
    const user = { "client-certificate-data": base64(certificate), "client-key-data": base64(key) };
    return stringify({
        apiVersion: "v1",
        kind: "Config",
        clusters: [{ name: "sandbox", cluster: server }],
        users: [{ name: "admin", user }],
        contexts: [{ name: "sandbox", context: { cluster: "sandbox", user: "admin" } }],
        "current-context": "sandbox",
    });
}

let stage: Stage;
let api: OvhClient;
const kubePath = (): string => `/cloud/project/${stage.env.OVH_CLOUD_PROJECT_SERVICE}/kube`;

beforeAll(async () => {
    stage = await openStage({ program: join(__dirname, "cluster-program"), config: {}, mks });
    const credentials = resolveCredentials({ config: () => undefined, env: stage.env, files: [] });
    api = new OvhClient(credentials, { requestsPerMinute: 60_000 });
});
afterAll(() => stage.close());

type Run = ReturnType<Stage["up"]>;

async function succeed(run: Run): Promise<string> {
    const { code, stdout, stderr } = await run;
    expect(code, stdout + stderr).toBe(0);
    return stdout + stderr;
}

async function fail(run: Run): Promise<string> {
    const { code, stdout, stderr } = await run;
    expect(code, stdout + stderr).not.toBe(0);
    return stdout + stderr;
}

const onStack = (stack: string, command: string, ...args: string[]): Run =>
    stage.pulumi([command, "--stack", stack, "--config-file", stage.configFile, ...args]);

/** Name and size of each pool of each cluster, by the cluster's id. */
async function pools(): Promise<Record<string, string[]>> {
    const found = stage.cloud.api.clusters().map(async (id): Promise<[string, string[]]> => {
        const listed = await api.get<{ name: string; status: string; currentNodes: number }[]>(
            `${kubePath()}/${id}/nodepool`,
        );
        return [id, listed.map(({ name, status, currentNodes }) => `${currentNodes} nodes ${name} ${status}`)];
    });
    return Object.fromEntries(await Promise.all(found));
}

/** Deletes every cluster as in the control panel. */
async function deleteClusters(): Promise<void> {
    await Promise.all(stage.cloud.api.clusters().map((id) => api.delete(`${kubePath()}/${id}`)));
    while (stage.cloud.api.clusters().length > 0) await sleep(50);
}

interface Kill {
    asked: RegExp;
    times: number;
    /** What is not there before the kill. */
    held: Held;
}

/** Kills `pulumi up` as soon as the API was asked this for the nth time. */
async function upKilledAt(stack: string, { asked, times, held }: Kill): Promise<void> {
    const release = hold(held);
    const before = stage.cloud.api.requests().length;
    let pid: number | undefined;
    let ended = false;
    const args = ["up", "--yes", "--skip-preview", "--stack", stack, "--config-file", stage.configFile];
    const up = stage.pulumi(args, (started) => (pid = started)).finally(() => (ended = true));
    const seen = (): number =>
        stage.cloud.api
            .requests()
            .slice(before)
            .filter(({ method, path, status }) => status > 0 && asked.test(`${method} ${path}`)).length;
    while (!ended && seen() < times) await sleep(10);
    expect(ended).toBe(false);
    process.kill(pid!, "SIGKILL");
    await up;
    release();
    await succeed(stage.pulumi(["cancel", "--yes", "--stack", stack]));
}

describe.sequential("a cluster that is begun is finished by the next up, never made twice", () => {
    const kills: (Kill & { doing: string })[] = [
        { asked: /POST .*\/kube$/, times: 1, held: "cluster", doing: "ordering the cluster" },
        {
            asked: /GET (?!.*capabilities).*\/kube\/[^/]+$/,
            times: 3,
            held: "cluster",
            doing: "waiting for the cluster",
        },
        { asked: /POST .*\/kubeconfig$/, times: 1, held: "nodes", doing: "fetching its kubeconfig" },
        { asked: /POST .*\/nodepool$/, times: 1, held: "nodes", doing: "ordering the nodes" },
        { asked: /GET .*\/nodepool\/[^/]+$/, times: 3, held: "nodes", doing: "waiting for the nodes" },
    ];
    const faults: (FaultRule & { doing: string })[] = [
        { method: "POST", path: "/kube$", kind: "commit-then-drop", times: 1, doing: "ordering the cluster" },
        {
            method: "GET",
            path: "(?<!/capabilities)/kube/[^/]+$",
            kind: "status",
            status: 503,
            times: 1,
            doing: "waiting for the cluster",
        },
        {
            method: "POST",
            path: "/kubeconfig$",
            kind: "status",
            status: 503,
            times: 1,
            doing: "fetching its kubeconfig",
        },
        {
            method: "POST",
            path: "/nodepool$",
            kind: "commit-then-status",
            status: 503,
            times: 1,
            doing: "ordering the nodes",
        },
        {
            method: "GET",
            path: "/nodepool/[^/]+$",
            kind: "status",
            status: 503,
            times: 1,
            doing: "waiting for the nodes",
        },
    ];
    const interruptions = [
        ...kills.map((kill) => ({
            what: `kill -9 while ${kill.doing}`,
            interrupt: (stack: string) => upKilledAt(stack, kill),
        })),
        ...faults.map((fault) => ({
            what: `${fault.kind === "commit-then-drop" ? "no answer" : "503"} while ${fault.doing}`,
            interrupt: async (stack: string) => {
                stage.cloud.api.faults.add(fault);
                // By the fault, and nothing before it.
                expect(await fail(onStack(stack, "up", "--yes", "--skip-preview"))).toMatch(
                    /a fault was asked for|EOF|reset/,
                );
            },
        })),
    ];

    afterEach(async () => {
        stage.cloud.api.faults.clear();
        await deleteClusters();
    });

    it.each(interruptions.map((one, i) => ({ ...one, stack: `interrupted-${i}` })))(
        "$what",
        async ({ what: interruption, interrupt, stack }) => {
            await stage.initStack(stack);
            await interrupt(stack);
            await succeed(onStack(stack, "up", "--yes"));
            expect(Object.values(await pools())).toEqual([["3 nodes monitoring READY"]]);
            if (interruption === "503 while fetching its kubeconfig") {
                // The plugin alone never completes what it lacks.
                expect(await succeed(onStack(stack, "preview"))).toContain("run pulumi refresh once");
                await succeed(onStack(stack, "refresh", "--yes", "--skip-preview"));
            }
            await succeed(onStack(stack, "preview", "--expect-no-changes", "--diff"));
        },
    );
});

describe.sequential("a cluster that stands", () => {
    it("is made with one pool, and a second up changes nothing", async () => {
        await succeed(stage.up());
        expect(Object.values(await pools())).toEqual([["3 nodes monitoring READY"]]);
        const before = stage.writes().length;
        await succeed(stage.previewNothing());
        await succeed(stage.up());
        expect(stage.writes().slice(before)).toEqual([]);
    });

    it("a second stack of the same cluster name is refused in preview, with an import line that works", async () => {
        const [id] = stage.cloud.api.clusters();
        const before = stage.writes().length;
        await stage.initStack("other");
        for (const command of [["preview"], ["up", "--yes", "--skip-preview"]]) {
            const said = await fail(onStack("other", command[0], ...command.slice(1)));
            expect(said).toContain(id);
            expect(said).toContain("pulumi config set --path cluster.name");
            expect(said).not.toMatch(/at Object\.|node_modules/);
        }
        expect(stage.writes().slice(before)).toEqual([]);
        const said = await fail(onStack("other", "preview"));
        const line = /pulumi (import .*)/.exec(said)![1].split(" ");
        await succeed(onStack("other", line[0], ...line.slice(1), "--yes"));
        await succeed(onStack("other", "up", "--yes"));
        expect(stage.cloud.api.clusters()).toEqual([id]);
        expect(Object.values(await pools())).toEqual([["3 nodes monitoring READY"]]);
        await succeed(onStack("other", "preview", "--expect-no-changes", "--diff"));
    });

    it("a kubeconfig that was reset is fetched anew by the next up, which replaces nothing", async () => {
        const [id] = stage.cloud.api.clusters();
        const { kubeconfig: old } = await stage.outputs();
        await api.post(`${kubePath()}/${id}/kubeconfig/reset`);
        while ((await api.get<{ status: string }>(`${kubePath()}/${id}`)).status !== "READY") await sleep(50);
        expect(await succeed(stage.preview())).not.toMatch(/replace/);
        await succeed(stage.up());
        const { kubeconfig: renewed } = await stage.outputs();
        expect(renewed).toBe(await kubeconfig(id, 1));
        expect(renewed).not.toBe(old);
        await succeed(stage.previewNothing());
        for (const { key } of await Promise.all([clientOf(id, 0), clientOf(id, 1)])) {
            // Also in parts: the state is JSON, in which the lines of a key would be escaped.
            expect(stage.stateText()).not.toContain(Buffer.from(key).toString("base64"));
            expect(stage.stateText()).not.toContain(key.split("\n")[1]);
        }
    });

    it("no change shrinks a pool that its autoscaler has grown", async () => {
        const [id] = stage.cloud.api.clusters();
        stage.configure({ "nodePool.autoscale": { min: 2, max: 8 } });
        await succeed(stage.up());
        const [pool] = await api.get<{ id: string }[]>(`${kubePath()}/${id}/nodepool`);
        await api.put(`${kubePath()}/${id}/nodepool/${pool.id}`, { desiredNodes: 6 });
        await nodesReady(id);
        await succeed(stage.previewNothing());
        stage.configure({ "nodePool.autoscale.max": 10 });
        await succeed(stage.up());
        expect((await pools())[id]).toEqual(["6 nodes monitoring READY"]);
        await succeed(stage.previewNothing());
    });

    it("without the autoscaler its bounds are gone, too", async () => {
        const [id] = stage.cloud.api.clusters();
        stage.configure({ "nodePool.autoscale": undefined, "nodePool.nodes": 12 });
        await succeed(stage.up());
        const [pool] = await api.get<object[]>(`${kubePath()}/${id}/nodepool`);
        expect(pool).toMatchObject({ autoscale: false, desiredNodes: 12, minNodes: 0, maxNodes: 100 });
        await succeed(stage.previewNothing());
    });

    it("a flavor that is sold out, or that the region lacks, is refused in preview", async () => {
        const before = stage.writes().length;
        for (const [flavor, told] of [
            ["b2-120", /there is no b2-120 to be had in GRA11 now; give another: pulumi config set --path/],
            ["b2-16", /GRA11 has no b2-16; did you mean pulumi config set --path cluster\.nodePool\.flavor b2-15/],
        ] as const) {
            stage.configure({ "nodePool.flavor": flavor });
            expect(await fail(stage.preview())).toMatch(told);
        }
        stage.configure({ "nodePool.flavor": undefined });
        expect(stage.writes().slice(before)).toEqual([]);
    });

    it("with another flavor the new pool stands before the old one goes, also when that is interrupted", async () => {
        const [id] = stage.cloud.api.clusters();
        const plain = (await pools())[id];
        const [count] = /^\d+ nodes/.exec(plain[0])!;
        stage.configure({ "nodePool.flavor": "b3-16" });
        expect(await succeed(stage.preview())).toContain(`"monitoring-b3-16" with ${count} of b3-16 is made first`);
        const before = stage.writes().length;
        await upKilledAt("test", { asked: /GET .*\/nodepool\/[^/]+$/, times: 3, held: "nodes" });
        expect((await pools())[id]).toContain(plain[0]);
        await succeed(stage.up());
        const ofPools = stage
            .writes()
            .slice(before)
            .filter((call) => call.includes("/nodepool"));
        expect(ofPools.map((call) => call.split(" ")[0])).toEqual(["POST", "DELETE"]);
        expect((await pools())[id]).toEqual([`${count} monitoring-b3-16 READY`]);
        await succeed(stage.previewNothing());
        // The next one has the plain name again.
        stage.configure({ "nodePool.flavor": undefined });
        await succeed(stage.up());
        expect((await pools())[id]).toEqual(plain);
        await succeed(stage.previewNothing());
    });

    it("a change that failed but counts as made is told, and made after a refresh", async () => {
        const [id] = stage.cloud.api.clusters();
        const policy = async (): Promise<string> =>
            (await api.get<{ updatePolicy: string }>(`${kubePath()}/${id}`)).updatePolicy;
        stage.configure({ "cluster.updatePolicy": "MINIMAL_DOWNTIME" });
        stage.cloud.api.faults.add({ method: "PUT", path: "/updatePolicy$", kind: "status", status: 503, times: 1 });
        await fail(stage.up());
        stage.cloud.api.faults.clear();
        await stage.up();
        if ((await policy()) !== "MINIMAL_DOWNTIME") {
            expect(await succeed(stage.preview())).toContain("Run pulumi refresh, then pulumi up");
            await succeed(stage.refresh());
            await succeed(stage.up());
        }
        expect(await policy()).toBe("MINIMAL_DOWNTIME");
        await succeed(stage.previewNothing());
    });

    it("a replacement that was interrupted is finished, and what is lost by it is said before", async () => {
        const [old] = stage.cloud.api.clusters();
        stage.configure({ "cluster.region": "SBG5" });
        expect(await succeed(stage.preview())).toMatch(/metrics, Grafana's database and silences are lost/);
        await upKilledAt("test", { asked: /POST .*\/kube$/, times: 1, held: "cluster" });
        expect(stage.cloud.api.clusters()).toHaveLength(2);
        await succeed(stage.up());
        const after = await pools();
        expect(Object.values(after)).toEqual([["12 nodes monitoring READY"]]);
        expect(after).not.toHaveProperty(old);
        await succeed(stage.previewNothing());
    });

    it("destroy leaves nothing", async () => {
        await succeed(stage.destroy());
        expect(stage.cloud.api.clusters()).toEqual([]);
        expect(stage.cloud.api.violations()).toEqual([]);
    });
});

async function nodesReady(cluster: string): Promise<void> {
    while (!(await pools())[cluster].every((pool) => pool.endsWith("READY"))) await sleep(50);
}
