import type { AlertingSettings, MonitoringSettings } from "../settings";
import { alertmanagerConfig, alertRelabelConfigs, receiversSecretName } from "./alertmanager";
import { withOwnValues } from "./chart-overrides";
import { stackRules } from "./rules";

/** Name of the Helm release, and through `fullnameOverride` of what it makes. Sub-charts follow the release's name. */
export const releaseName = "monitoring";
/** Service of Prometheus, as the chart names it. */
export const prometheusUrl = `http://${releaseName}-prometheus:9090`;
/** Service of Grafana inside the cluster, as the chart names it. */
export const grafanaService = `${releaseName}-grafana`;
/** Secret with Grafana's administrator, in the keys that the chart expects. */
export const grafanaAdmin = { secret: "grafana-admin", userKey: "admin-user", passwordKey: "admin-password" };
/** Label by which Grafana's sidecar finds dashboards. */
export const dashboardLabel = { grafana_dashboard: "1" };

/** Secret with Grafana's certificate, which ingress controllers expect in the keys `tls.crt` and `tls.key`. */
export const grafanaTlsSecretName = "grafana-tls";

/**
 * Values of kube-prometheus-stack. They hold nothing of the models, so that none of them keeps the release waiting, and
 * none that comes, goes or changes is an upgrade of it. Anything the chart's defaults do right is left to them, network
 * policies among it: there are none, since the cluster runs nothing else that would have to be kept away from Prometheus.
 */
export function chartValues(settings: MonitoringSettings, alerting: AlertingSettings): Record<string, unknown> {
    return withOwnValues(stackValues(settings, alerting), settings.chart.values);
}

/** The values before the user's own are laid over them. */
export function stackValues(settings: MonitoringSettings, alerting: AlertingSettings): Record<string, unknown> {
    return {
        nameOverride: releaseName,
        fullnameOverride: releaseName,
        additionalPrometheusRulesMap: { [releaseName]: { groups: [stackRules(alerting.runbooks)] } },
        // Ours takes its place: DeadMansSwitch, which has a route.
        defaultRules: { disabled: { Watchdog: true } },
        prometheusOperator: {
            // The control plane would have to reach a pod, and hooks to make a certificate, before a rule is stored.
            // Rules are checked before they get here; without the webhooks the operator needs no certificate either.
            admissionWebhooks: { enabled: false },
            tls: { enabled: false },
            resources: resources("50m", "128Mi", "256Mi"),
        },
        prometheus: {
            prometheusSpec: {
                retention: settings.retention,
                retentionSize: retentionSize(settings.storage.prometheus),
                scrapeInterval: settings.scrapeInterval,
                // Rules that see every sample, and not every other one.
                evaluationInterval: settings.scrapeInterval,
                resources: resources("250m", "1Gi", "4Gi"),
                storageSpec: volumeClaim(settings.storage.class, settings.storage.prometheus),
                additionalAlertRelabelConfigs: alertRelabelConfigs,
                // Monitors, jobs and rules of any release count, not this one's alone: those of the models are of none.
                serviceMonitorSelectorNilUsesHelmValues: false,
                podMonitorSelectorNilUsesHelmValues: false,
                probeSelectorNilUsesHelmValues: false,
                ruleSelectorNilUsesHelmValues: false,
                scrapeConfigSelectorNilUsesHelmValues: false,
            },
        },
        alertmanager: {
            enabled: true,
            config: alertmanagerConfig(alerting),
            alertmanagerSpec: {
                storage: volumeClaim(settings.storage.class, settings.storage.alertmanager),
                secrets: Object.keys(alerting.receivers).length > 0 ? [receiversSecretName] : [],
                resources: resources("20m", "64Mi", "256Mi"),
            },
        },
        grafana: {
            enabled: true,
            admin: {
                existingSecret: grafanaAdmin.secret,
                userKey: grafanaAdmin.userKey,
                passwordKey: grafanaAdmin.passwordKey,
            },
            // The volume is mounted by one node only: a rolling update that lands on another one would wait for ever.
            deploymentStrategy: { type: "Recreate" },
            persistence: {
                enabled: true,
                type: "pvc",
                storageClassName: settings.storage.class,
                accessModes: ["ReadWriteOnce"],
                size: settings.storage.grafana,
            },
            // The volume belongs to Grafana's group already, and root is not needed to see to it.
            initChownData: { enabled: false },
            // Inside the cluster; what opens it to others is a Service of its own (`grafanaLoadBalancer`).
            service: { type: "ClusterIP", port: 80 },
            ...ingressValues(settings.grafana),
            resources: resources("100m", "256Mi", "512Mi"),
            // The sidecars read this namespace; the chart would let them read every Secret of the cluster.
            rbac: { namespaced: true },
            sidecar: {
                dashboards: {
                    enabled: true,
                    label: "grafana_dashboard",
                    labelValue: dashboardLabel.grafana_dashboard,
                    searchNamespace: settings.namespace,
                    resource: "configmap",
                },
                datasources: {
                    enabled: true,
                    defaultDatasourceEnabled: true,
                    isDefaultDatasource: true,
                    name: "Prometheus",
                    uid: "prometheus",
                    url: prometheusUrl,
                    searchNamespace: settings.namespace,
                    resource: "configmap",
                },
                resources: resources("20m", "96Mi", "192Mi"),
            },
            testFramework: { enabled: false },
        },
        "kube-state-metrics": { resources: resources("20m", "64Mi", "256Mi") },
        "prometheus-node-exporter": { resources: resources("50m", "32Mi", "128Mi") },
        nodeExporter: { enabled: true },
        kubeStateMetrics: { enabled: true },
        // OVHcloud runs the control plane out of reach, and kube-proxy keeps its metrics to its node: scraping them
        // yields nothing but critical alerts that never end.
        kubeEtcd: { enabled: false },
        kubeScheduler: { enabled: false },
        kubeControllerManager: { enabled: false },
        kubeProxy: { enabled: false },
    };
}

