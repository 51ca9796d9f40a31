import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Cluster } from "../../cluster/cluster";
import { transformed, type Transform } from "../../transform";
import { checksum, relayDeployment, relayFiles, relayLabels, relayName, relayPort, relayService } from "./manifests";
import type { RelayConfig } from "./relay";

export interface ReplicaRelayTransforms {
    relayDeployment?: Transform<k8s.apps.v1.DeploymentArgs>;
    relayService?: Transform<k8s.core.v1.ServiceArgs>;
}

export interface ReplicaRelayArgs {
    /** Name of the model in the stack. */
    model: string;
    namespace: pulumi.Input<string>;
    /** Secret with the model's token. */
    tokenSecret: k8s.core.v1.Secret;
    /** Secret with the key that reads the app's state, of a model that may sleep. */
    keySecret?: k8s.core.v1.Secret;
    config: pulumi.Input<RelayConfig>;
    cluster: Cluster;
    transform?: ReplicaRelayTransforms;
}

/** The relay that Prometheus scrapes in place of an app with several replicas. */
export class ReplicaRelay extends pulumi.ComponentResource {
    /** Host and port, as the cluster knows them. */
    readonly address: pulumi.Output<string>;

    constructor(name: string, args: ReplicaRelayArgs, opts?: pulumi.ComponentResourceOptions) {
        super("ovhcloud-llm-serving:monitoring:ReplicaRelay", name, {}, opts);
        const { model, namespace, tokenSecret, keySecret, cluster, transform = {} } = args;
        const child = cluster.inside(this);
        // One each: a transform may change it in place.
        const metadata = () => ({ name: relayName(model), namespace, labels: relayLabels(model) });
        const data = pulumi.output(args.config).apply(relayFiles);

        const files = new k8s.core.v1.ConfigMap(name, { metadata: metadata(), data }, child);
        const spec = relayDeployment(model, data.apply(checksum), keySecret !== undefined);
        // It does not start without the files and the secrets that it mounts.
        const mounting = { ...child, dependsOn: [files, tokenSecret, ...(keySecret ? [keySecret] : [])] };
        new k8s.apps.v1.Deployment(
            ...transformed(transform.relayDeployment, name, { metadata: metadata(), spec }, mounting),
        );
        const service = { metadata: metadata(), spec: relayService(model) };
        new k8s.core.v1.Service(...transformed(transform.relayService, name, service, child));
        this.address = pulumi.interpolate`${relayName(model)}.${namespace}.svc:${relayPort}`;
        this.registerOutputs();
    }
}
