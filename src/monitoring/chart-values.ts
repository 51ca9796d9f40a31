import type { Input } from "@pulumi/pulumi";
import type { MonitoringSettings } from "../settings";
import { overlay } from "../settings/defaults";
import type { ScrapeJob } from "./scrape-jobs";
import { tokenSecretName } from "./scrape-jobs";

/** Name of the Helm release, and through `fullnameOverride` of what it makes. Sub-charts follow the release's name. */
export const releaseName = "monitoring";
/** Service of Prometheus, as the chart names it. */
export const prometheusUrl = `http://${releaseName}-prometheus:9090`;
export const grafanaService = `${releaseName}-grafana`;
/** Secret with Grafana's administrator, in the keys that the chart expects. */
export const grafanaAdmin = { secret: "grafana-admin", userKey: "admin-user", passwordKey: "admin-password" };
/** Label by which Grafana's sidecar finds dashboards. */
export const dashboardLabel = { grafana_dashboard: "1" };

/** Values of kube-prometheus-stack. Anything the chart's defaults do right is left to them. */
export function chartValues(settings: MonitoringSettings, jobs: Input<ScrapeJob>[]): Record<string, unknown> {
    const values = {
        nameOverride: releaseName,
        fullnameOverride: releaseName,
        prometheus: {
            prometheusSpec: {
                retention: settings.retention,
                retentionSize: retentionSize(settings.storage.prometheus),
                scrapeInterval: settings.scrapeInterval,
                storageSpec: volumeClaim(settings.storage.class, settings.storage.prometheus),
                secrets: [tokenSecretName],
                additionalScrapeConfigs: jobs,
                // Monitors and rules of any release count, not this one's alone.
                serviceMonitorSelectorNilUsesHelmValues: false,
                podMonitorSelectorNilUsesHelmValues: false,
                probeSelectorNilUsesHelmValues: false,
                ruleSelectorNilUsesHelmValues: false,
                scrapeConfigSelectorNilUsesHelmValues: false,
            },
        },
        alertmanager: {
            enabled: true,
            alertmanagerSpec: { storage: volumeClaim(settings.storage.class, settings.storage.alertmanager) },
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
            service: grafanaServiceValues(settings.grafana),
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
            },
        },
        nodeExporter: { enabled: true },
        kubeStateMetrics: { enabled: true },
        // OVHcloud runs the control plane out of reach, and kube-proxy keeps its metrics to its node: scraping them
        // yields nothing but critical alerts that never end.
        kubeEtcd: { enabled: false },
        kubeScheduler: { enabled: false },
        kubeControllerManager: { enabled: false },
        kubeProxy: { enabled: false },
    };
    return overlay(values, settings.chart.values) as Record<string, unknown>;
}

function grafanaServiceValues(grafana: MonitoringSettings["grafana"]): Record<string, unknown> {
    if (grafana.access === "internal") return { type: "ClusterIP", port: 80 };
    return { type: "LoadBalancer", port: 80, loadBalancerSourceRanges: grafana.allowedSources };
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
