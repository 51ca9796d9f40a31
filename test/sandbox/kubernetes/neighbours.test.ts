import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { layoutOf, type Layout } from "../../../sandbox/layout";
import { sandboxCredentials, sandboxProjectId } from "../../../sandbox/credentials";
import { startLocalCloud, type LocalCloud } from "../../../sandbox/local-cloud";
import { signature } from "../../../sandbox/ovhcloud/auth";
import { endProcesses, sandboxProcesses } from "../../../sandbox/processes";
import { ensureToolchain } from "../../../sandbox/toolchain/toolchain";
import { eventually } from "./control-plane";

/** Sandboxes of several clones on one machine, started at the same moment and wanting the same ports. */

const layouts = [1, 2, 3].map(() => layoutOf(mkdtempSync(join(tmpdir(), "neighbour-"))));
let clouds: LocalCloud[] = [];

afterAll(async () => {
    await Promise.all(clouds.map((cloud) => cloud.close()));
    for (const { dir } of layouts) {
        await endProcesses(sandboxProcesses(dir), 10);
        rmSync(dir, { recursive: true, force: true });
    }
});

async function api(cloud: LocalCloud, method: string, path: string, body = ""): Promise<any> {
    const url = `${cloud.api.url}/cloud/project/${sandboxProjectId}${path}`;
    const { applicationKey, applicationSecret, consumerKey } = sandboxCredentials;
    const time = String(Math.floor(Date.now() / 1000));
    const answer = await fetch(url, {
        method,
        headers: {
            "x-ovh-application": applicationKey,
            "x-ovh-consumer": consumerKey,
            "x-ovh-timestamp": time,
            "x-ovh-signature": signature(applicationSecret, consumerKey, method, url, body, time),
        },
        body: body || undefined,
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
}

/** The namespaces of the cluster of a cloud, after one named like the cloud was made in it. */
async function clusterOf(cloud: LocalCloud, layout: Layout, name: string): Promise<CoreV1Api> {
    const { id } = await api(cloud, "POST", "/kube", JSON.stringify({ region: "GRA11", name }));
    await eventually(async () => (await api(cloud, "GET", `/kube/${id}`)).status === "READY");
    const config = new KubeConfig();
    config.loadFromFile(layout.kubeconfig);
    const core = config.makeApiClient(CoreV1Api);
    await core.createNamespace({ body: { metadata: { name } } });
    return core;
}

it("each has ports, a cluster and a Prometheus of its own", async () => {
    const { bin } = await ensureToolchain({ log: () => undefined });
    const wanted = { apiPort: 17780, prometheusPort: 17790, alertmanagerPort: 17791 };
    const start = (layout: Layout): Promise<LocalCloud> =>
        startLocalCloud({ layout, bin, speed: 1000, ...wanted, log: () => undefined });
    clouds = await Promise.all(layouts.map(start));
    const urls = clouds.flatMap(({ api: { url }, prometheus, alertmanager }) => [url, prometheus, alertmanager]);
    expect(new Set(urls).size).toBe(9);

    const names = ["one", "two", "three"];
    const clusters = await Promise.all(clouds.map((cloud, i) => clusterOf(cloud, layouts[i], names[i])));
    for (const [i, core] of clusters.entries()) {
        const { items } = await core.listNamespace();
        const found = items.map(({ metadata }) => metadata!.name!).filter((name) => names.includes(name));
        expect(found).toEqual([names[i]]);
    }
    for (const cloud of clouds) {
        const parts = cloud.api.status().parts.map(({ name, exit, log }) => [name, exit, log.split("/kubernetes/")[0]]);
        const { dir } = layouts[clouds.indexOf(cloud)];
        expect(parts).toEqual(
            ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"].map((name) => [
                name,
                undefined,
                dir,
            ]),
        );
    }
});
