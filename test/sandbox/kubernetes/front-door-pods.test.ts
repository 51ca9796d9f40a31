import { AppsV1Api, CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FrontDoorPods } from "../../../sandbox/kubernetes/front-door-pods";
import { sandboxProcesses } from "../../../sandbox/processes";
import { ensureEnvoy } from "../../../sandbox/toolchain/envoy";
import { doorFiles, doorSecrets } from "../../../src/front-door/envoy";
import { doorDeployment, doorLabels, doorName } from "../../../src/front-door/manifests";
import { controlPlanes, eventually, type ControlPlanes } from "./control-plane";

/** A front door as the program deploys it, whose pod runs as the sandbox runs it, on a real control plane. */

const id = "c1a5c1a5-0000-4000-8000-000000000003";
const at = { namespace: "default" };
const name = doorName("chat");
const settings = {
    clients: ["search"],
    requestsPerMinute: {},
    holdSeconds: 10,
    maxWaiting: 5,
    access: "internal" as const,
    keepAddress: false,
    allowedSources: [],
};
let planes: ControlPlanes;
let core: CoreV1Api;
let apps: AppsV1Api;
let pods: FrontDoorPods;
let stopLooking: () => void;
let app: Server;
let missing: string | undefined = "there is no Envoy on this machine";

const secrets = (key: string) => doorSecrets({ clients: { search: { key } }, token: "made-up-token", holdSeconds: 10 });
const pod = async () =>
    (await core.listNamespacedPod({ ...at, labelSelector: `app=${doorLabels("chat").app}` })).items[0];
const ask = async (key: string) => {
    const url = pods.parts()[0]?.url;
    return (await fetch(`${url}/models`, { headers: { authorization: `Bearer ${key}` } })).status;
};

beforeAll(async () => {
    planes = await controlPlanes();
    await planes.mks.create(id, { name: "test", version: "1.34" });
    await planes.mks.scale(id, { id: "pool-1", name: "monitoring", flavor: "b2-15", nodes: 1 });
    const kubernetes = new KubeConfig();
    kubernetes.loadFromString(await planes.mks.kubeconfig(id));
    core = kubernetes.makeApiClient(CoreV1Api);
    apps = kubernetes.makeApiClient(AppsV1Api);
    const log = (line: string): void => void planes.log.push(line);
    pods = new FrontDoorPods(kubernetes, {
        dir: join(planes.dir, "front-doors"),
        caFile: "/etc/ssl/certs/ca-certificates.crt",
        envoy: () => (missing ? Promise.reject(new Error(missing)) : ensureEnvoy(log)),
        retryMs: 500,
        log,
    });
    stopLooking = planes.keepLooking(() => pods.look());
    app = createServer((_, answer) => answer.end("{}"));
    await new Promise<void>((done) => app.listen(0, "127.0.0.1", done));
    const url = `http://127.0.0.1:${(app.address() as { port: number }).port}`;
    const metadata = { name, labels: doorLabels("chat") };
    const data = doorFiles({ url, ...settings, tls: false });
    await core.createNamespacedConfigMap({ ...at, body: { metadata, data } });
    const stringData = secrets("made-up-key-0123456789");
    await core.createNamespacedSecret({ ...at, body: { metadata, stringData } });
    const body = { metadata, spec: doorDeployment("chat", settings, "1") };
    await apps.createNamespacedDeployment({ ...at, body });
});
afterAll(async () => {
    stopLooking();
    await pods.stop();
    await planes.close();
    app.close();
});

it("waits where there is no Envoy, and says so", async () => {
    const told = await eventually(async () => (await pod()).status?.containerStatuses?.[0]?.state?.waiting?.message);
    expect(["Envoy is being got for this machine", missing]).toContain(told);
    await eventually(async () => {
        const { status } = await pod();
        return status?.phase === "Pending" && status.containerStatuses?.[0].state?.waiting?.message === missing;
    });
    expect((await apps.readNamespacedDeployment({ ...at, name })).status?.availableReplicas).toBeUndefined();
});

it("runs once it has one, and lets in who has a key", async () => {
    missing = undefined;
    await eventually(
        async () => (await apps.readNamespacedDeployment({ ...at, name })).status?.availableReplicas === 1,
    );
    expect(await ask("made-up-key-0123456789")).toBe(200);
    expect(await ask("another-key-0123456789")).toBe(401);
});

it("takes in a key that has changed in the cluster, in the process that runs", async () => {
    const [before] = sandboxProcesses(join(planes.dir, "front-doors"));
    const body = { metadata: { name }, stringData: secrets("another-key-0123456789") };
    await core.replaceNamespacedSecret({ ...at, name, body });
    await eventually(async () => (await ask("another-key-0123456789")) === 200);
    expect(await ask("made-up-key-0123456789")).toBe(401);
    expect(sandboxProcesses(join(planes.dir, "front-doors"))).toEqual([before]);
});

it("gives way to a new pod at the same address, and goes with its Deployment", async () => {
    const { url } = pods.parts()[0];
    const first = (await pod()).metadata!.uid;
    const body = { metadata: { name, labels: doorLabels("chat") }, spec: doorDeployment("chat", settings, "2") };
    await apps.replaceNamespacedDeployment({ ...at, name, body });
    await eventually(async () => {
        const { items } = await core.listNamespacedPod({ ...at });
        return items.length === 1 && items[0].metadata!.uid !== first && pods.parts().length === 1;
    });
    expect(pods.parts()[0].url).toBe(url);
    await eventually(async () => (await ask("another-key-0123456789")) === 200);
    await apps.deleteNamespacedDeployment({ ...at, name });
    await eventually(async () => (await core.listNamespacedPod({ ...at })).items.length === 0);
    expect(sandboxProcesses(join(planes.dir, "front-doors"))).toEqual([]);
});
