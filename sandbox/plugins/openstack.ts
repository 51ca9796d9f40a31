/**
 * Stands in for Pulumi's OpenStack plugin: networks, subnets, routers and floating IPs, as far as a cluster in a private network
 * and its load balancers need them. The sandbox has no OpenStack: what is made here is a file each, in the folder that the first
 * argument names.
 */
import { version } from "@pulumi/openstack/package.json";
import { randomUUID } from "node:crypto";
import { freeAddress, OpenStackStore } from "./openstack-store";
import { serveProvider, type Properties, type ResourceType } from "./provider-server";

const store = new OpenStackStore(process.argv[2]);

/** OpenStack's name for a Public Cloud project. */
const tenantId = process.env.OVH_CLOUD_PROJECT_SERVICE ?? "";

/** The network that routers lead to; it is there in every region. */
const externalNetwork = { id: "0ec4e57e-0000-4000-8000-000000000000", name: "Ext-Net" };

const all = (kind: string): Properties[] => store.all(kind).map(({ id, properties }) => ({ id, ...properties }));

function need(kind: string, id: string): void {
    if (store.load(id)?.kind !== kind) throw new Error(`${kind} ${id} could not be found`);
}

/** The types differ in little: what they need, what they add, and what holds them. */
type Shape = "required" | "optional" | "inputDefaults" | "outputs" | "replaceOn" | "chosen" | "autonamed";

interface Kind extends Pick<ResourceType, Shape> {
    name: string;
    /** Throws when something that the inputs name is not there. Returns what the platform adds to them. */
    complete: (inputs: Properties) => Properties;
    /** What still uses it, or nothing. */
    usedBy: (id: string) => string | undefined;
}

function resource({ name: kind, complete, usedBy, ...rest }: Kind): ResourceType {
    const keep = (id: string, inputs: Properties): Properties => {
        const properties = { ...complete(inputs), ...inputs };
        store.save({ kind, id, properties });
        return properties;
    };
    return {
        ...rest,
        maps: ["valueSpecs"],
        create: async (inputs) => {
            const id = randomUUID();
            return { id, state: keep(id, inputs) };
        },
        read: async (id) => store.load(id)?.properties,
        update: async (id, { planned }) => {
            need(kind, id);
            return keep(id, planned);
        },
        delete: async (id) => {
            const user = usedBy(id);
            if (user) throw new Error(`${kind} ${id} is in use by ${user}`);
            store.remove(id);
        },
    };
}

const network = resource({
    name: "network",
    autonamed: true,
    outputs: ["allTags"],
    required: [],
    optional: [
        "availabilityZoneHints",
        "description",
        "dnsDomain",
        "name",
        "qosPolicyId",
        "segments",
        "tags",
        "transparentVlan",
        "valueSpecs",
    ],
    chosen: ["adminStateUp", "external", "mtu", "portSecurityEnabled", "region", "shared", "tenantId"],
    replaceOn: ["availabilityZoneHints", "region", "segments", "tenantId", "transparentVlan", "valueSpecs"],
    complete: () => ({
        adminStateUp: true,
        allTags: [],
        external: false,
        mtu: 1500,
        portSecurityEnabled: true,
        shared: false,
        tenantId,
    }),
    usedBy: (id) => all("subnet").find(({ networkId }) => networkId === id) && "a subnet",
});

const subnet = resource({
    name: "subnet",
    autonamed: true,
    inputDefaults: { noGateway: false },
    outputs: ["allTags"],
    required: ["networkId"],
    optional: [
        "allocationPoolsCollection",
        "description",
        "hostRoutes",
        "ipv6AddressMode",
        "ipv6RaMode",
        "name",
        "noGateway",
        "prefixLength",
        "serviceTypes",
        "subnetpoolId",
        "tags",
        "valueSpecs",
    ],
    chosen: ["allocationPools", "cidr", "dnsNameservers", "enableDhcp", "gatewayIp", "ipVersion", "region", "tenantId"],
    replaceOn: [
        "cidr",
        "ipVersion",
        "ipv6AddressMode",
        "ipv6RaMode",
        "networkId",
        "prefixLength",
        "region",
        "subnetpoolId",
        "tenantId",
        "valueSpecs",
    ],
    complete: ({ networkId, cidr }) => {
        need("network", networkId as string);
        const { first, second, last } = addresses(cidr as string);
        return {
            allTags: [],
            allocationPools: [{ start: second, end: last }],
            dnsNameservers: [],
            enableDhcp: true,
            gatewayIp: first,
            ipVersion: 4,
            tenantId,
        };
    },
    usedBy: (id) => all("router interface").find(({ subnetId }) => subnetId === id) && "a router interface",
});

