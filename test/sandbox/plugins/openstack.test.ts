import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { floatingIps } from "../../../sandbox/plugins/openstack-store";
import { startStandIn, temporaryFolder, unknown, type Before, type Plugin, type Properties } from "./engine";

const networkType = "openstack:networking/network:Network";
const subnetType = "openstack:networking/subnet:Subnet";
const routerType = "openstack:networking/router:Router";
const interfaceType = "openstack:networking/routerInterface:RouterInterface";
const floatingIpType = "openstack:networking/floatingIp:FloatingIp";
const getNetwork = "openstack:networking/getNetwork:getNetwork";

const dir = temporaryFolder();
let plugin: Plugin;

beforeAll(async () => {
    plugin = await startStandIn("openstack", dir);
    await plugin.configure({});
});
afterAll(async () => {
    await plugin.close();
    rmSync(dir, { recursive: true });
});

async function make(type: string, inputs: Properties): Promise<Before> {
    const checked = await plugin.check(type, inputs);
    expect(checked.failures).toEqual([]);
    return { inputs: checked.inputs, ...(await plugin.create(type, checked.inputs)) };
}

const vlan = { "provider:network_type": "vrack", "provider:segmentation_id": "100" };
const networkInputs = { name: "llm", region: "GRA11", adminStateUp: true, valueSpecs: vlan };

it("makes a private network with a way out, sees it after a restart, and takes it down in order only", async () => {
    const network = await make(networkType, networkInputs);
    const subnet = await make(subnetType, {
        name: "llm",
        region: "GRA11",
        networkId: network.id,
        cidr: "10.100.0.0/20",
        ipVersion: 4,
        enableDhcp: true,
    });
    expect(subnet.state).toMatchObject({
        gatewayIp: "10.100.0.1",
        allocationPools: [{ start: "10.100.0.2", end: "10.100.15.254" }],
    });
    const external = await plugin.invoke(getNetwork, { name: "Ext-Net", external: true, region: "GRA11" });
    const router = await make(routerType, { name: "llm", region: "GRA11", externalNetworkId: external.id });
    const link = await make(interfaceType, { region: "GRA11", routerId: router.id, subnetId: subnet.id });

    await plugin.close();
    plugin = await startStandIn("openstack", dir);
    await plugin.configure({});

    for (const [type, before] of [
        [networkType, network],
        [subnetType, subnet],
        [routerType, router],
        [interfaceType, link],
    ] as const) {
        const refreshed = await plugin.read(type, before);
        expect(refreshed).toEqual(before);
        expect(await plugin.diff(type, refreshed, before.inputs)).toMatchObject({ changes: false });
    }
    expect(await plugin.invoke(getNetwork, { name: "llm" })).toMatchObject({ id: network.id, subnets: [subnet.id] });

    await expect(plugin.delete(networkType, network)).rejects.toThrow(/in use by a subnet/);
    await expect(plugin.delete(subnetType, subnet)).rejects.toThrow(/in use by a router interface/);
    await expect(plugin.delete(routerType, router)).rejects.toThrow(/in use by a router interface/);
    await plugin.delete(interfaceType, link);
    await plugin.delete(routerType, router);
    await plugin.delete(subnetType, subnet);
    await plugin.delete(networkType, network);
    expect(await plugin.read(networkType, network)).toEqual({ id: "", state: {}, inputs: {} });
    await plugin.delete(networkType, network);
});

it("changes a name in place, and replaces on another VLAN", async () => {
    const network = await make(networkType, networkInputs);
    const renamed = { ...networkInputs, name: "other" };
    expect(await plugin.diff(networkType, network, renamed)).toMatchObject({ names: ["name"], replaces: [] });
    const state = await plugin.update(networkType, network, renamed);
    expect(state.name).toBe("other");
    expect((await plugin.read(networkType, network)).state).toEqual(state);

    const otherVlan = { ...networkInputs, valueSpecs: { ...vlan, "provider:segmentation_id": "101" } };
    const difference = await plugin.diff(networkType, network, otherVlan);
    // Of the same name, so the old one has to go first.
    expect(difference).toMatchObject({ replaces: ["valueSpecs"], deleteBeforeReplace: true });
    await plugin.delete(networkType, network);
});

