import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Cluster } from "../cluster/cluster";
import type { MonitoringSettings } from "../settings";
import { durationSeconds } from "../settings/formats";
import type { Monitoring } from "./monitoring";
import { ReplicaRelay } from "./relay/replica-relay";
import { modelRules, type WatchedModel } from "./rules";
import {
    jobName,
    probeJob,
    probeJobName,
    relayedJob,
    relayJob,
    relayJobName,
    scrapeJob,
    tokenKey,
    tokenSecretName,
    type ScrapeJob,
} from "./scrape-jobs";

/** A model to be watched. */
export interface MonitoredModel extends Omit<WatchedModel, "name" | "relayed"> {
    url: pulumi.Input<string>;
    scrapeToken: pulumi.Input<string>;
    labels: Record<string, string>;
}

export interface ModelMonitoringArgs {
    model: MonitoredModel;
    settings: MonitoringSettings;
    /** Address under which the runbooks are found, without a slash at the end. */
    runbooks: string;
    /** The stack's Prometheus, which the model adds its jobs and rules to. */
    monitoring: Monitoring;
    cluster: Cluster;
}

/** What Prometheus is to know of one model: token, jobs, rules and, where there may be several replicas, its relay. */
export class ModelMonitoring extends pulumi.ComponentResource {
    private readonly monitoring: Monitoring;
    private readonly child: pulumi.CustomResourceOptions;

    /** @param name name of the model in the stack */
    constructor(name: string, args: ModelMonitoringArgs, opts?: pulumi.ComponentResourceOptions) {
        super(
            "ovhcloud-llm-serving:monitoring:ModelMonitoring",
            name,
            {},
            { ...opts, providers: [args.cluster.provider] },
        );
        const { model, settings, monitoring } = args;
        this.monitoring = monitoring;
        this.child = args.cluster.inside(this);
        const { namespace } = monitoring;

        const token = new k8s.core.v1.Secret(
            `${name}-scrape-token`,
            {
                metadata: { name: tokenSecretName(name), namespace },
                stringData: { [tokenKey]: pulumi.secret(model.scrapeToken) },
            },
            { ...this.child, aliases: formerly(name, monitoring) },
        );
        // With one replica at most there are none to tell apart.
        const relayed = settings.replicaMetrics === "relay" && model.replicas.max > 1;
        const known = pulumi.output(model.url).apply((url) => ({
            model: name,
            url,
            labels: model.labels,
            interval: settings.scrapeInterval,
            timeout: settings.scrapeTimeout,
        }));
        // One that is stopped on purpose does not answer, and nobody is to hear of it.
        const asked = model.desiredState !== "STOPPED";
        if (asked && relayed) {
            const interval = durationSeconds(settings.scrapeInterval)!;
            const config = known.apply(({ url }) => ({ url, interval, replicas: model.replicas }));
            const { address } = new ReplicaRelay(
                `${name}-relay`,
                { model: name, namespace, tokenSecret: token, config, cluster: args.cluster },
                { parent: this },
            );
            const all = pulumi.all([known, address]);
            this.job(
                `${name}-job`,
                jobName(name),
                all.apply(([job, relay]) => relayedJob(job, relay)),
                token,
            );
            this.job(`${name}-probe-job`, probeJobName(name), known.apply(probeJob), token);
            this.job(
                `${name}-relay-job`,
                `${relayJobName}-${name}`,
                all.apply(([job, relay]) => relayJob(job, relay)),
            );
        } else if (asked) {
            this.job(`${name}-job`, jobName(name), known.apply(scrapeJob), token);
        }
        new k8s.apiextensions.CustomResource(
            `${name}-rules`,
            {
                apiVersion: "monitoring.coreos.com/v1",
                kind: "PrometheusRule",
                metadata: { name: jobName(name), namespace },
                spec: { groups: [modelRules({ ...model, name, relayed }, args.runbooks)] },
            },
            { ...this.child, dependsOn: monitoring.release },
        );
        this.registerOutputs();
    }

    /** The operator refuses a job whose Secret is not there, and looks again when the job changes: the Secret is first. */
    private job(name: string, objectName: string, spec: pulumi.Input<ScrapeJob>, token?: k8s.core.v1.Secret): void {
        const { namespace, release } = this.monitoring;
        new k8s.apiextensions.CustomResource(
            name,
            {
                apiVersion: "monitoring.coreos.com/v1alpha1",
                kind: "ScrapeConfig",
                metadata: { name: objectName, namespace },
                spec,
            },
            { ...this.child, dependsOn: token ? [release, token] : [release] },
        );
    }
}

/**
 * The Secret whose name one of the models' has was the stack's once, with a key for each model. It is taken over: made
 * anew under the same name it would be the one that is deleted afterwards.
 */
function formerly(model: string, monitoring: Monitoring): pulumi.Alias[] {
    return tokenSecretName(model) === "vllm-auth-token"
        ? [{ name: "monitoring-vllm-auth-token", parent: monitoring }]
        : [];
}
