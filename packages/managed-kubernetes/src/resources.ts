import * as pulumi from "@pulumi/pulumi";

export interface ClusterContentsArgs {
    /** Public Cloud project id. */
    serviceName: pulumi.Input<string>;
    /** Id of the cluster. Another one replaces. */
    kubeId: pulumi.Input<string>;
    /** Where the stack's load balancers and volumes are. Deleted with all that is in it. */
    namespace: pulumi.Input<string>;
    /** Longest wait, on deletion, for all to be given back. Default 300. */
    timeoutSeconds?: pulumi.Input<number>;
}

/**
 * What a cluster's objects make OVHcloud bill apart from the cluster: load balancers and volumes. Creating it does
 * nothing; deleting it, before the cluster goes, gives them back. That never fails for the cluster's sake: one that is
 * gone, does not answer or does not end a namespace keeps nothing else from being deleted, and what may be left is told.
 *
 * Objects in the cluster are made with `deletedWith: <the cluster>`, since one by one they could only be deleted by a
 * cluster that answers.
 */
export class ClusterContents extends pulumi.CustomResource {
    constructor(name: string, args: ClusterContentsArgs, opts?: pulumi.CustomResourceOptions) {
        // The text that lies in the state: it finds today's code by the package's name, and never changes.
        const stub = 'exports.handler = () => require("pulumi-ovh-managed-kubernetes/dist/provider").clusterContents;';
        super(
            "pulumi-nodejs:dynamic/ovh-managed-kubernetes:ClusterContents",
            name,
            { ...args, __provider: stub },
            opts,
        );
    }
}
