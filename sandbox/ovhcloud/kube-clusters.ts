import { randomBytes, randomUUID } from "node:crypto";
import { kubeRegions, zonesOf } from "../../src/settings/checks/kube-regions";
import { badRequest, conflict, forbidden, notFound } from "./api-error";
import type { Handlers } from "./apps";
import { find, ready, work, type Fields, type KubeOptions } from "./kube-work";
import type { StoredCluster } from "./store";

/** Minor versions that can be ordered, oldest first. */
const versions = ["1.31", "1.32", "1.33", "1.34"];
/** Clusters that a project may have (documented for the Free plan). */
const clusterQuota = 20;

/** Minutes of the platform that changes of a whole cluster take; not published, of the size that users report. */
const minutes = { upgrade: 10, redeploy: 3 };

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Orders, reads and ends clusters. */
export function clusterHandlers({ store, mks, log }: KubeOptions): Handlers {
    return {
        "GET /kube": () => Object.keys(store.state.clusters),
        "POST /kube": ({ body }) => {
            const cluster = newCluster(body as Fields);
            if (Object.keys(store.state.clusters).length >= clusterQuota) {
                throw forbidden(`the project has ${clusterQuota} clusters, which is its quota`);
            }
            const id = cluster.id as string;
            store.state.clusters[id] = { id, cluster, pools: {} };
            store.save();
            work({ store, log }, cluster, `cluster ${cluster.name}`, () =>
                mks.create(id, { name: cluster.name as string, version: cluster.version as string }),
            );
            return cluster;
        },
        "GET /kube/{kubeId}": (call) => find(store, call).cluster,
        "PUT /kube/{kubeId}": (call) => {
            Object.assign(ready(store, call).cluster, call.body);
            store.save();
        },
        "DELETE /kube/{kubeId}": (call) => {
            const stored = find(store, call);
            if (stored.cluster.status === "DELETING") return;
            stored.cluster.status = "DELETING";
            store.save();
            endCluster({ store, mks, log }, stored);
        },
        "POST /kube/{kubeId}/kubeconfig": async (call) => ({ content: await mks.kubeconfig(ready(store, call).id) }),
        "POST /kube/{kubeId}/kubeconfig/reset": (call) => {
            const { id, cluster } = ready(store, call);
            cluster.status = "REDEPLOYING";
            store.save();
            work({ store, log }, cluster, `kubeconfig of ${cluster.name}`, () => mks.resetKubeconfig(id));
        },
    };
}

/** Takes away a cluster that is DELETING. */
export function endCluster(
    { store, mks, log }: Pick<KubeOptions, "store" | "mks" | "log">,
    { id, cluster }: StoredCluster,
): void {
    work({ store, log }, cluster, `cluster ${cluster.name}`, async () => {
        await mks.delete(id);
        delete store.state.clusters[id];
    });
}

/** What can be changed on a cluster, each with a call of its own. */
export function settingHandlers({ store, speed, log }: KubeOptions): Handlers {
    const busy = (cluster: Fields, status: string, lasting: number): void => {
        cluster.status = status;
        store.save();
        work({ store, log }, cluster, `cluster ${cluster.name}`, () => pause((lasting * 60_000) / speed()));
    };
    return {
        "PUT /kube/{kubeId}/updatePolicy": (call) => {
            ready(store, call).cluster.updatePolicy = call.body.updatePolicy as unknown;
            store.save();
        },
        "POST /kube/{kubeId}/update": (call) => {
            const { id, cluster } = ready(store, call);
            if (cluster.updatePolicy === "NEVER_UPDATE") {
                throw conflict(`409: Update aborted for service ${id} because of policy NEVER_UPDATE`);
            }
            if (call.body.strategy === "NEXT_MINOR") {
                const [next] = newerVersions(minorOf(cluster));
                if (!next) throw conflict(`409: no version follows ${minorOf(cluster)}`);
                cluster.version = patchOf(next);
                cluster.nextUpgradeVersions = newerVersions(next);
            }
            busy(cluster, "UPDATING", minutes.upgrade);
        },
        "GET /kube/{kubeId}/privateNetworkConfiguration": (call) => {
            const { privateNetworkConfiguration: found } = find(store, call).cluster;
            if (!found) throw notFound("404: this cluster has no private network");
            return found as unknown;
        },
        "PUT /kube/{kubeId}/privateNetworkConfiguration": (call) => {
            const { cluster } = ready(store, call);
            if (!cluster.privateNetworkId) throw badRequest("400: this cluster has no private network");
            cluster.privateNetworkConfiguration = { ...cluster.privateNetworkConfiguration, ...call.body };
            busy(cluster, "REDEPLOYING", minutes.redeploy);
            return { message: "the private network configuration is being updated" };
        },
        "PUT /kube/{kubeId}/updateLoadBalancersSubnetId": (call) => {
            const { cluster } = ready(store, call);
            const subnet = call.body.loadBalancersSubnetId as string;
            if (!uuid.test(subnet)) throw badRequest(`[InvalidDataError] 400: Subnet ${subnet} is not a correct uuid`);
            cluster.loadBalancersSubnetId = subnet;
            busy(cluster, "REDEPLOYING", minutes.redeploy);
        },
    };
}

