import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { Cluster } from "../cluster/cluster";
import { unawaited } from "../cluster/kept-address";
import type { AlertingSettings, LimitsSettings, MonitoringSettings } from "../settings";
import { transformed, type Transform } from "../transform";
import { receiverSecrets, receiversSecretName } from "./alertmanager";
import {
    chartSource,
    chartValues,
    dashboardLabel,
    grafanaAdmin,
    grafanaBalancer,
    grafanaLoadBalancer,
    grafanaService,
    grafanaTlsSecretName,
    releaseName,
} from "./chart-values";
import { dashboardFiles, dashboardPath, modelsDashboard } from "./dashboards/files";
import { keptNamespace } from "./namespace";
import { releaseHooks } from "./release-hooks";
import { spendRules } from "./rules";

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
    /** What the stack may cost; the part that is no replica as far as it is known. */
    spend: Pick<LimitsSettings, "eurosPerMonth"> & { fixedPrice: pulumi.Input<number | undefined> };
    /** Refuses to delete the namespace and the release, and with them the volumes. */
    protect: boolean;
    transform?: MonitoringTransforms;
}

export interface MonitoringTransforms {
    namespace?: Transform<k8s.core.v1.NamespaceArgs>;
    release?: Transform<k8s.helm.v3.ReleaseArgs>;
    /** Of each dashboard. */
    dashboard?: Transform<k8s.core.v1.ConfigMapArgs>;
    /** Of Grafana's administrator, the alerts' receivers and the ingress' certificate. */
    secret?: Transform<k8s.core.v1.SecretArgs>;
    /** With `grafana.access: loadBalancer`. */
    grafanaService?: Transform<k8s.core.v1.ServiceArgs>;
    /** With `limits.eurosPerMonth`. */
    spendRules?: Transform<k8s.apiextensions.CustomResourceArgs>;
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

    constructor(
        private readonly name: string,
        private readonly args: MonitoringArgs,
        opts?: pulumi.ComponentResourceOptions,
    ) {
        super("ovhcloud-llm-serving:monitoring:Monitoring", name, {}, { ...opts, providers: [args.cluster.provider] });
        const { settings, cluster } = args;
        this.child = cluster.inside(this);

        const namespace = { metadata: { name: keptNamespace(settings.namespace) } };
        const kept = { ...this.child, protect: args.protect, dependsOn: cluster.nodePool };
        this.namespace = new k8s.core.v1.Namespace(
            ...transformed(args.transform?.namespace, name, namespace, kept),
        ).metadata.name;
        const password = this.password();
        this.dashboards();
        this.release = this.install([this.administrator(password.result), ...this.receivers(), ...this.certificate()]);
        this.spend();

        this.grafanaPassword = pulumi.secret(password.result);
        this.grafanaPortForward = `kubectl port-forward --namespace ${settings.namespace} service/${grafanaService} 3000:80`;
        const path = dashboardPath(modelsDashboard(args.models));
        this.grafanaUrl = this.grafanaAddress().apply((address) => address && `${address}${path}`);
        this.registerOutputs({ grafanaUrl: this.grafanaUrl });
    }

    /** @param secrets pods do not start without those they mount, nor Grafana without its administrator's */
    private install(secrets: pulumi.Resource[]): k8s.helm.v3.Release {
        const { settings, alerting, cluster, protect, secretValues, transform } = this.args;
        const values = chartValues(settings, alerting);
        const release: k8s.helm.v3.ReleaseArgs = {
            name: releaseName,
            namespace: this.namespace,
            ...chartSource(settings.chart),
            values: secretValues ? pulumi.secret(values) : values,
            // Images are pulled and volumes attached before it counts as deployed.
            timeout: 900,
            // Each kept revision is a Secret of up to 1 MiB, in an etcd of 400 MB on the free plan.
            maxHistory: 3,
            // What a failed install leaves behind says why it failed, and the next `up` goes on from there.
            atomic: false,
        };
        const { kubeconfig, nodePool, provider } = cluster;
        const hooks = releaseHooks({ kubeconfig, provider, namespace: settings.namespace, release: releaseName });
        const options = { ...this.child, protect, dependsOn: [nodePool, ...secrets], hooks };
        return new k8s.helm.v3.Release(...transformed(transform?.release, this.name, release, options));
    }

    private metadata(name: string, labels?: Record<string, string>) {
        return { name, namespace: this.namespace, labels };
    }

