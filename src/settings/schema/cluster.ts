import { z } from "zod";
import { cidr, count, text, written } from "./values";

/** The Managed Kubernetes cluster that the monitoring runs in. */
export const clusterSchema = z.strictObject({
    /**
     * Name of the cluster, and of its private network.
     * @default `"prometheus-vllm-metrics-ai-deploy"`
     * @example pulumi config set --path cluster.name llm-serving
     * @change live
     */
    name: text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'use letters, digits, ".", "_" and "-", at most 63'),
    /**
     * Region of Managed Kubernetes; independent of the models'.
     * @default `"GRA11"`
     * @example pulumi config set --path cluster.region SBG5
     * @change replaces the cluster
     */
    region: text(/^[A-Z][A-Z0-9-]*$/, 'give a Managed Kubernetes region in capitals, such as "GRA11"'),
    /**
     * Plan of the control plane. No region has both, and preview refuses the one that the region does not have.
     * @default `"free"`
     * @example
     * pulumi config set --path cluster.plan standard
     * pulumi config set --path cluster.region EU-WEST-PAR
     * pulumi config set --path cluster.network private
     * pulumi config set --path cluster.private.vlanId 100
     * pulumi config set --path 'cluster.nodePool.availabilityZones[0]' eu-west-par-a
     * @change refused by the ovh provider in a cluster that exists; with another region, replaces the cluster
     * @cost free costs nothing but its nodes; standard is billed by the hour
     */
    plan: z.enum(["free", "standard"]),
    /**
     * Kubernetes minor version. It goes up by one at a time, and never back.
     * @default none: the newest when the cluster is made
     * @example pulumi config set --path cluster.version 1.34
     * @change in place: nodes are upgraded one after another, and what runs on each is moved or restarted
     */
    version: written(
        text(
            /^1\.\d\d$/,
            "give a minor version, in a stack file in quotes: pulumi config set --path cluster.version 1.34",
        ),
    ).optional(),
    /**
     * When OVHcloud applies patches by itself. `NEVER_UPDATE` refuses a change of `version`, too.
     * @default none: the platform's, ALWAYS_UPDATE
     * @example pulumi config set --path cluster.updatePolicy MINIMAL_DOWNTIME
     * @change live
     */
    updatePolicy: z.enum(["ALWAYS_UPDATE", "MINIMAL_DOWNTIME", "NEVER_UPDATE"]).optional(),
    /** The nodes that the monitoring runs on. */
    nodePool: z.strictObject({
        /**
         * Name of the pool.
         * @default `"monitoring"`
         * @example pulumi config set --path cluster.nodePool.name monitoring-2
         * @change replaces the node pool: the new nodes come first, then pods move
         * @cost both pools for some minutes
         */
        name: text(
            /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
            "use lower-case letters, digits and hyphens (no underscore)",
        ),
        /**
         * What a node is. Preview refuses one that the region does not have, or has none of now.
         * @default `"b2-15"`
         * @example pulumi config set --path cluster.nodePool.flavor b3-16
         * @change replaces the node pool: the new nodes come first, then pods move. Until then both are billed and count against the quota
         * @cost per node and hour: `FLAVOR.consumption` of OVHcloud's price list
         */
        flavor: text(/^[a-z0-9][a-z0-9.-]*$/, 'give an instance flavor, such as "b2-15"'),
        /**
         * Number of nodes, 1 to 100; with `autoscale` the number to begin with.
         * @default `3`
         * @example pulumi config set --path cluster.nodePool.nodes 2
         * @change live; pods of nodes that go are moved
         * @cost so many nodes
         */
        nodes: count.min(1).max(100),
        /** Lets MKS choose the number of nodes; `nodes` is then only where it starts, and no other change touches it. */
        autoscale: z
            .strictObject({
                /**
                 * Nodes at least.
                 * @default none: the number stays
                 * @example
                 * pulumi config set --path cluster.nodePool.autoscale.min 2
                 * pulumi config set --path cluster.nodePool.autoscale.max 5
                 * @change live
                 * @cost so many nodes always
                 */
                min: count.min(1).max(100),
                /**
                 * Nodes at most.
                 * @default none: the number stays
                 * @example
                 * pulumi config set --path cluster.nodePool.autoscale.min 2
                 * pulumi config set --path cluster.nodePool.autoscale.max 5
                 * @change live
                 * @cost so many nodes at most
                 */
                max: count.min(1).max(100),
            })
            .optional(),
        /**
         * The zone of the nodes, in regions that have several: one, and it has to be set there. A volume stays in the zone
         * where it was made.
         * @default none: the region's only one
         * @example
         * pulumi config set --path cluster.plan standard
         * pulumi config set --path cluster.region EU-WEST-PAR
         * pulumi config set --path cluster.network private
         * pulumi config set --path cluster.private.vlanId 100
         * pulumi config set --path 'cluster.nodePool.availabilityZones[0]' eu-west-par-a
         * @change replaces the node pool; the volumes stay where they are, and what uses them waits for nodes there
         */
        availabilityZones: z.array(z.string().min(1)).optional(),
    }),
    /**
     * `public`: each node has an address of its own; `private`: nodes are in a network of the project's vRack, which needs
     * an OpenStack user. Regions of several zones have `private` only.
     * @default `"public"`
     * @example
     * pulumi config set --path cluster.network private
     * pulumi config set --path cluster.private.vlanId 100
     * @change replaces the cluster
     * @cost private: the gateway, per hour
     */
    network: z.enum(["public", "private"]),
    /** The private network; used with `network: private` only. */
    private: z.strictObject({
        /**
         * VLAN of the project's vRack, 1 to 4000; 0 for none.
         * @default none: has to be set with network private
         * @example
         * pulumi config set --path cluster.network private
         * pulumi config set --path cluster.private.vlanId 100
         * @change replaces the network, and with it the cluster
         */
        vlanId: count.min(0).max(4000).optional(),
        /**
         * Addresses of the network: a private range apart from those that the cluster uses inside.
         * @default `"10.100.0.0/20"`
         * @example
         * pulumi config set --path cluster.network private
         * pulumi config set --path cluster.private.vlanId 100
         * pulumi config set --path cluster.private.cidr 192.168.8.0/24
         * @change fixed once the cluster is made, which does not move to another subnet: change it together with vlanId, which
         * replaces both
         */
        cidr: cidr("10.100.0.0/20"),
        /**
         * The network to the Internet that the router is put on, and that kept addresses are of, in a public network too.
         * @default `"Ext-Net"`
         * @example
         * pulumi config set --path cluster.network private
         * pulumi config set --path cluster.private.vlanId 100
         * pulumi config set --path cluster.private.externalNetwork Ext-Net-2
         * @change in place: the router's address is another one, and connections through it end
         */
        externalNetwork: z.string().min(1),
        /**
         * Egress of nodes and pods by the router's address instead of each node's own, which nodes of the plan `standard` do
         * not have.
         * @default `true`
         * @example
         * pulumi config set --path cluster.network private
         * pulumi config set --path cluster.private.vlanId 100
         * pulumi config set --path cluster.private.routeThroughGateway false
         * @change in place: the nodes are redeployed
         */
        routeThroughGateway: z.boolean(),
    }),
    /**
     * Refuses to delete the cluster, its network, kept addresses and the monitoring's volumes until this is false.
     * @default `false`
     * @example pulumi config set --path cluster.protect true
     * @change live
     */
    protect: z.boolean(),
});

export type ClusterSettings = z.output<typeof clusterSchema>;
