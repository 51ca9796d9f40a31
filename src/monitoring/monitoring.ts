import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { Cluster } from "../cluster/cluster";
import type { AlertingSettings, MonitoringSettings } from "../settings";
import { durationSeconds } from "../settings/formats";
import { receiverSecrets, receiversSecretName } from "./alertmanager";
import {
    chartSource,
    chartValues,
    dashboardLabel,
    grafanaAdmin,
    grafanaService,
    grafanaTlsSecretName,
    releaseName,
} from "./chart-values";
import { takeUpInterruptedRelease } from "./interrupted-release";
import { dashboardFiles, dashboardPath, modelsDashboard } from "./dashboards/files";
import { relayName, relayPort } from "./relay/manifests";
import { ReplicaRelay } from "./relay/replica-relay";
import { ruleGroups, type WatchedModel } from "./rules";
import { probeJob, relayedJob, relayJob, scrapeJob, tokenKey, tokenSecretName, type ScrapeJob } from "./scrape-jobs";

/** A model to be watched. */
export interface MonitoredModel extends Omit<WatchedModel, "name" | "relayed"> {
    url: pulumi.Input<string>;
    scrapeToken: pulumi.Input<string>;
    labels: Record<string, string>;
}

export interface MonitoringArgs {
    settings: MonitoringSettings;
    alerting: AlertingSettings;
    /** Private key of the certificate that Grafana's ingress is given. */
    grafanaTlsKey?: pulumi.Input<string>;
    /** Whether the chart's values hold secrets of the stack config. */
    secretValues: boolean;
    /** By name of the model in the stack. */
    models: Record<string, MonitoredModel>;
    cluster: Pick<Cluster, "kube" | "nodePool" | "provider" | "kubeconfig">;
    /** Refuses to delete the namespace and the release, and with them the volumes. */
    protect: boolean;
}

/** Prometheus, Grafana and Alertmanager, scraping every model and showing it. */
export class Monitoring extends pulumi.ComponentResource {
    readonly release: k8s.helm.v3.Release;
    /** Address of the models' dashboard; undefined while the load balancer has none. */
    readonly grafanaUrl: pulumi.Output<string | undefined>;
    /** Password of Grafana's user `admin`; secret. */
    readonly grafanaPassword: pulumi.Output<string>;
    /** Brings Grafana to http://localhost:3000 however it is reached otherwise; `grafanaUrl` needs it when it is internal. */
    readonly grafanaPortForward: string;

