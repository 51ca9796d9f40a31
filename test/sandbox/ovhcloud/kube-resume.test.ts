import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ManagedKubernetes } from "../../../sandbox/ovhcloud/mks";
import { startTestCloud, type TestCloud } from "./cloud";

const never = (): Promise<never> => new Promise(() => undefined);
const nothing = async (): Promise<void> => undefined;
/** At once on a machine that has nothing else to do. */
const eventually = { timeout: 30_000 };

let stateDir: string;
let cloud: TestCloud;
beforeEach(() => (stateDir = mkdtempSync(join(tmpdir(), "kube-resume-"))));
afterEach(async () => {
    await cloud.close();
    rmSync(stateDir, { recursive: true, force: true });
});

/** Starts an OVHcloud on the state of the one before, which was killed; what is not given is done at once. */
async function start(mks: Partial<ManagedKubernetes> = {}): Promise<void> {
    const rest = { create: nothing, resume: nothing, delete: nothing, resetKubeconfig: nothing, scale: nothing };
    cloud = await startTestCloud({ stateDir, mks: { ...rest, kubeconfig: async () => "", ...mks } });
}

/** A cluster that is READY, with a pool of two nodes that has begun. */
async function ordered(): Promise<{ path: string; pool: string }> {
    const { id } = await cloud.api("POST", "/kube", { region: "GRA11" });
    const path = `/kube/${id}`;
    await vi.waitFor(async () => expect((await cloud.api("GET", path)).status).toBe("READY"), eventually);
    const pool = await cloud.api("POST", `${path}/nodepool`, {
        flavorName: "b2-15",
        desiredNodes: 2,
        name: "monitoring",
    });
    return { path, pool: `${path}/nodepool/${pool.id}` };
}

/** As the daemon that is killed leaves it: what is under way is noted nowhere but in the state. */
async function restart(mks?: Partial<ManagedKubernetes>): Promise<void> {
    await cloud.close();
    await start(mks);
}

it("a pool whose making was interrupted is made, and shows its nodes", async () => {
    await start({ scale: never });
    const { pool } = await ordered();
    await restart();
    await vi.waitFor(async () => {
        expect(await cloud.api("GET", pool)).toMatchObject({ status: "READY", currentNodes: 2, availableNodes: 2 });
    }, eventually);
});

it("a pool whose deletion was interrupted goes, and does not come back to life", async () => {
    const scale = vi.fn<ManagedKubernetes["scale"]>(nothing);
    await start({ scale });
    const { path, pool } = await ordered();
    await vi.waitFor(async () => expect((await cloud.api("GET", pool)).status).toBe("READY"), eventually);
    scale.mockImplementation(never);
    await cloud.api("DELETE", pool);
    await expect(cloud.api("PUT", pool, { desiredNodes: 3 })).rejects.toThrow(/409.*is DELETING/);
    await restart({ scale: scale.mockImplementation(nothing) });
    await vi.waitFor(async () => expect(await cloud.api("GET", `${path}/nodepool`)).toEqual([]), eventually);
    expect(scale.mock.lastCall?.[1]).toMatchObject({ name: "monitoring", nodes: 0 });
    expect((await cloud.api("GET", path)).status).toBe("READY");
});

it("a cluster whose interrupted deletion fails is in ERROR, said so, and ends nobody else", async () => {
    await start({ delete: never });
    const { path } = await ordered();
    await cloud.api("DELETE", path);
    await restart({ delete: () => Promise.reject(new Error("the folder is in use")) });
    await vi.waitFor(async () => expect((await cloud.api("GET", path)).status).toBe("ERROR"), eventually);
    expect(cloud.lines.join("\n")).toContain("ERROR, the folder is in use");
    expect(JSON.parse(readFileSync(join(stateDir, "state.json"), "utf8")).clusters).not.toEqual({});
});
