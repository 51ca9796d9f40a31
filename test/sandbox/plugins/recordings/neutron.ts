import { randomUUID } from "node:crypto";

/** A thing as the API shows it, of whatever shape. */
export type Fields = Record<string, any>;

/** What Neutron or Keystone says to a call that it refuses. */
export class Refusal extends Error {
    constructor(
        readonly status: number,
        readonly type: string,
        message: string,
    ) {
        super(message);
    }
}

const kinds = ["networks", "subnets", "routers", "ports", "floatingips"] as const;
type Kind = (typeof kinds)[number];
const one: Record<Kind, string> = {
    networks: "network",
    subnets: "subnet",
    routers: "router",
    ports: "port",
    floatingips: "floatingip",
};

/** The networks of a region; one of them leads out. */
export class Neutron {
    private readonly things: Record<Kind, Map<string, Fields>>;
    private readonly external = { network: randomUUID(), subnet: randomUUID() };
    private outside = 9;

    /** @param tenantId whose things are made */
    constructor(private readonly tenantId: string) {
        this.things = Object.fromEntries(kinds.map((kind) => [kind, new Map()])) as Record<Kind, Map<string, Fields>>;
        const network = {
            ...this.newNetwork({ name: "Ext-Net" }),
            "router:external": true,
            tenant_id: "of-the-platform",
        };
        this.things.networks.set(this.external.network, { ...network, id: this.external.network, subnets: [] });
    }

    handle(method: string, path: string[], query: URLSearchParams, body: Fields): { status: number; body?: Fields } {
        const [kind, id, action] = path as [Kind, string | undefined, string | undefined];
        if (!kinds.includes(kind)) throw new Refusal(404, "HTTPNotFound", "The resource could not be found.");
        if (method === "GET" && id === undefined) return { status: 200, body: { [kind]: this.list(kind, query) } };
        if (method === "POST" && id === undefined) {
            const thing = this.create(kind, body[one[kind]] as Fields);
            this.things[kind].set(thing.id as string, thing);
            return { status: 201, body: { [one[kind]]: thing } };
        }
        const thing = this.find(kind, id!);
        if (method === "GET") return { status: 200, body: { [one[kind]]: thing } };
        if (method === "PUT" && action === "add_router_interface") {
            return { status: 200, body: this.addInterface(thing, body) };
        }
        if (method === "PUT" && action === "remove_router_interface") {
            return { status: 200, body: this.removeInterface(thing, body) };
        }
        if (method === "PUT" && action === undefined) {
            const changes = body[one[kind]] as Fields;
            const gateway = changes.external_gateway_info as Fields | undefined;
            Object.assign(thing, changes, gateway && { external_gateway_info: this.gateway(gateway) });
            return { status: 200, body: { [one[kind]]: thing } };
        }
        if (method === "DELETE") {
            this.refuseUsed(kind, id!);
            this.things[kind].delete(id!);
            if (kind === "networks") this.deleteWhere("subnets", ({ network_id: of }) => of === id);
            return { status: 204 };
        }
        throw new Refusal(405, "HTTPMethodNotAllowed", `${method} is not simulated`);
    }

    private find(kind: Kind, id: string): Fields {
        const thing = this.things[kind].get(id);
        const name = one[kind].replace(/^./, (letter) => letter.toUpperCase());
        if (!thing) throw new Refusal(404, `${name}NotFound`, `${name} ${id} could not be found.`);
        return thing;
    }

    private list(kind: Kind, query: URLSearchParams): Fields[] {
        const asked = [...query].filter(([, value]) => value !== "");
        return [...this.things[kind].values()].filter((thing) =>
            asked.every(([name, value]) => String(thing[name]).toLowerCase() === value.toLowerCase()),
        );
    }

    private create(kind: Kind, given: Fields): Fields {
        if (kind === "networks") return this.newNetwork(given);
        if (kind === "subnets") return this.newSubnet(given);
        if (kind === "routers") return this.newRouter(given);
        if (kind === "floatingips") return this.newFloatingIp(given);
        throw new Refusal(405, "HTTPMethodNotAllowed", `POST of ${kind} is not simulated`);
    }

    private common(given: Fields): Fields {
        return {
            id: randomUUID(),
            name: "",
            description: "",
            tags: [],
            tenant_id: this.tenantId,
            project_id: this.tenantId,
            ...given,
        };
    }

    private newNetwork(given: Fields): Fields {
        const chosen = {
            admin_state_up: true,
            shared: false,
            "router:external": false,
            mtu: 1500,
            port_security_enabled: true,
        };
        const rest = {
            status: "ACTIVE",
            subnets: [],
            availability_zone_hints: [],
            qos_policy_id: null,
            dns_domain: "",
        };
        return this.common({ ...chosen, ...rest, ...given });
    }