    constructor(name: string, args: MonitoringArgs, opts?: pulumi.ComponentResourceOptions) {
        super("ovhcloud-llm-serving:monitoring:Monitoring", name, {}, { ...opts, providers: [args.cluster.provider] });
        const { settings, cluster, alerting, protect } = args;
        // They go with their cluster: one by one they could only be deleted by a cluster that answers.
        const child = { parent: this, deletedWith: cluster.kube };

        // Pods need nodes.
        const namespace = new k8s.core.v1.Namespace(
            name,
            { metadata: { name: settings.namespace } },
            { ...child, protect, dependsOn: cluster.nodePool },
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
            child,
        );
        const rotation = settings.grafana.passwordRotation;
        const password = new random.RandomPassword(
            `${name}-grafana-password`,
            { length: 32, special: false, ...(rotation !== undefined && { keepers: { rotation } }) },
            { parent: this },
        );
        const admin = new k8s.core.v1.Secret(
            `${name}-${grafanaAdmin.secret}`,
            {
                metadata: metadata(grafanaAdmin.secret),
                stringData: { [grafanaAdmin.userKey]: "admin", [grafanaAdmin.passwordKey]: password.result },
            },
            child,
        );
        const secrets = [tokens, admin];
        if (Object.keys(alerting.receivers).length > 0) {
            const stringData = pulumi.secret(receiverSecrets(alerting.receivers));
            secrets.push(
                new k8s.core.v1.Secret(
                    `${name}-${receiversSecretName}`,
                    { metadata: metadata(receiversSecretName), stringData },
                    child,
                ),
            );
        }
        const { certificate } = settings.grafana.ingress ?? {};
        if (settings.grafana.access === "ingress" && certificate && args.grafanaTlsKey) {
            secrets.push(
                new k8s.core.v1.Secret(
                    `${name}-${grafanaTlsSecretName}`,
                    {
                        metadata: metadata(grafanaTlsSecretName),
                        type: "kubernetes.io/tls",
                        stringData: { "tls.crt": certificate, "tls.key": args.grafanaTlsKey },
                    },
                    child,
                ),
            );
        }
        // A ConfigMap each: one that holds too much can no longer be applied.
        const dashboards = Object.entries(dashboardFiles()).map(
            ([file, content]) =>
                new k8s.core.v1.ConfigMap(
                    `${name}-dashboard-${file.replace(/\.json$/, "")}`,
                    {
                        metadata: metadata(`dashboard-${file.replace(/\.json$/, "")}`, dashboardLabel),
                        data: { [file]: content },
                    },
                    child,
                ),
        );

        // With one replica at most there are none to tell apart.
        const relayed = models.filter(([, { replicas }]) => settings.replicaMetrics === "relay" && replicas.max > 1);
        const isRelayed = (model: string) => relayed.some(([name]) => name === model);
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
                child,
            );
        }
        const relay = `${relayName}.${settings.namespace}.svc:${relayPort}`;
        const times = { interval: settings.scrapeInterval, timeout: settings.scrapeTimeout };
        const jobs: pulumi.Input<ScrapeJob>[] = models.flatMap(([model, { url, labels }]) => {
            const args = pulumi.output(url).apply((address) => ({ model, url: address, labels, ...times }));
            if (!isRelayed(model)) return [args.apply(scrapeJob)];
            return [args.apply((known) => relayedJob(known, relay)), args.apply(probeJob)];
        });
        if (relayed.length > 0) jobs.push(relayJob(relay, times));
        const watched = models.map(([model, watch]): WatchedModel => ({
            ...watch,
            name: model,
            relayed: isRelayed(model),
        }));
        const rules = ruleGroups(watched, alerting.runbooks);
        const names = models.map(([model]) => model);
        const values = chartValues(settings, { jobs, rules, alerting, models: names });
        this.release = new k8s.helm.v3.Release(
            name,
            {
                name: releaseName,
                namespace: namespace.metadata.name,
                ...chartSource(settings.chart),
                values: args.secretValues ? pulumi.secret(values) : values,
                // Images are pulled, volumes attached and a load balancer made before it counts as deployed.
                timeout: 900,
                // Each kept revision is a Secret of up to 1 MiB, in an etcd of 400 MB on the free plan.
                maxHistory: 3,
                // What a failed install leaves behind says why it failed, and the next `up` goes on from there.
                atomic: false,
            },
            // Pods do not start without the Secrets they mount, nor Grafana without its administrator's.
            {
                ...child,
                protect,
                dependsOn: [cluster.nodePool, ...secrets, ...dashboards],
                hooks: takeUpInterruptedRelease({
                    kubeconfig: cluster.kubeconfig,
                    namespace: settings.namespace,
                    release: releaseName,
                }),
            },
        );

        this.grafanaPassword = pulumi.secret(password.result);
        const path = dashboardPath(modelsDashboard);
        this.grafanaPortForward = `kubectl port-forward --namespace ${settings.namespace} service/${grafanaService} 3000:80`;
        if (settings.grafana.access === "ingress") {
            this.grafanaUrl = pulumi.output(`https://${settings.grafana.ingress!.host}${path}`);
        } else if (settings.grafana.access === "internal") {
            this.grafanaUrl = pulumi.output(`http://localhost:3000${path}`);
        } else {
            const service = k8s.core.v1.Service.get(
                `${name}-grafana`,
                pulumi.interpolate`${this.release.status.namespace}/${grafanaService}`,
                { ...child, provider: cluster.provider, dependsOn: this.release },
            );
            this.grafanaUrl = service.status.apply((status) => {
                // Typed as always there, but absent until the cloud has made the load balancer.
                const [ingress] = (status as typeof status | undefined)?.loadBalancer?.ingress ?? [];
                const host: string | undefined = ingress?.ip ?? ingress?.hostname;
                return host && `http://${host}${path}`;
            });
        }
        this.registerOutputs({ grafanaUrl: this.grafanaUrl });
    }
}