const router = resource({
    name: "router",
    autonamed: true,
    outputs: ["allTags"],
    required: [],
    optional: [
        "availabilityZoneHints",
        "description",
        "externalGateway",
        "externalNetworkId",
        "externalSubnetIds",
        "name",
        "tags",
        "valueSpecs",
        "vendorOptions",
    ],
    chosen: ["adminStateUp", "distributed", "enableSnat", "externalFixedIps", "region", "tenantId"],
    replaceOn: ["availabilityZoneHints", "distributed", "region", "tenantId", "valueSpecs"],
    complete: ({ externalNetworkId }) => {
        if (externalNetworkId !== undefined && externalNetworkId !== externalNetwork.id) {
            throw new Error(`external network ${externalNetworkId} could not be found`);
        }
        return {
            adminStateUp: true,
            allTags: [],
            distributed: false,
            enableSnat: true,
            externalFixedIps: [],
            tenantId,
        };
    },
    usedBy: (id) => all("router interface").find(({ routerId }) => routerId === id) && "a router interface",
});

const routerInterface = resource({
    name: "router interface",
    inputDefaults: { forceDestroy: false },
    outputs: [],
    required: ["routerId"],
    optional: ["forceDestroy", "subnetId"],
    chosen: ["portId", "region"],
    replaceOn: ["portId", "region", "routerId", "subnetId"],
    complete: ({ routerId, subnetId }) => {
        need("router", routerId as string);
        if (subnetId !== undefined) need("subnet", subnetId as string);
        return { portId: randomUUID() };
    },
    usedBy: () => undefined,
});

const floatingIp = resource({
    name: "floating IP",
    outputs: ["allTags"],
    required: ["pool"],
    optional: ["description", "subnetIds", "tags", "valueSpecs"],
    chosen: ["address", "dnsDomain", "dnsName", "fixedIp", "portId", "region", "subnetId", "tenantId"],
    replaceOn: ["address", "dnsDomain", "dnsName", "pool", "region", "tenantId", "valueSpecs"],
    complete: ({ pool, address }) => {
        if (pool !== externalNetwork.name) throw new Error(`No network found with name: ${pool}`);
        return { address: (address as string | undefined) ?? freeAddress(store), allTags: [], tenantId };
    },
    // Taken from whoever has it.
    usedBy: () => undefined,
});

/** Of a network such as `10.100.0.0/20`: the gateway's address, the next, and the last before the broadcast address. */
function addresses(cidr: string): { first: string; second: string; last: string } {
    const [, address, bits] = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(cidr) ?? [];
    const size = 2 ** (32 - Number(bits));
    if (!address || !(size >= 4)) throw new Error(`cidr ${cidr}: only IPv4 networks of /30 and larger are simulated`);
    const number = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
    const start = number - (number % size);
    const text = (value: number): string =>
        [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
    return { first: text(start + 1), second: text(start + 2), last: text(start + size - 2) };
}

/** Finds the one network that is as asked, among those made here and the external one of each region. */
async function getNetwork({ name, external, networkId, region }: Properties): Promise<Properties> {
    const networks: Properties[] = [{ ...externalNetwork, external: true }, ...all("network")];
    const asked = { name: name as unknown, external: external as unknown, id: networkId as unknown };
    const found = networks.filter((network) =>
        Object.entries(asked).every(([key, value]) => value === undefined || network[key] === value),
    );
    if (found.length !== 1) {
        throw new Error(`getNetwork: ${found.length || "no"} networks are like ${JSON.stringify(asked)}`);
    }
    const [network] = found;
    const subnets = all("subnet").filter(({ networkId: of }) => of === network.id);
    return {
        id: network.id as string,
        name: network.name as string,
        external: network.external as boolean,
        adminStateUp: "true",
        allTags: [],
        availabilityZoneHints: [],
        region: region as unknown,
        segments: [],
        shared: "false",
        status: "ACTIVE",
        subnets: subnets.map(({ id }) => id as string),
    };
}

serveProvider({
    name: "openstack",
    // The npm package writes it with a `v`.
    version: version.replace(/^v/, ""),
    resources: {
        "openstack:networking/floatingIp:FloatingIp": floatingIp,
        "openstack:networking/network:Network": network,
        "openstack:networking/subnet:Subnet": subnet,
        "openstack:networking/router:Router": router,
        "openstack:networking/routerInterface:RouterInterface": routerInterface,
    },
    functions: { "openstack:networking/getNetwork:getNetwork": getNetwork },
});
