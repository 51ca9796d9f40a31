import * as openstack from "@pulumi/openstack";
import * as pulumi from "@pulumi/pulumi";
import type { ClusterSettings } from "../settings";
import { transformed, type Transform } from "../transform";

/**
 * A floating IP of the region, for a Service of type LoadBalancer to ask for by `loadBalancerIP`. The cluster's controller takes
 * it for one that it has not made, and so leaves it when Service, load balancer or cluster go (OVHcloud's guide on load
 * balancers of Managed Kubernetes, "Use an existing Floating IP in the tenant").
 * @param of whose address it is, such as `grafana`
 */
export function makeKeptAddress(
    of: string,
    { name, region, private: { externalNetwork } }: ClusterSettings,
    parent: pulumi.Resource,
    transform?: Transform<openstack.networking.FloatingIpArgs>,
): pulumi.Output<string> {
    const floatingIp = { pool: externalNetwork, region, description: `${of} of ${name}` };
    const options: pulumi.CustomResourceOptions = {
        parent,
        // As `pulumi import` puts it into the state.
        aliases: [{ parent: pulumi.rootStackResource }],
    };
    return new openstack.networking.FloatingIp(...transformed(transform, `${of}-address`, floatingIp, options)).address;
}

/**
 * For a Service that asks for a kept address: it is known beforehand, and where a new cluster takes the place of an old one in the
 * region, it is free only once the old one has gone, after everything else.
 */
export const unawaited = { "pulumi.com/skipAwait": "true" };
