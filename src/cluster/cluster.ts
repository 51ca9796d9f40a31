import { cloudproject } from "@ovhcloud/pulumi-ovh";
import * as k8s from "@pulumi/kubernetes";
import type * as openstack from "@pulumi/openstack";
import * as pulumi from "@pulumi/pulumi";
import { ClusterContents, KubernetesApi } from "pulumi-ovh-managed-kubernetes";
import type { ClusterSettings } from "../settings";
import { transformed, type Transform } from "../transform";
import { makeKeptAddress } from "./kept-address";
import { currentKubeconfig } from "./ovh-api";
import { PrivateNetwork, type PrivateNetworkTransforms } from "./private-network";
import { survey, type Survey } from "./survey";

export interface ClusterTransforms extends PrivateNetworkTransforms {
    kube?: Transform<cloudproject.KubeArgs>;
    nodePool?: Transform<cloudproject.KubeNodePoolArgs>;
    /** Of each load balancer that has one. */
    keptAddress?: Transform<openstack.networking.FloatingIpArgs>;
    /** Of everything in the cluster. */
    provider?: Transform<k8s.ProviderArgs>;
}

export interface ClusterArgs {
    settings: ClusterSettings;
    /** Public Cloud project. */
    projectId: string;
    /** Where the stack's objects are, and with them load balancers and volumes. */
    namespace: string;
    transform?: ClusterTransforms;
}

/** A Managed Kubernetes cluster with one node pool, and the Kubernetes provider that deploys into it. */
export class Cluster extends pulumi.ComponentResource {
    readonly kube: cloudproject.Kube;
    /** Whatever runs pods or claims volumes waits for it. Its nodes stay until the cluster goes. */
    readonly nodePool: cloudproject.KubeNodePool;
    readonly provider: k8s.Provider;
    /** Administrator's kubeconfig as YAML; secret. */
    readonly kubeconfig: pulumi.Output<string>;
    /** Addresses that stay when load balancers and the cluster go, by whose they are. */
    readonly keptAddresses: Record<string, pulumi.Output<string>> = {};

    constructor(
        name: string,
        private readonly args: ClusterArgs,
        opts?: pulumi.ComponentResourceOptions,
    ) {
        const { settings, projectId, transform = {} } = args;
        // Children take over the protection.
        super("ovhcloud-llm-serving:cluster:Cluster", name, {}, { protect: settings.protect, ...opts });
        const child = { parent: this };
        const found = this.surveyed(name, args);
        const order = new pulumi.Stash(`${name}-order`, { input: found.then((known) => known.order) }, child);

        this.kube = this.makeKube(name, args, order, found);
        this.nodePool = this.makeNodePool(name, args, found);
        // No later on the way down than the models: neither waits for the other.
        const contents = { serviceName: projectId, kubeId: this.kube.id, namespace: args.namespace };
        new ClusterContents(`${name}-contents`, contents, child);

        this.kubeconfig = pulumi.secret(
            pulumi
                .all([this.kube.id, this.kube.kubeconfig, found])
                .apply(([id, made, { clusterId }]) => (id === clusterId ? renewed(projectId, id, made, this) : made)),
        );
        const access = { kubeconfig: this.kubeconfig, ...providerOptions(this.kube.id) };
        this.provider = new k8s.Provider(...transformed(transform.provider, `${name}-kubernetes`, access, child));
        this.registerOutputs({ kubeconfig: this.kubeconfig });
    }

    /** What of the cluster is there. A refusal is told in its own words, once. */
    private surveyed(name: string, { projectId, settings }: ClusterArgs): Promise<Survey> {
        return survey({
            projectId,
            settings,
            name,
            say: (line) => void pulumi.log.info(line, this),
            warn: (line) => void pulumi.log.warn(line, this),
        }).catch(async (error: unknown) => {
            await pulumi.log.error((error as Error).message, this);
            // Pulumi puts words of its own before it, wherever it is waited for.
            throw new pulumi.RunError("nothing of the cluster is touched, as said above");
        });
    }

    private makeKube(
        name: string,
        { projectId, settings, transform = {} }: ClusterArgs,
        order: pulumi.Resource,
        found: Promise<Survey>,
    ): cloudproject.Kube {
        const { region, plan, version, updatePolicy } = settings;
        const network = settings.network === "private" ? this.makeNetwork(name, settings, transform) : undefined;
        const kube: cloudproject.KubeArgs = {
            ...{ serviceName: projectId, name: settings.name, region, plan, version, updatePolicy },
            ...(network && {
                privateNetworkId: network.networkId,
                nodesSubnetId: network.subnetId,
                privateNetworkConfiguration: {
                    // Empty: the gateway that the subnet's DHCP names.
                    defaultVrackGateway: "",
                    privateNetworkRoutingAsDefault: settings.private.routeThroughGateway,
                },
            }),
        };
        const options: pulumi.CustomResourceOptions = {
            parent: this,
            dependsOn: network ? [order, network.ready] : order,
            customTimeouts: { create: "30m", delete: "30m" },
            // What is deployed moves from the old cluster to the new one, so both have to stand (pulumi/pulumi#14650).
            deleteBeforeReplace: false,
            // As `pulumi import` puts it into the state.
            aliases: [{ parent: pulumi.rootStackResource }],
            transforms: [async ({ props, opts }) => ({ props, opts: { ...opts, import: (await found).takeOver } })],
        };
        return new cloudproject.Kube(...transformed(transform.kube, name, kube, options));
    }