/** Not waited for when the sandbox ends. */
function pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => void setTimeout(resolve, milliseconds).unref());
}

const newerVersions = (minor: string): string[] => versions.slice(versions.indexOf(minor) + 1);
const patchOf = (minor: string): string => `${minor}.4-0`;
const minorOf = (cluster: Fields): string => (cluster.version as string).split(".").slice(0, 2).join(".");

/** Throws what the API says to an order that it does not take. */
function newCluster(body: Fields): Fields {
    const region = body.region as string;
    if (!Object.hasOwn(kubeRegions, region)) {
        throw badRequest(`region ${region} does not exist; there are ${Object.keys(kubeRegions).join(", ")}`);
    }
    if (body.plan && !["free", "standard"].includes(body.plan as string)) {
        throw badRequest(`400: plan ${body.plan} does not exist; there are free, standard`);
    }
    const plan = (body.plan ?? "free") as string;
    if (kubeRegions[region].plan !== plan) throw badRequest(`400: plan ${plan} is not available in ${region}`);
    if (zonesOf(region).length > 0 && !(body.privateNetworkId && body.nodesSubnetId)) {
        throw badRequest(`400: a cluster of ${region} needs a private network and a subnet with a gateway`);
    }
    for (const [what, value] of Object.entries({
        "Private network": body.privateNetworkId,
        Subnet: body.nodesSubnetId,
    })) {
        if (value && !uuid.test(value as string)) {
            throw badRequest(`[InvalidDataError] 400: ${what} ${value} is not a correct uuid`);
        }
    }
    const now = new Date().toISOString();
    const id = randomUUID();
    const minor = (body.version ?? versions.at(-1)) as string;
    return {
        id,
        name: body.name ?? `cluster-${randomBytes(3).toString("hex")}`,
        region,
        version: patchOf(minor),
        plan,
        updatePolicy: body.updatePolicy ?? "ALWAYS_UPDATE",
        kubeProxyMode: body.kubeProxyMode ?? "iptables",
        privateNetworkId: body.privateNetworkId ?? null,
        nodesSubnetId: body.nodesSubnetId ?? null,
        loadBalancersSubnetId: body.loadBalancersSubnetId ?? null,
        // The plugin sends it always; it means something in a private network only.
        privateNetworkConfiguration: body.privateNetworkId ? (body.privateNetworkConfiguration ?? null) : null,
        ipAllocationPolicy: {
            podsIpv4Cidr: plan === "free" ? "10.2.0.0/16" : "10.240.0.0/13",
            servicesIpv4Cidr: "10.3.0.0/16",
            ...body.ipAllocationPolicy,
        },
        customization: customization(body.customization as Fields | undefined),
        nextUpgradeVersions: newerVersions(minor),
        auditLogsSubscribed: false,
        controlPlaneIsUpToDate: true,
        isUpToDate: true,
        nodesUrl: `${id.slice(0, 8)}.nodes.example.invalid`,
        url: `${id.slice(0, 8)}.example.invalid`,
        status: "INSTALLING",
        createdAt: now,
        updatedAt: now,
    };
}

/** What was ordered, laid over what every cluster has. */
function customization(ordered: Fields | undefined): Fields {
    const plugins = { enabled: ["AlwaysPullImages", "NodeRestriction"], disabled: [] };
    return {
        apiServer: { admissionPlugins: { ...plugins, ...ordered?.apiServer?.admissionPlugins } },
        kubeProxy: ordered?.kubeProxy ?? null,
    };
}
