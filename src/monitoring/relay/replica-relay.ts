import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Cluster } from "../../cluster/cluster";
import { checksum, relayDeployment, relayFiles, relayLabels, relayName, relayPort, relayService } from "./manifests";
import type { RelayConfig } from "./relay";

export interface ReplicaRelayArgs {
    /** Name of the model in the stack. */
    model: string;
    namespace: pulumi.Input<string>;
    /** Secret with the model's token. */
    tokenSecret: k8s.core.v1.Secret;
    config: pulumi.Input<RelayConfig>;
    cluster: Cluster;
}

/** The relay that Prometheus scrapes in place of an app with several replicas. */
export class ReplicaRelay extends pulumi.ComponentResource {
    /** Host and port, as the cluster knows them. */
    readonly address: pulumi.Output<string>;

    constructor(name: string, args: ReplicaRelayArgs, opts?: pulumi.ComponentResourceOptions) {
        super("ovhcloud-llm-serving:monitoring:ReplicaRelay", name, {}, opts);
        const { model, namespace, tokenSecret, cluster } = args;
        const child = cluster.inside(this);
        const metadata = { name: relayName(model), namespace, labels: relayLabels(model) };
        const data = pulumi.output(args.config).apply(relayFiles);

        const files = new k8s.core.v1.ConfigMap(name, { metadata, data }, child);
        const spec = relayDeployment(model, data.apply(checksum));
        // It does not start without the files and the token that it mounts.
        new k8s.apps.v1.Deployment(name, { metadata, spec }, { ...child, dependsOn: [files, tokenSecret] });
        new k8s.core.v1.Service(name, { metadata, spec: relayService(model) }, child);
        this.address = pulumi.interpolate`${relayName(model)}.${namespace}.svc:${relayPort}`;
        this.registerOutputs();
    }
}
