// The cluster alone, everything about it from stack config, so that a test changes one setting at a time.
import * as pulumi from "@pulumi/pulumi";
import { Cluster } from "../../../src/cluster/cluster";
import { defaultCluster } from "../../../src/settings/defaults";
import { clusterSchema } from "../../../src/settings/schema";

const config = new pulumi.Config();
const settings = clusterSchema.parse({
    ...defaultCluster,
    ...config.getObject<object>("cluster"),
    nodePool: { ...defaultCluster.nodePool, ...config.getObject<object>("nodePool") },
});
const cluster = new Cluster("cluster", {
    settings,
    projectId: process.env.OVH_CLOUD_PROJECT_SERVICE!,
    namespace: "monitoring",
});

export const clusterId = cluster.kube.id;
export const { kubeconfig } = cluster;