    private secret(
        objectName: string,
        content: Pick<k8s.core.v1.SecretArgs, "type" | "stringData">,
    ): k8s.core.v1.Secret {
        const secret = { metadata: this.metadata(objectName), ...content };
        return new k8s.core.v1.Secret(
            ...transformed(this.args.transform?.secret, `${this.name}-${objectName}`, secret, this.child),
        );
    }

    private password(): random.RandomPassword {
        const rotation = this.args.settings.grafana.passwordRotation;
        return new random.RandomPassword(
            `${this.name}-grafana-password`,
            { length: 32, special: false, ...(rotation !== undefined && { keepers: { rotation } }) },
            { parent: this },
        );
    }

    private administrator(password: pulumi.Output<string>): k8s.core.v1.Secret {
        const { secret, userKey, passwordKey } = grafanaAdmin;
        return this.secret(secret, { stringData: { [userKey]: "admin", [passwordKey]: password } });
    }

    private receivers(): k8s.core.v1.Secret[] {
        const { receivers } = this.args.alerting;
        if (Object.keys(receivers).length === 0) return [];
        return [this.secret(receiversSecretName, { stringData: pulumi.secret(receiverSecrets(receivers)) })];
    }

    private certificate(): k8s.core.v1.Secret[] {
        const { settings, grafanaTlsKey } = this.args;
        const { access, ingress } = settings.grafana;
        if (access !== "ingress" || !ingress?.certificate || !grafanaTlsKey) return [];
        const stringData = { "tls.crt": ingress.certificate, "tls.key": grafanaTlsKey };
        return [this.secret(grafanaTlsSecretName, { type: "kubernetes.io/tls", stringData })];
    }

    /** An object of their own: a price that changes is no upgrade of the release. */
    private spend(): void {
        const { spend, alerting, transform } = this.args;
        const { eurosPerMonth } = spend;
        if (eurosPerMonth === undefined) return;
        const rules = {
            apiVersion: "monitoring.coreos.com/v1",
            kind: "PrometheusRule",
            metadata: this.metadata("spend"),
            spec: pulumi.output(spend.fixedPrice).apply((fixedPrice) => ({
                groups: [spendRules({ eurosPerMonth, fixedPrice }, alerting.runbooks)],
            })),
        };
        const options = { ...this.child, dependsOn: this.release };
        new k8s.apiextensions.CustomResource(
            ...transformed(transform?.spendRules, `${this.name}-spend-rules`, rules, options),
        );
    }

    /** A ConfigMap each: one that holds too much can no longer be applied. */
    private dashboards(): void {
        for (const [file, content] of Object.entries(dashboardFiles(this.args.models))) {
            const objectName = `dashboard-${file.replace(/\.json$/, "")}`;
            // Without the layout, half of the text: program, engine and plugin all handle it at every preview.
            const compact = JSON.stringify(JSON.parse(content));
            const dashboard = { metadata: this.metadata(objectName, dashboardLabel), data: { [file]: compact } };
            new k8s.core.v1.ConfigMap(
                ...transformed(this.args.transform?.dashboard, `${this.name}-${objectName}`, dashboard, this.child),
            );
        }
    }

    /** Scheme and host of Grafana as its readers reach it; undefined while the load balancer has no address. */
    private grafanaAddress(): pulumi.Output<string | undefined> {
        const { settings, transform, cluster } = this.args;
        const { access, ingress, allowedSources, keepAddress } = settings.grafana;
        if (access === "ingress") return pulumi.output(`https://${ingress!.host}`);
        if (access === "internal") return pulumi.output("http://localhost:3000");
        const objectName = grafanaBalancer(keepAddress);
        const kept = keepAddress ? cluster.keepAddress("grafana") : undefined;
        const balancer = {
            metadata: { ...this.metadata(objectName), ...(kept && { annotations: { ...unawaited } }) },
            spec: { ...grafanaLoadBalancer(allowedSources), ...(kept && { loadBalancerIP: kept }) },
        };
        // After Grafana's pods, which it waits for.
        const options = { ...this.child, dependsOn: this.release };
        const service = new k8s.core.v1.Service(
            ...transformed(transform?.grafanaService, `${this.name}-${objectName}`, balancer, options),
        );
        if (kept) return kept.apply((address) => `http://${address}`);
        return service.status.apply((status) => {
            // Typed as always there, but absent until the cloud has made the load balancer.
            const [address] = (status as typeof status | undefined)?.loadBalancer?.ingress ?? [];
            const host: string | undefined = address?.ip ?? address?.hostname;
            return host && `http://${host}`;
        });
    }
}
