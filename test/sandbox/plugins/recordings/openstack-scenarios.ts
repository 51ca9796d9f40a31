import { unknown, type Before, type Properties } from "../engine";
import type { OpenStackSession } from "./openstack-session";

const types = {
    network: "openstack:networking/network:Network",
    subnet: "openstack:networking/subnet:Subnet",
    router: "openstack:networking/router:Router",
    link: "openstack:networking/routerInterface:RouterInterface",
    floatingIp: "openstack:networking/floatingIp:FloatingIp",
};
const getNetwork = "openstack:networking/getNetwork:getNetwork";

const region = "GRA11";
const vlan = (id: string) => ({ "provider:network_type": "vrack", "provider:segmentation_id": id });
const inputs = {
    network: { name: "llm", region, adminStateUp: true, valueSpecs: vlan("100") },
    subnet: { name: "llm", region, cidr: "10.100.0.0/20", ipVersion: 4, enableDhcp: true },
    router: { name: "llm", region, adminStateUp: true },
    floatingIp: { pool: "Ext-Net", region, description: "grafana of llm" },
};

type Kind = keyof typeof types;
type Made = Partial<Record<Kind, Before>>;

/** Everything of a private network, as `src/cluster` makes it. */
async function makeAll({ make, plugin }: OpenStackSession): Promise<Required<Made>> {
    const network = await make(types.network, inputs.network);
    const subnet = await make(types.subnet, { ...inputs.subnet, networkId: network.id });
    const external = await plugin.invoke(getNetwork, { name: "Ext-Net", external: true, region });
    const router = await make(types.router, { ...inputs.router, externalNetworkId: external.id as string });
    const link = await make(types.link, { region, routerId: router.id, subnetId: subnet.id });
    const floatingIp = await make(types.floatingIp, inputs.floatingIp);
    return { network, subnet, router, link, floatingIp };
}

const kinds = Object.keys(types) as Kind[];

/** Those without a user's name and password. */
export const byApplication = ["by-an-application-credential"];

/** What somebody does with the plugin; named as the file that holds what happened. */
export const scenarios: Record<string, (session: OpenStackSession) => Promise<void>> = {
    "made-seen-and-taken-down": async (session) => {
        const { plugin } = session;
        const made = await makeAll(session);
        for (const kind of kinds) {
            const seen = { ...made[kind], ...(await plugin.read(types[kind], made[kind])) };
            await plugin.diff(types[kind], seen, made[kind].inputs);
        }
        for (const kind of ["floatingIp", "link", "router", "subnet", "network"] as const) {
            await plugin.delete(types[kind], made[kind]);
            await plugin.read(types[kind], made[kind]);
        }
    },
    "preview-of-all": async ({ plugin }) => {
        const previewed = async (kind: Kind, given: Properties): Promise<void> => {
            const checked = await plugin.check(types[kind], given);
            await plugin.create(types[kind], checked.inputs, { preview: true });
        };
        await previewed("network", inputs.network);
        await previewed("subnet", { ...inputs.subnet, networkId: unknown });
        await previewed("router", { ...inputs.router, externalNetworkId: unknown });
        await previewed("link", { region, routerId: unknown, subnetId: unknown });
        await previewed("floatingIp", inputs.floatingIp);
    },
    "changes-in-place": async ({ make, change }) => {
        const network = await make(types.network, inputs.network);
        await change(types.network, network, { name: "other" });
        const floatingIp = await make(types.floatingIp, inputs.floatingIp);
        await change(types.floatingIp, floatingIp, { description: "another" });
        const router = await make(types.router, inputs.router);
        await change(types.router, router, { name: "other" });
    },
    "changes-that-replace": async (session) => {
        const made = await makeAll(session);
        const compare = async (kind: Kind, changes: Properties): Promise<void> => {
            const before = made[kind];
            await session.plugin.diff(types[kind], before, { ...before.inputs, ...changes });
        };
        await compare("network", { valueSpecs: { ...vlan("101"), __defaults: [] } });
        await compare("network", { region: "SBG5" });
        await compare("subnet", { cidr: "10.200.0.0/20" });
        await compare("subnet", { networkId: unknown });
        await compare("router", { region: "SBG5" });
        await compare("link", { subnetId: unknown });
        await compare("floatingIp", { pool: "Ext-Net-2" });
        await compare("floatingIp", { region: "SBG5" });
    },
    "taken-over-by-id": async (session) => {
        const made = await makeAll(session);
        for (const kind of kinds) {
            const { id } = made[kind];
            await session.plugin.read(types[kind], { id, inputs: {}, state: {} });
        }
    },
    "by-an-application-credential": async (session) => {
        const network = await session.make(types.network, inputs.network);
        await session.plugin.delete(types.network, network);
    },
    "names-left-out": async ({ make }) => {
        await make(types.network, { region });
        await make(types.router, { region });
    },
    "wrong-inputs": async ({ plugin }) => {
        await plugin.check(types.subnet, { name: "llm", nonsense: true });
        await plugin.check(types.floatingIp, { region });
        await plugin.check(types.link, {});
    },
    refused: async (session) => {
        const { plugin } = session;
        const made = await makeAll(session);
        const failing = (work: Promise<unknown>): Promise<void> =>
            work.then(
                () => Promise.reject(new Error("that was to be refused")),
                () => undefined,
            );
        // The real one tries again, for ten minutes if it is let.
        for (const kind of ["subnet", "router"] as const) {
            await failing(plugin.delete(types[kind], made[kind], { timeoutSeconds: 8 }));
        }
        const elsewhere = { ...inputs.subnet, networkId: "11111111-1111-4111-8111-111111111111" };
        await failing(session.make(types.subnet, elsewhere));
        await failing(session.make(types.floatingIp, { ...inputs.floatingIp, pool: "Int-Net" }));
        await failing(plugin.invoke(getNetwork, { name: "Int-Net", region }));
    },
};