    private makeNetwork(name: string, settings: ClusterSettings, transform: ClusterTransforms): PrivateNetwork {
        return new PrivateNetwork(
            `${name}-network`,
            { name: settings.name, region: settings.region, settings: settings.private, transform },
            { parent: this },
        );
    }

    private makeNodePool(
        name: string,
        { projectId, settings: { nodePool }, transform = {} }: ClusterArgs,
        found: Promise<Survey>,
    ): cloudproject.KubeNodePool {
        const plan = pulumi.output(found).apply((known) => known.pool);
        const { name: poolName, nodes } = plan;
        const pool: cloudproject.KubeNodePoolArgs = {
            serviceName: projectId,
            kubeId: this.kube.id,
            name: poolName,
            flavorName: nodePool.flavor,
            desiredNodes: nodes.desiredNodes,
            autoscale: nodes.autoscale,
            // Typed as always known; `undefined` leaves them out.
            minNodes: nodes.apply(({ minNodes }) => minNodes!),
            maxNodes: nodes.apply(({ maxNodes }) => maxNodes!),
            availabilityZones: nodePool.availabilityZones,
        };
        const options: pulumi.CustomResourceOptions = {
            parent: this,
            // With a name of its own, the new pool stands before the old one goes.
            deleteBeforeReplace: false,
            // Nodes stay until the cluster goes: pods must end before their volumes are given back.
            deletedWith: this.kube,
            transforms: [
                async ({ props, opts }) => {
                    const { takeOver, leaveNumber } = (await found).pool;
                    const ignoreChanges = leaveNumber ? ["desiredNodes"] : [];
                    return { props, opts: { ...opts, import: takeOver, ignoreChanges } };
                },
            ],
        };
        return new cloudproject.KubeNodePool(
            ...transformed(transform.nodePool, `${name}-${nodePool.name}`, pool, options),
        );
    }

    /**
     * Makes an address that stays; as protected as the cluster.
     * @param of whose load balancer has it, such as `grafana`
     */
    keepAddress(of: string): pulumi.Output<string> {
        const { settings, transform } = this.args;
        return (this.keptAddresses[of] = makeKeptAddress(of, settings, this, transform?.keptAddress));
    }

    /**
     * Options of an object in the cluster. It goes with its cluster: one by one, objects could only be deleted by a
     * cluster that answers, and one that does not would keep the rest of the stack from being deleted.
     */
    inside(parent: pulumi.Resource): pulumi.CustomResourceOptions {
        return { parent, deletedWith: this.kube };
    }
}

function providerOptions(clusterIdentifier: pulumi.Output<string>): k8s.ProviderArgs {
    return {
        // As identity: a kubeconfig that is renewed does not replace everything deployed.
        clusterIdentifier,
        // Changed in place, which the pods that mount them see. By default each would be deleted and made anew, and what
        // depends on it with it: a token's rotation would take the relay down.
        enableConfigMapMutable: true,
        enableSecretMutable: true,
        // A cluster that does not answer keeps its objects in the state and is said so, and everything else of the stack
        // goes on. By default each of them would be an error, with the advice to drop it.
        skipUpdateUnreachable: true,
        // A destroy that failed half-way has taken objects out of the state that are still in the cluster: the next up
        // takes them over, whoever applied them.
        enablePatchForce: true,
    };
}

/** The kubeconfig of now: the one of the state was read when the cluster was made, and may have been reset since. */
async function renewed(projectId: string, id: string, made: string, cluster: pulumi.Resource): Promise<string> {
    let kubeconfig = made;
    try {
        kubeconfig = await currentKubeconfig(projectId, id);
    } catch (error) {
        await pulumi.log.warn(`${(error as Error).message}\n  The kubeconfig of the state is used.`, cluster);
    }
    try {
        await new KubernetesApi(kubeconfig, 10_000).get("/version");
    } catch (error) {
        // Whatever it is, the Kubernetes provider meets it for each object, in words that help less.
        await pulumi.log.warn(
            `cluster ${id}: ${(error as Error).message}: what is in it stays as it is, and the models are changed all ` +
                "the same. See the cluster in the control panel, and run pulumi up again when it answers",
            cluster,
        );
    }
    return kubeconfig;
}
