import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Cluster } from "../cluster/cluster";
import type { MonitoringSettings } from "../settings";
import { durationSeconds } from "../settings/formats";
import { transformed, type Transform } from "../transform";
import type { Monitoring } from "./monitoring";
import type { ApiAddresses } from "./pod-api";
import { appReaderKeyFile, appReaderSecretName } from "./relay/manifests";
import { isRelayed } from "./relayed";
import { ReplicaRelay, type ReplicaRelayTransforms } from "./relay/replica-relay";
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
export interface MonitoredModel extends Omit<WatchedModel, "name" | "relayed" | "replicaPrice"> {
    url: pulumi.Input<string>;
    scrapeToken: pulumi.Input<string>;
    /** What requests name as their model. */
    served: string;
    labels: Record<string, string>;
    /** Of a model that may sleep: where its state is read, and after how many idle seconds it sleeps. */
    sleep?: { after: number; api: ApiAddresses; project: string; app: pulumi.Input<string> };
    /** Euros per hour, where it is known. */
    replicaPrice: pulumi.Input<number | undefined>;
}

export interface ModelMonitoringArgs {
    model: MonitoredModel;
    settings: MonitoringSettings;
    /** Address under which the runbooks are found, without a slash at the end. */
    runbooks: string;
    /** What a model that may sleep is read with: `appReaderKey` of the settings, or of the account that the stack makes (`relay/app-reader.ts`). */
    appReaderKey?: pulumi.Input<string>;
    /** The stack's Prometheus, which the model adds its jobs and rules to. */
    monitoring: Monitoring;
    cluster: Cluster;
    transform?: ModelMonitoringTransforms;
}

export interface ModelMonitoringTransforms extends ReplicaRelayTransforms {
    tokenSecret?: Transform<k8s.core.v1.SecretArgs>;
    /** Of each of the model's jobs. */
    scrapeConfig?: Transform<k8s.apiextensions.CustomResourceArgs>;
    appReaderKey?: Transform<k8s.core.v1.SecretArgs>;
    rules?: Transform<k8s.apiextensions.CustomResourceArgs>;
}

/** Seconds. One that fails is known, scraped, judged for three minutes and told of within five. */
const completionTimes = { interval: 45, timeout: 15 };

/** What Prometheus is to know of one model: token, jobs, rules and, where there may be several replicas, its relay. */
export class ModelMonitoring extends pulumi.ComponentResource {
    private readonly child: pulumi.CustomResourceOptions;

    /** @param name name of the model in the stack */
    constructor(
        private readonly name: string,
        private readonly args: ModelMonitoringArgs,
        opts?: pulumi.ComponentResourceOptions,
    ) {
        const { provider } = args.cluster;
        super("ovhcloud-llm-serving:monitoring:ModelMonitoring", name, {}, { ...opts, providers: [provider] });
        const { model, settings } = args;
        this.child = args.cluster.inside(this);

        const relayed = isRelayed(settings, model.replicas);
        const token = this.token();
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
            const all = pulumi.all([known, this.relay(token)]);
            const throughRelay = all.apply(([job, relay]) => relayedJob(job, relay));
            this.job(`${name}-job`, jobName(name), throughRelay, token);
            // It would wake one that sleeps.
            if (!model.sleep) this.job(`${name}-probe-job`, probeJobName(name), known.apply(probeJob), token);
            const ofRelay = all.apply(([job, relay]) => relayJob(job, relay));
            this.job(`${name}-relay-job`, `${relayJobName}-${name}`, ofRelay);
        } else if (asked) {
            this.job(`${name}-job`, jobName(name), known.apply(scrapeJob), token);
        }
        this.rules(relayed);
        this.registerOutputs();
    }

    private metadata(name: string) {
        return { name, namespace: this.args.monitoring.namespace };
    }

    private token(): k8s.core.v1.Secret {
        const { model, monitoring, transform } = this.args;
        const secret = {
            metadata: this.metadata(tokenSecretName(this.name)),
            stringData: { [tokenKey]: pulumi.secret(model.scrapeToken) },
        };
        const options = { ...this.child, aliases: formerly(this.name, monitoring) };
        return new k8s.core.v1.Secret(
            ...transformed(transform?.tokenSecret, `${this.name}-scrape-token`, secret, options),
        );
    }

    /** Host and port of the model's relay. */
    private relay(tokenSecret: k8s.core.v1.Secret): pulumi.Output<string> {
        const { model, settings, monitoring, cluster, transform } = this.args;
        const interval = durationSeconds(settings.scrapeInterval)!;
        const { url, replicas, served, sleep } = model;
        const completions = settings.completionProbe ? { model: served, ...completionTimes } : undefined;
        const config = pulumi.output({ url, interval, replicas, completions, sleep });
        const { namespace } = monitoring;
        const keySecret = sleep && this.appReaderKey();
        return new ReplicaRelay(
            `${this.name}-relay`,
            { model: this.name, namespace, tokenSecret, keySecret, config, cluster, transform },
            { parent: this },
        ).address;
    }

    /** What the relay reads the app's state with. */
    private appReaderKey(): k8s.core.v1.Secret {
        const { transform, appReaderKey } = this.args;
        const secret = {
            metadata: this.metadata(appReaderSecretName(this.name)),
            stringData: { [appReaderKeyFile]: pulumi.secret(pulumi.output(appReaderKey).apply((key) => key!)) },
        };
        return new k8s.core.v1.Secret(
            ...transformed(transform?.appReaderKey, `${this.name}-app-reader-key`, secret, this.child),
        );
    }

    /** The operator refuses a job whose Secret is not there, and looks again when the job changes: the Secret is first. */
    private job(name: string, objectName: string, spec: pulumi.Input<ScrapeJob>, token?: k8s.core.v1.Secret): void {
        const { monitoring, transform } = this.args;
        const job = {
            apiVersion: "monitoring.coreos.com/v1alpha1",
            kind: "ScrapeConfig",
            metadata: this.metadata(objectName),
            spec,
        };
        const options = { ...this.child, dependsOn: token ? [monitoring.release, token] : [monitoring.release] };
        new k8s.apiextensions.CustomResource(...transformed(transform?.scrapeConfig, name, job, options));
    }

    private rules(relayed: boolean): void {
        const { model, monitoring, runbooks, transform } = this.args;
        const rules = {
            apiVersion: "monitoring.coreos.com/v1",
            kind: "PrometheusRule",
            metadata: this.metadata(jobName(this.name)),
            spec: pulumi.output(model.replicaPrice).apply((replicaPrice) => ({
                groups: [modelRules({ ...model, name: this.name, relayed, replicaPrice }, runbooks)],
            })),
        };
        const options = { ...this.child, dependsOn: monitoring.release };
        new k8s.apiextensions.CustomResource(...transformed(transform?.rules, `${this.name}-rules`, rules, options));
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
