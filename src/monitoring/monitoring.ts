import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { Cluster } from "../cluster/cluster";
import type { AlertingSettings, MonitoringSettings } from "../settings";
import { receiverSecrets, receiversSecretName } from "./alertmanager";
import {
    chartSource,
    chartValues,
    dashboardLabel,
    grafanaAdmin,
    grafanaLoadBalancer,
    grafanaService,
    grafanaTlsSecretName,
    releaseName,
} from "./chart-values";
import { dashboardFiles, dashboardPath, modelsDashboard } from "./dashboards/files";
import { takeUpInterruptedRelease } from "./interrupted-release";
import { keptNamespace } from "./namespace";

export interface MonitoringArgs {
    settings: MonitoringSettings;
    alerting: AlertingSettings;
    /** Names of the models in the stack, which the dashboards are called by. */
    models: string[];
    /** Private key of the certificate that Grafana's ingress is given. */
    grafanaTlsKey?: pulumi.Input<string>;
    /** Whether the chart's values hold secrets of the stack config. */
    secretValues: boolean;
    cluster: Cluster;
    /** Refuses to delete the namespace and the release, and with them the volumes. */
    protect: boolean;
}

/**
 * Prometheus, Grafana and Alertmanager. It waits for no model and holds nothing of any: what a model adds to it is a
 * `ModelMonitoring`.
 */
export class Monitoring extends pulumi.ComponentResource {
    /** Name of the namespace, once it is there. */
    readonly namespace: pulumi.Output<string>;
    /** Brings the operator and its kinds (ScrapeConfig, PrometheusRule). */
    readonly release: k8s.helm.v3.Release;
    /** Address of the models' dashboard; undefined while the load balancer has none. */
    readonly grafanaUrl: pulumi.Output<string | undefined>;
    /** Password of Grafana's user `admin`; secret. */
    readonly grafanaPassword: pulumi.Output<string>;
    /** Brings Grafana to http://localhost:3000 however it is reached otherwise; `grafanaUrl` needs it when it is internal. */
    readonly grafanaPortForward: string;
    private readonly child: pulumi.CustomResourceOptions;

    constructor(name: string, args: MonitoringArgs, opts?: pulumi.ComponentResourceOptions) {
        super("ovhcloud-llm-serving:monitoring:Monitoring", name, {}, { ...opts, providers: [args.cluster.provider] });
        const { settings, alerting, cluster, protect } = args;
        this.child = cluster.inside(this);

        const namespace = new k8s.core.v1.Namespace(
            name,
            { metadata: { name: keptNamespace(settings.namespace) } },
            { ...this.child, protect, dependsOn: cluster.nodePool },
        );
        this.namespace = namespace.metadata.name;
        const password = this.password(name, settings);
        const secrets = [
            this.secret(name, grafanaAdmin.secret, {
                stringData: { [grafanaAdmin.userKey]: "admin", [grafanaAdmin.passwordKey]: password.result },
            }),
            ...this.receivers(name, alerting),
            ...this.certificate(name, settings, args.grafanaTlsKey),
        ];
        this.dashboards(name, args.models);

        const values = chartValues(settings, alerting);
        this.release = new k8s.helm.v3.Release(
            name,
            {
                name: releaseName,
                namespace: this.namespace,
                ...chartSource(settings.chart),
                values: args.secretValues ? pulumi.secret(values) : values,
                // Images are pulled and volumes attached before it counts as deployed.
                timeout: 900,
                // Each kept revision is a Secret of up to 1 MiB, in an etcd of 400 MB on the free plan.
                maxHistory: 3,
                // What a failed install leaves behind says why it failed, and the next `up` goes on from there.
                atomic: false,
            },
            // Pods do not start without the Secrets they mount, nor Grafana without its administrator's.
            {
                ...this.child,
                protect,
                dependsOn: [cluster.nodePool, ...secrets],
                hooks: takeUpInterruptedRelease({
                    kubeconfig: cluster.kubeconfig,
                    namespace: settings.namespace,
                    release: releaseName,
                }),
            },
        );

        this.grafanaPassword = pulumi.secret(password.result);
        this.grafanaPortForward = `kubectl port-forward --namespace ${settings.namespace} service/${grafanaService} 3000:80`;
        const path = dashboardPath(modelsDashboard(args.models));
        this.grafanaUrl = this.grafanaAddress(name, settings).apply((address) => address && `${address}${path}`);
        this.registerOutputs({ grafanaUrl: this.grafanaUrl });
    }

    private metadata(name: string, labels?: Record<string, string>) {
        return { name, namespace: this.namespace, labels };
    }

    private secret(
        name: string,
        objectName: string,
        content: Pick<k8s.core.v1.SecretArgs, "type" | "stringData">,
    ): k8s.core.v1.Secret {
        const metadata = this.metadata(objectName);
        return new k8s.core.v1.Secret(`${name}-${objectName}`, { metadata, ...content }, this.child);
    }

    private password(name: string, { grafana: { passwordRotation: rotation } }: MonitoringSettings) {
        return new random.RandomPassword(
            `${name}-grafana-password`,
            { length: 32, special: false, ...(rotation !== undefined && { keepers: { rotation } }) },
            { parent: this },
        );
    }

    private receivers(name: string, { receivers }: AlertingSettings): k8s.core.v1.Secret[] {
        if (Object.keys(receivers).length === 0) return [];
        return [this.secret(name, receiversSecretName, { stringData: pulumi.secret(receiverSecrets(receivers)) })];
    }

    private certificate(
        name: string,
        { grafana }: MonitoringSettings,
        key: pulumi.Input<string> | undefined,
    ): k8s.core.v1.Secret[] {
        const { certificate } = grafana.ingress ?? {};
        if (grafana.access !== "ingress" || !certificate || !key) return [];
        const stringData = { "tls.crt": certificate, "tls.key": key };
        return [this.secret(name, grafanaTlsSecretName, { type: "kubernetes.io/tls", stringData })];
    }

    /** A ConfigMap each: one that holds too much can no longer be applied. */
    private dashboards(name: string, models: string[]): void {
        for (const [file, content] of Object.entries(dashboardFiles(models))) {
            const objectName = `dashboard-${file.replace(/\.json$/, "")}`;
            new k8s.core.v1.ConfigMap(
                `${name}-${objectName}`,
                { metadata: this.metadata(objectName, dashboardLabel), data: { [file]: content } },
                this.child,
            );
        }
    }

    /** Scheme and host of Grafana as its readers reach it; undefined while the load balancer has no address. */
    private grafanaAddress(name: string, { grafana }: MonitoringSettings): pulumi.Output<string | undefined> {
        if (grafana.access === "ingress") return pulumi.output(`https://${grafana.ingress!.host}`);
        if (grafana.access === "internal") return pulumi.output("http://localhost:3000");
        // After Grafana's pods, which it waits for.
        const service = new k8s.core.v1.Service(
            `${name}-grafana`,
            { metadata: this.metadata("grafana"), spec: grafanaLoadBalancer(grafana.allowedSources) },
            { ...this.child, dependsOn: this.release },
        );
        return service.status.apply((status) => {
            // Typed as always there, but absent until the cloud has made the load balancer.
            const [ingress] = (status as typeof status | undefined)?.loadBalancer?.ingress ?? [];
            const host: string | undefined = ingress?.ip ?? ingress?.hostname;
            return host && `http://${host}`;
        });
    }
}
