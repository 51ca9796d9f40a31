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
const externalNetwork = {
    id: "0ec4e57e-0000-4000-8000-000000000000",
    name: "Ext-Net",
    subnetId: "0ec4e57e-0001-4000-8000-000000000000",
};

const all = (kind: string): Properties[] => store.all(kind).map(({ id, properties }) => ({ id, ...properties }));

function need(kind: string, id: string): void {
    if (store.load(id)?.kind !== kind) throw new Error(`${kind} ${id} could not be found`);
}

/** The types differ in little: what they need, what they add, and what holds them. */
type Shape = "required" | "optional" | "inputDefaults" | "outputs" | "replaceOn" | "chosen" | "autonamed" | "notRead";

interface Kind extends Pick<ResourceType, Shape> {
    name: string;
    /** Throws when something that the inputs name is not there. Returns what the platform adds to them. */
    complete: (inputs: Properties, id: string) => Properties;
    /** What still uses it, or nothing. */
    usedBy: (id: string) => string | undefined;
}

/** As messages call it. */
function terraformName(kind: string): string {
    return `openstack_networking_${kind.replace(" ", "_")}_v2`;
}

function resource({ name: kind, complete, usedBy, ...rest }: Kind): ResourceType {
    const keep = (id: string, inputs: Properties): Properties => {
        const properties = { ...complete(inputs, id), ...inputs };
        store.save({ kind, id, properties });
        return properties;
    };
    return {
        ...rest,
        maps: ["valueSpecs"],
        timeouts: { create: 10, delete: 10 },
        olderBridge: true,
        create: async (inputs) => {
            const id = randomUUID();
            try {
                return { id, state: keep(id, inputs) };
            } catch (error) {
                const { message } = error as Error;
                // Looked for before anything is created.
                if (message.startsWith("No network found")) throw error;
                throw new Error(`Error creating ${terraformName(kind)}: ${message}`, { cause: error });
            }
        },
        read: async (id) => store.load(id)?.properties,
        update: async (id, { planned }) => {
            need(kind, id);
            return keep(id, planned);
        },
        delete: async (id) => {
            const user = usedBy(id);
            // All but routers the real one tries to delete for as long as it may.
            const doing = kind === "router" ? "deleting" : "waiting for";
            if (user) throw new Error(`Error ${doing} ${terraformName(kind)}: ${kind} ${id} is in use by ${user}`);
            store.remove(id);
        },
    };
}

/** How a network is carried, as whoever made it said. */
function segmentsOf(specs: Record<string, string>): Properties[] {
    const networkType = specs["provider:network_type"];
    if (networkType === undefined) return [];
    return [{ networkType, physicalNetwork: "", segmentationId: Number(specs["provider:segmentation_id"] ?? 0) }];
}

const network = resource({
    name: "network",
    notRead: ["valueSpecs"],
    autonamed: true,
    outputs: ["allTags"],
    required: [],
    optional: ["description", "name", "tags", "valueSpecs"],
    chosen: [
        "adminStateUp",
        "availabilityZoneHints",
        "dnsDomain",
        "external",
        "mtu",
        "portSecurityEnabled",
        "qosPolicyId",
        "region",
        "segments",
        "shared",
        "tenantId",
        "transparentVlan",
    ],
    replaceOn: ["availabilityZoneHints", "region", "segments", "tenantId", "transparentVlan", "valueSpecs"],
    complete: ({ valueSpecs }) => ({
        adminStateUp: true,
        allTags: [],
        description: "",
        dnsDomain: "",
        external: false,
        mtu: 1500,
        portSecurityEnabled: true,
        qosPolicyId: "",
        segments: segmentsOf((valueSpecs ?? {}) as Record<string, string>),
        shared: false,
        tenantId,
        transparentVlan: false,
    }),
    usedBy: (id) => all("subnet").find(({ networkId }) => networkId === id) && "a subnet",
});