it("names what has no name, and keeps that name", async () => {
    const first = await plugin.check(networkType, { region: "GRA11" });
    expect(first.inputs.name).toMatch(/^logical-name-[0-9a-f]{7}$/);
    const second = await plugin.check(networkType, { region: "GRA11" }, first.inputs);
    expect(second.inputs).toEqual(first.inputs);
});

it("finds faults: a network that is not there, an address range that is none", async () => {
    await expect(make(subnetType, { networkId: "no-such-network", cidr: "10.0.0.0/24" })).rejects.toThrow(
        /network no-such-network could not be found/,
    );
    const network = await make(networkType, networkInputs);
    await expect(make(subnetType, { networkId: network.id, cidr: "10.0.0.0" })).rejects.toThrow(/cidr 10\.0\.0\.0/);
    await expect(plugin.invoke(getNetwork, { name: "Int-Net" })).rejects.toThrow(
        /Your query returned no results.*Int-Net/,
    );
    await plugin.delete(networkType, network);
});

it("shows in a preview what is known, and nothing else", async () => {
    const inputs = { name: "llm", networkId: unknown, cidr: "10.100.0.0/20" };
    expect((await plugin.check(subnetType, inputs)).failures).toEqual([]);
    const { state } = await plugin.create(subnetType, inputs, { preview: true });
    expect(state).toEqual({ id: "", name: "llm", cidr: "10.100.0.0/20" });
});

describe("a floating IP", () => {
    const inputs = { pool: "Ext-Net", region: "GRA11", description: "grafana of llm" };
    const balancers = () => floatingIps(join(dir, "pulumi/openstack"));

    it("is an address of its own, and another in another region", async () => {
        const first = await make(floatingIpType, inputs);
        const second = await make(floatingIpType, inputs);
        expect(first.state.address).toMatch(/^198\.51\.100\.\d+$/);
        expect(second.state.address).not.toBe(first.state.address);
        const moved = await plugin.diff(floatingIpType, first, { ...first.inputs, region: "SBG5" });
        // Both may stand at once: it has no name.
        expect(moved).toMatchObject({ replaces: ["region"], deleteBeforeReplace: false });
        const renamed = await plugin.diff(floatingIpType, first, { ...first.inputs, description: "another" });
        expect(renamed).toMatchObject({ names: ["description"], replaces: [] });
        await plugin.delete(floatingIpType, first);
        await plugin.delete(floatingIpType, second);
    });

    it("is of the one network that leads out", async () => {
        await expect(make(floatingIpType, { ...inputs, pool: "Int-Net" })).rejects.toThrow(
            /No network found with name: Int-Net/,
        );
    });

    it("is one load balancer's at a time, and stays when that goes", async () => {
        const kept = await make(floatingIpType, inputs);
        const address = kept.state.address as string;
        expect(balancers().attach("198.51.100.250", "balancer-1")).toBe(false);
        expect(balancers().attach(address, "balancer-1")).toBe(true);
        expect(balancers().attach(address, "balancer-2")).toBe(false);
        const seen = await plugin.read(floatingIpType, kept);
        expect(seen.state).toMatchObject({ address, portId: "balancer-1" });
        // Whose it is now is no change of the stack's.
        expect(await plugin.diff(floatingIpType, seen, kept.inputs)).toMatchObject({ changes: false });
        balancers().release("balancer-1");
        expect(balancers().attach(address, "balancer-2")).toBe(true);
        await plugin.delete(floatingIpType, kept);
        expect(balancers().attach(address, "balancer-2")).toBe(false);
    });

    it("is taken over by its id", async () => {
        const made = await make(floatingIpType, inputs);
        const imported = await plugin.read(floatingIpType, { id: made.id, inputs: {}, state: {} });
        expect(imported.inputs).toMatchObject({ pool: "Ext-Net", address: made.state.address });
        await plugin.delete(floatingIpType, made);
    });
});
