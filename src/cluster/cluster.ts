import { cloudproject } from "@ovhcloud/pulumi-ovh";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { ClusterContents } from "pulumi-ovh-managed-kubernetes";
import type { ClusterSettings } from "../settings";
import { PrivateNetwork } from "./private-network";

export interface ClusterArgs {
    settings: ClusterSettings;
    /** Public Cloud project. */
    projectId: string;
    /** Where the stack's objects are, and with them load balancers and volumes. */
    namespace: string;
}

/** A Managed Kubernetes cluster with one node pool, and the Kubernetes provider that deploys into it. */
export class Cluster extends pulumi.ComponentResource {
    readonly kube: cloudproject.Kube;
    /** Whatever runs pods or claims volumes depends on it, and so is also deleted while there are nodes. */
    readonly nodePool: cloudproject.KubeNodePool;
    readonly provider: k8s.Provider;
    /** Administrator's kubeconfig as YAML; secret. */
    readonly kubeconfig: pulumi.Output<string>;

    constructor(name: string, args: ClusterArgs, opts?: pulumi.ComponentResourceOptions) {
        const { settings, projectId } = args;
        // Children take over the protection.
        super("ovhcloud-llm-serving:cluster:Cluster", name, {}, { protect: settings.protect, ...opts });
        const { nodePool: pool, region } = settings;

        const network =
            settings.network === "private"
                ? new PrivateNetwork(
                      `${name}-network`,
                      { name: settings.name, region, settings: settings.private },
                      { parent: this },
                  )
                : undefined;

        this.kube = new cloudproject.Kube(
            name,
            {
                serviceName: projectId,
                name: settings.name,
                region,
                plan: settings.plan,
                version: settings.version,
                updatePolicy: settings.updatePolicy,
                ...(network && {
                    privateNetworkId: network.networkId,
                    nodesSubnetId: network.subnetId,
                    privateNetworkConfiguration: {
                        // Empty: the gateway that the subnet's DHCP names.
                        defaultVrackGateway: "",
                        privateNetworkRoutingAsDefault: settings.private.routeThroughGateway,
                    },
                }),
            },
            { parent: this, dependsOn: network?.ready, customTimeouts: { create: "30m", delete: "30m" } },
        );

        const { autoscale } = pool;
        this.nodePool = new cloudproject.KubeNodePool(
            `${name}-${pool.name}`,
            {
                serviceName: projectId,
                kubeId: this.kube.id,
                name: pool.name,
                flavorName: pool.flavor,
                desiredNodes: pool.nodes,
                autoscale: autoscale !== undefined,
                minNodes: autoscale?.min,
                maxNodes: autoscale?.max,
                availabilityZones: pool.availabilityZones,
            },
            {
                parent: this,
                // The autoscaler's number of nodes is not drift.
                ignoreChanges: autoscale ? ["desiredNodes"] : undefined,
                // Nodes stay until the cluster goes: pods must end before their volumes are given back.
                deletedWith: this.kube,
            },
        );
        // No later on the way down than the models: neither waits for the other.
        new ClusterContents(
            `${name}-contents`,
            { serviceName: projectId, kubeId: this.kube.id, namespace: args.namespace },
            { parent: this },
        );

        this.kubeconfig = pulumi.secret(this.kube.kubeconfig);
        this.provider = new k8s.Provider(
            `${name}-kubernetes`,
            {
                kubeconfig: this.kubeconfig,
                // As identity: a kubeconfig that is renewed does not replace everything deployed.
                clusterIdentifier: this.kube.id,
                // Changed in place, which the pods that mount them see. By default each would be deleted and made anew,
                // and what depends on it with it: a token's rotation would take the relay down.
                enableConfigMapMutable: true,
                enableSecretMutable: true,
                // A cluster that does not answer keeps its objects in the state and is said so, and everything else of
                // the stack goes on. By default each of them would be an error, with the advice to drop it.
                skipUpdateUnreachable: true,
            },
            { parent: this },
        );
        this.registerOutputs({ kubeconfig: this.kubeconfig });
    }

    /**
     * Options of an object in the cluster. It goes with its cluster: one by one, objects could only be deleted by a
     * cluster that answers, and one that does not would keep the rest of the stack from being deleted.
     */
    inside(parent: pulumi.Resource): pulumi.CustomResourceOptions {
        return { parent, deletedWith: this.kube };
    }
}
