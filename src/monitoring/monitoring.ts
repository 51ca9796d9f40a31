import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { ModelSettings, MonitoringSettings } from "../settings";
import { durationSeconds } from "../settings/formats";
import { chartSource, chartValues, dashboardLabel, grafanaAdmin, grafanaService, releaseName } from "./chart-values";
import { dashboardFiles } from "./dashboards/files";
import { dashboardPath } from "./dashboards/vllm";
import { relayName, relayPort } from "./relay/manifests";
import { ReplicaRelay } from "./relay/replica-relay";
import { probeJob, relayedJob, relayJob, scrapeJob, tokenKey, tokenSecretName, type ScrapeJob } from "./scrape-jobs";

/** A model to be watched. */
export interface MonitoredModel {
    url: pulumi.Input<string>;
    scrapeToken: pulumi.Input<string>;
    labels: Record<string, string>;
    replicas: ModelSettings["replicas"];
}

export interface MonitoringArgs {
    settings: MonitoringSettings;
    /** By name of the model in the stack. */
    models: Record<string, MonitoredModel>;
    provider: k8s.Provider;
    /** What must be there for pods to run. */
    nodePool: pulumi.Resource;
}

/** Prometheus, Grafana and Alertmanager, scraping every model and showing it. */
export class Monitoring extends pulumi.ComponentResource {
    readonly release: k8s.helm.v3.Release;
    /** Address of the models' dashboard; undefined while the load balancer has none. */
    readonly grafanaUrl: pulumi.Output<string | undefined>;
    /** Password of Grafana's user `admin`; secret. */
    readonly grafanaPassword: pulumi.Output<string>;
    /** What makes `grafanaUrl` work when Grafana is internal. */
    readonly grafanaPortForward: string | undefined;

    constructor(name: string, args: MonitoringArgs, opts?: pulumi.ComponentResourceOptions) {
        super("ovhcloud-llm-serving:monitoring:Monitoring", name, {}, { ...opts, providers: [args.provider] });
        const { settings, provider } = args;

        // After the node pool, so that on the way down volumes are given back while nodes can still let go of them.
        const namespace = new k8s.core.v1.Namespace(
            name,
            { metadata: { name: settings.namespace } },
            { parent: this, dependsOn: args.nodePool },
        );
        const metadata = (objectName: string, labels?: Record<string, string>) => ({
            name: objectName,
            namespace: namespace.metadata.name,
            labels,
        });

        const models = Object.entries(args.models);
        const tokens = new k8s.core.v1.Secret(
            `${name}-${tokenSecretName}`,
            {
                metadata: metadata(tokenSecretName),
                stringData: Object.fromEntries(
                    models.map(([model, { scrapeToken }]) => [tokenKey(model), pulumi.secret(scrapeToken)]),
                ),
            },
            { parent: this },
        );
        const password = new random.RandomPassword(
            `${name}-grafana-password`,
            { length: 32, special: false },
            { parent: this },
        );
        const admin = new k8s.core.v1.Secret(
            `${name}-${grafanaAdmin.secret}`,
            {
                metadata: metadata(grafanaAdmin.secret),
                stringData: { [grafanaAdmin.userKey]: "admin", [grafanaAdmin.passwordKey]: password.result },
            },
            { parent: this },
        );
        // A ConfigMap each: one that holds too much can no longer be applied.
        const dashboards = Object.entries(dashboardFiles()).map(
            ([file, content]) =>
                new k8s.core.v1.ConfigMap(
                    `${name}-dashboard-${file.replace(/\.json$/, "")}`,
                    {
                        metadata: metadata(`dashboard-${file.replace(/\.json$/, "")}`, dashboardLabel),
                        data: { [file]: content },
                    },
                    { parent: this },
                ),
        );

        // With one replica at most there are none to tell apart.
        const relayed = models.filter(([, { replicas }]) => settings.replicaMetrics === "relay" && replicas.max > 1);
        if (relayed.length > 0) {
            new ReplicaRelay(
                `${name}-relay`,
                {
                    namespace: namespace.metadata.name,
                    tokenSecret: { name: tokenSecretName, resource: tokens },
                    interval: durationSeconds(settings.scrapeInterval)!,
                    models: relayed.map(([model, { url, replicas }]) =>
                        pulumi.output({ name: model, url, tokenFile: tokenKey(model), replicas }),
                    ),
                },
                { parent: this },
            );
        }
        const relay = `${relayName}.${settings.namespace}.svc:${relayPort}`;
        const times = { interval: settings.scrapeInterval, timeout: settings.scrapeTimeout };
        const jobs: pulumi.Input<ScrapeJob>[] = models.flatMap(([model, { url, labels }]) => {
            const args = pulumi.output(url).apply((address) => ({ model, url: address, labels, ...times }));
            if (!relayed.some(([name]) => name === model)) return [args.apply(scrapeJob)];
            return [args.apply((known) => relayedJob(known, relay)), args.apply(probeJob)];
        });
        if (relayed.length > 0) jobs.push(relayJob(relay, times));
        this.release = new k8s.helm.v3.Release(
            name,
            {
                name: releaseName,
                namespace: namespace.metadata.name,
                ...chartSource(settings.chart),
                values: chartValues(settings, jobs),
                // Images are pulled, volumes attached and a load balancer made before it counts as deployed.
                timeout: 900,
                // Each kept revision is a Secret of up to 1 MiB, in an etcd of 400 MB on the free plan.
                maxHistory: 3,
                // What a failed install leaves behind says why it failed, and the next `up` goes on from there.
                atomic: false,
            },
            // Prometheus does not start without the Secret it mounts, nor Grafana without its administrator's.
            { parent: this, dependsOn: [args.nodePool, tokens, admin, ...dashboards] },
        );

        this.grafanaPassword = pulumi.secret(password.result);
        if (settings.grafana.access === "internal") {
            const target = `--namespace ${settings.namespace} service/${grafanaService}`;
            this.grafanaPortForward = `kubectl port-forward ${target} 3000:80`;
            this.grafanaUrl = pulumi.output(`http://localhost:3000${dashboardPath}`);
        } else {
            const service = k8s.core.v1.Service.get(
                `${name}-grafana`,
                pulumi.interpolate`${this.release.status.namespace}/${grafanaService}`,
                { parent: this, provider, dependsOn: this.release },
            );
            this.grafanaUrl = service.status.apply((status) => {
                // Typed as always there, but absent until the cloud has made the load balancer.
                const [ingress] = (status as typeof status | undefined)?.loadBalancer?.ingress ?? [];
                const host: string | undefined = ingress?.ip ?? ingress?.hostname;
                return host && `http://${host}${dashboardPath}`;
            });
        }
        this.registerOutputs({ grafanaUrl: this.grafanaUrl });
    }
}