    private newSubnet(given: Fields): Fields {
        const network = this.find("networks", given.network_id as string);
        const [first, second, last] = ends(given.cidr as string);
        const chosen = { gateway_ip: first, allocation_pools: [{ start: second, end: last }], enable_dhcp: true };
        const lists = { dns_nameservers: [], host_routes: [], service_types: [] };
        const nothing = { subnetpool_id: null, ipv6_address_mode: null, ipv6_ra_mode: null };
        const subnet = this.common({ ...chosen, ...lists, ...nothing, ...given });
        (network.subnets as string[]).push(subnet.id as string);
        return subnet;
    }

    private newRouter(given: Fields): Fields {
        const rest = {
            status: "ACTIVE",
            admin_state_up: true,
            distributed: false,
            routes: [],
            availability_zone_hints: [],
        };
        const router = this.common({ ...rest, ...given });
        router.external_gateway_info &&= this.gateway(router.external_gateway_info as Fields);
        return router;
    }

    private gateway(given: Fields): Fields {
        this.find("networks", given.network_id as string);
        const address = { subnet_id: this.external.subnet, ip_address: this.nextOutside() };
        return { enable_snat: true, external_fixed_ips: [address], ...given };
    }

    private newFloatingIp(given: Fields): Fields {
        const network = this.find("networks", given.floating_network_id as string);
        if (network["router:external"] !== true) {
            throw new Refusal(
                400,
                "BadRequest",
                `Bad floatingip request: Network ${network.id} is not a valid external network.`,
            );
        }
        const nothing = { port_id: null, router_id: null, fixed_ip_address: null, dns_name: "", dns_domain: "" };
        return this.common({ ...nothing, status: "DOWN", floating_ip_address: this.nextOutside(), ...given });
    }

    private nextOutside(): string {
        return `198.51.100.${++this.outside}`;
    }

    private addInterface(router: Fields, { subnet_id: subnetId }: Fields): Fields {
        const subnet = this.find("subnets", subnetId as string);
        const address = { subnet_id: subnetId as string, ip_address: subnet.gateway_ip as string };
        const owner = { device_id: router.id as string, device_owner: "network:router_interface" };
        const where = { network_id: subnet.network_id as string, fixed_ips: [address] };
        const port = this.common({ ...owner, ...where, status: "ACTIVE", admin_state_up: true });
        this.things.ports.set(port.id as string, port);
        return {
            id: router.id as string,
            port_id: port.id as string,
            subnet_id: subnetId as string,
            tenant_id: this.tenantId,
        };
    }

    private removeInterface(router: Fields, { subnet_id: subnetId, port_id: portId }: Fields): Fields {
        const isMeant = (port: Fields): boolean =>
            port.device_id === router.id && (port.id === portId || port.fixed_ips[0].subnet_id === subnetId);
        const port = [...this.things.ports.values()].find(isMeant);
        if (!port) throw new Refusal(404, "RouterInterfaceNotFound", `Router ${router.id} has no such interface.`);
        this.things.ports.delete(port.id as string);
        return { id: router.id as string, port_id: port.id as string };
    }

    private refuseUsed(kind: Kind, id: string): void {
        const ports = [...this.things.ports.values()];
        const refuse = (type: string, what: string): never => {
            throw new Refusal(409, type, `Unable to complete operation on ${what} ${id}. It is still in use.`);
        };
        if (kind === "networks" && ports.some((port) => port.network_id === id)) refuse("NetworkInUse", "network");
        if (kind === "subnets" && ports.some((port) => port.fixed_ips[0].subnet_id === id)) {
            refuse("SubnetInUse", "subnet");
        }
        if (kind === "routers" && ports.some((port) => port.device_id === id)) refuse("RouterInUse", "router");
    }

    private deleteWhere(kind: Kind, isMeant: (thing: Fields) => boolean): void {
        for (const [id, thing] of this.things[kind]) if (isMeant(thing)) this.things[kind].delete(id);
    }
}

/** The gateway's address, the next one and the last before the broadcast address. */
function ends(cidr: string): string[] {
    const [, address, bits] = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(cidr) ?? [];
    if (!address) {
        throw new Refusal(400, "HTTPBadRequest", `Invalid input for cidr. Reason: '${cidr}' is not a valid IP subnet.`);
    }
    const size = 2 ** (32 - Number(bits));
    const number = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
    const start = number - (number % size);
    return [start + 1, start + 2, start + size - 2].map((value) =>
        [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join("."),
    );
}
