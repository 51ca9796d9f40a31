import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { checksum, relayDeployment, relayFiles, relayName, relayService } from "./manifests";
import type { RelayConfig, RelayModel } from "./relay";

export interface ReplicaRelayArgs {
    namespace: pulumi.Input<string>;
    /** Name of the Secret that holds the models' tokens, a key for each; and the Secret, to wait for. */
    tokenSecret: { name: string; resource: pulumi.Resource };
    interval: RelayConfig["interval"];
    models: pulumi.Input<RelayModel>[];
}

/** The relay that Prometheus scrapes in place of apps with several replicas: one for all models. */
export class ReplicaRelay extends pulumi.ComponentResource {
    constructor(name: string, args: ReplicaRelayArgs, opts?: pulumi.ComponentResourceOptions) {
        super("ovhcloud-llm-serving:monitoring:ReplicaRelay", name, {}, opts);
        const { interval, tokenSecret } = args;
        const child = { parent: this, deletedWith: opts?.deletedWith };
        const metadata = { name: relayName, namespace: args.namespace };
        const data = pulumi.all(args.models).apply((models) => relayFiles({ interval, models }));

        const files = new k8s.core.v1.ConfigMap(name, { metadata, data }, child);
        new k8s.apps.v1.Deployment(
            name,
            { metadata, spec: relayDeployment(tokenSecret.name, data.apply(checksum)) },
            // It does not start without the files and tokens that it mounts.
            { ...child, dependsOn: [files, tokenSecret.resource] },
        );
        new k8s.core.v1.Service(name, { metadata, spec: relayService() }, child);
        this.registerOutputs();
    }
}
