import * as openstack from "@pulumi/openstack";
import * as pulumi from "@pulumi/pulumi";
import type { ClusterSettings } from "../settings";

export interface PrivateNetworkArgs {
    name: string;
    region: string;
    settings: ClusterSettings["private"];
}

/**
 * A private network in the project's vRack with a router to the Internet, for a cluster to sit in. Network and subnet
 * must keep their names and ids: a change makes the cluster start anew.
 */
export class PrivateNetwork extends pulumi.ComponentResource {
    /** OpenStack id, which is the one that MKS takes. */
    readonly networkId: pulumi.Output<string>;
    readonly subnetId: pulumi.Output<string>;
    /** What must stand before a cluster is put in: nodes without a way out never become ready. */
    readonly ready: pulumi.Resource;

    constructor(name: string, args: PrivateNetworkArgs, opts?: pulumi.ComponentResourceOptions) {
        super("ovhcloud-llm-serving:cluster:PrivateNetwork", name, {}, opts);
        const { region, settings } = args;
        const child = { parent: this };

        const network = new openstack.networking.Network(
            name,
            {
                name: args.name,
                region,
                adminStateUp: true,
                valueSpecs: {
                    "provider:network_type": "vrack",
                    "provider:segmentation_id": String(settings.vlanId),
                },
            },
            child,
        );
        const subnet = new openstack.networking.Subnet(
            name,
            // MKS needs DHCP, and load balancers a gateway on the subnet: OpenStack takes its first address.
            { name: args.name, region, networkId: network.id, cidr: settings.cidr, ipVersion: 4, enableDhcp: true },
            child,
        );
        const external = openstack.networking.getNetworkOutput(
            { name: settings.externalNetwork, external: true, region },
            child,
        );
        const router = new openstack.networking.Router(
            name,
            { name: args.name, region, adminStateUp: true, externalNetworkId: external.id },
            child,
        );
        this.ready = new openstack.networking.RouterInterface(
            name,
            { region, routerId: router.id, subnetId: subnet.id },
            child,
        );
        this.networkId = network.id;
        this.subnetId = subnet.id;
        this.registerOutputs({ networkId: this.networkId, subnetId: this.subnetId });
    }
}