/** Grafana by https: the ingress, and the address that Grafana writes into links and redirects. */
function ingressValues({ access, ingress, allowedSources }: MonitoringSettings["grafana"]): Record<string, unknown> {
    if (access !== "ingress" || !ingress) return {};
    const { host, issuer } = ingress;
    return {
        ingress: {
            enabled: true,
            ingressClassName: ingress.class,
            annotations: {
                "nginx.ingress.kubernetes.io/whitelist-source-range": allowedSources.join(","),
                ...(issuer && { "cert-manager.io/cluster-issuer": issuer }),
            },
            hosts: [host],
            tls: [{ secretName: grafanaTlsSecretName, hosts: [host] }],
        },
        "grafana.ini": { server: { root_url: `https://${host}` } },
    };
}

/**
 * Name of the Service that opens Grafana. With a kept address it is another one, so that it stands before the one of before goes: a
 * load balancer that has an address takes no other.
 */
export function grafanaBalancer(keepAddress: boolean): string {
    return keepAddress ? "grafana-kept" : "grafana";
}

/** Port 80 of a public address, open to the sources named and leading to the chart's Grafana. */
export function grafanaLoadBalancer(allowedSources: string[]) {
    return {
        type: "LoadBalancer",
        loadBalancerSourceRanges: allowedSources,
        selector: { "app.kubernetes.io/name": "grafana", "app.kubernetes.io/instance": releaseName },
        ports: [{ name: "http", port: 80, targetPort: 3000 }],
    };
}

/** What a pod is given. CPU is not limited: a throttled Prometheus misses scrapes just when there is much to see. */
function resources(cpu: string, memory: string, memoryLimit: string) {
    return { requests: { cpu, memory }, limits: { memory: memoryLimit } };
}

function volumeClaim(storageClassName: string, storage: string) {
    return {
        volumeClaimTemplate: {
            spec: { storageClassName, accessModes: ["ReadWriteOnce"], resources: { requests: { storage } } },
        },
    };
}

/** 85 % of the volume, so that the oldest data goes before the disk is full; the log and the newest block come on top. */
export function retentionSize(volume: string): string {
    const [, amount, unit] = /^(\d+)(Mi|Gi|Ti)$/.exec(volume)!;
    // Prometheus writes powers of 1024 as MB and GB.
    const megabytes = Number(amount) * { Mi: 1, Gi: 1024, Ti: 1024 * 1024 }[unit as "Mi" | "Gi" | "Ti"];
    const usable = Math.floor(megabytes * 0.85);
    return usable >= 1024 ? `${Math.floor(usable / 1024)}GB` : `${usable}MB`;
}

/** Where the Release finds the chart: a local path if one is set, else the repository, by HTTP or OCI. */
export function chartSource({ path, repository, version }: MonitoringSettings["chart"]) {
    if (path !== undefined) return { chart: path };
    const chart = "kube-prometheus-stack";
    if (repository.startsWith("oci://")) return { chart: `${repository.replace(/\/$/, "")}/${chart}`, version };
    return { chart, version, repositoryOpts: { repo: repository } };
}
