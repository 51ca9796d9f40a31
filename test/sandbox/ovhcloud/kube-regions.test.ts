import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { startTestCloud, type TestCloud } from "./cloud";

const scaled = vi.fn(async (_id: string, _pool: { zone?: string }) => undefined);
let cloud: TestCloud;
beforeAll(async () => {
    const nothing = async (): Promise<void> => undefined;
    const mks = { create: nothing, resume: nothing, delete: nothing, resetKubeconfig: nothing, scale: scaled };
    cloud = await startTestCloud({ mks: { ...mks, kubeconfig: async () => "" } });
});
afterAll(() => cloud.close());

const privateNetworkId = "11111111-1111-4111-8111-111111111111";
const nodesSubnetId = "22222222-2222-4222-8222-222222222222";
const paris = { region: "EU-WEST-PAR", plan: "standard", privateNetworkId, nodesSubnetId };

it.each<[string, object, RegExp]>([
    ["the plan of the other regions", { region: "EU-WEST-PAR" }, /plan free is not available in EU-WEST-PAR/],
    ["and the other way round", { region: "GRA11", plan: "standard" }, /plan standard is not available in GRA11/],
    [
        "no network of its own where there are three zones",
        { region: "EU-WEST-PAR", plan: "standard" },
        /needs a private network/,
    ],
])("a cluster is refused: %s", async (_, body, message) => {
    await expect(cloud.api("POST", "/kube", body)).rejects.toThrow(message);
});

it("a pool in three zones is in one of them, and its nodes with it", async () => {
    const kube = await cloud.api("POST", "/kube", paris);
    await vi.waitFor(async () => expect((await cloud.api("GET", `/kube/${kube.id}`)).status).toBe("READY"), {
        timeout: 30_000,
    });
    const order = (availabilityZones?: string[]) =>
        cloud.api("POST", `/kube/${kube.id}/nodepool`, { name: "monitoring", flavorName: "b3-16", availabilityZones });
    for (const zones of [undefined, ["eu-south-mil-a"], ["eu-west-par-a", "eu-west-par-b"]]) {
        await expect(order(zones)).rejects.toThrow(/is in one availability zone: eu-west-par-a, /);
    }
    expect(await order(["eu-west-par-b"])).toMatchObject({ availabilityZones: ["eu-west-par-b"] });
    await vi.waitFor(() => expect(scaled.mock.lastCall?.[1]).toMatchObject({ zone: "eu-west-par-b" }), {
        timeout: 30_000,
    });
});