const subnet = resource({
    name: "subnet",
    autonamed: true,
    inputDefaults: { enableDhcp: true, ipVersion: 4, noGateway: false },
    outputs: ["allTags"],
    required: ["networkId"],
    optional: [
        "description",
        "dnsNameservers",
        "enableDhcp",
        "hostRoutes",
        "ipVersion",
        "name",
        "noGateway",
        "prefixLength",
        "subnetpoolId",
        "tags",
        "valueSpecs",
    ],
    chosen: [
        "allocationPools",
        "allocationPoolsCollection",
        "cidr",
        "gatewayIp",
        "ipv6AddressMode",
        "ipv6RaMode",
        "region",
        "serviceTypes",
        "tenantId",
    ],
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
        const pools = [{ start: second, end: last }];
        return {
            allTags: [],
            allocationPools: pools,
            allocationPoolsCollection: pools,
            description: "",
            dnsNameservers: [],
            gatewayIp: first,
            ipv6AddressMode: "",
            ipv6RaMode: "",
            subnetpoolId: "",
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
    optional: ["description", "externalSubnetIds", "name", "tags", "valueSpecs", "vendorOptions"],
    chosen: [
        "adminStateUp",
        "availabilityZoneHints",
        "distributed",
        "enableSnat",
        "externalFixedIps",
        "externalGateway",
        "externalNetworkId",
        "region",
        "tenantId",
    ],
    replaceOn: ["availabilityZoneHints", "distributed", "region", "tenantId", "valueSpecs"],
    complete: ({ externalNetworkId }) => {
        if (![undefined, "", externalNetwork.id].includes(externalNetworkId as string | undefined)) {
            throw new Error(`external network ${externalNetworkId} could not be found`);
        }
        const leadsOut = externalNetworkId !== undefined && externalNetworkId !== "";
        return {
            adminStateUp: true,
            allTags: [],
            description: "",
            distributed: false,
            enableSnat: leadsOut,
            externalFixedIps: leadsOut ? [{ ipAddress: freeAddress(store), subnetId: externalNetwork.subnetId }] : [],
            externalGateway: leadsOut ? externalNetwork.id : "",
            externalNetworkId: leadsOut ? externalNetwork.id : "",
            tenantId,
        };
    },
    usedBy: (id) => all("router interface").find(({ routerId }) => routerId === id) && "a router interface",
});

const routerInterface = resource({
    name: "router interface",
    notRead: ["forceDestroy"],
    inputDefaults: { forceDestroy: false },
    outputs: [],
    required: ["routerId"],
    optional: ["forceDestroy"],
    chosen: ["portId", "region", "subnetId"],
    replaceOn: ["portId", "region", "routerId", "subnetId"],
    complete: ({ routerId, subnetId }, id) => {
        need("router", routerId as string);
        if (subnetId !== undefined) need("subnet", subnetId as string);
        return { portId: id };
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
        const nobodys = { dnsDomain: "", dnsName: "", fixedIp: "", portId: "" };
        return { address: (address as string | undefined) ?? freeAddress(store), allTags: [], ...nobodys, tenantId };
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
    const leadsOut = {
        id: externalNetwork.id,
        name: externalNetwork.name,
        external: true,
        tenantId: "of-the-platform",
    };
    const networks: Properties[] = [leadsOut, ...all("network")];
    const asked = { name: name as unknown, external: external as unknown, id: networkId as unknown };
    const found = networks.filter((network) =>
        Object.entries(asked).every(([key, value]) => value === undefined || network[key] === value),
    );
    if (found.length !== 1) {
        const results = found.length === 0 ? "no results" : "more than one result";
        throw new Error(`Your query returned ${results}: ${JSON.stringify(asked)}`);
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
        description: "",
        dnsDomain: "",
        mtu: 1500,
        region: region as unknown,
        segments: (network.segments ?? []) as unknown,
        shared: "false",
        tenantId: network.tenantId as string,
        transparentVlan: false,
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
