import * as openstack from "@pulumi/openstack";
import * as pulumi from "@pulumi/pulumi";
import type { ClusterSettings } from "../settings";
import { transformed, type Transform } from "../transform";

export interface PrivateNetworkTransforms {
    network?: Transform<openstack.networking.NetworkArgs>;
    subnet?: Transform<openstack.networking.SubnetArgs>;
    router?: Transform<openstack.networking.RouterArgs>;
}

export interface PrivateNetworkArgs {
    name: string;
    region: string;
    settings: ClusterSettings["private"];
    transform?: PrivateNetworkTransforms;
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
        const { region, settings, transform = {} } = args;
        const child = { parent: this };

        const vlan = { "provider:network_type": "vrack", "provider:segmentation_id": String(settings.vlanId) };
        const own = { name: args.name, region };
        const network = new openstack.networking.Network(
            ...transformed(transform.network, name, { ...own, adminStateUp: true, valueSpecs: vlan }, child),
        );
        // MKS needs DHCP, and load balancers a gateway on the subnet: OpenStack takes its first address.
        const addresses = { networkId: network.id, cidr: settings.cidr, ipVersion: 4, enableDhcp: true };
        const subnet = new openstack.networking.Subnet(
            ...transformed(transform.subnet, name, { ...own, ...addresses }, child),
        );
        const external = openstack.networking.getNetworkOutput(
            { name: settings.externalNetwork, external: true, region },
            child,
        );
        const egress = { adminStateUp: true, externalNetworkId: external.id };
        const router = new openstack.networking.Router(
            ...transformed(transform.router, name, { ...own, ...egress }, child),
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
