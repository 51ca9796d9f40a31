import { describe, expect, it } from "vitest";
import { chartSource, chartValues, retentionSize } from "../../src/monitoring/chart-values";
import { defaultMonitoring, overlay } from "../../src/settings/defaults";
import type { MonitoringSettings } from "../../src/settings";

const settings = (over: Record<string, unknown> = {}) => overlay(defaultMonitoring, over) as MonitoringSettings;
type Values = Record<string, unknown>;

/** Paths of the values, down to lists and single values. */
function paths(values: Values, prefix = ""): string[] {
    return Object.entries(values).flatMap(([key, value]) =>
        typeof value === "object" && value !== null && !Array.isArray(value)
            ? paths(value as Values, `${prefix}${key}.`)
            : [`${prefix}${key}`],
    );
}

/** Values of kube-prometheus-stack 88.5.3 and its Grafana 12.11.1, as far as they are used: a wrong key is ignored silently. */
const known = [
    /^(nameOverride|fullnameOverride)$/,
    /^prometheus\.prometheusSpec\.(retention|retentionSize|scrapeInterval|secrets|additionalScrapeConfigs)$/,
    /^prometheus\.prometheusSpec\.(serviceMonitor|podMonitor|probe|rule|scrapeConfig)SelectorNilUsesHelmValues$/,
    /^prometheus\.prometheusSpec\.storageSpec\.volumeClaimTemplate\.spec\./,
    /^alertmanager\.(enabled|alertmanagerSpec\.storage\.volumeClaimTemplate\.spec\..*)$/,
    /^grafana\.(enabled|admin\.(existingSecret|userKey|passwordKey)|deploymentStrategy\.type|rbac\.namespaced)$/,
    /^grafana\.persistence\.(enabled|type|storageClassName|accessModes|size)$/,
    /^grafana\.service\.(type|port|loadBalancerSourceRanges)$/,
    /^grafana\.sidecar\.dashboards\.(enabled|label|labelValue|searchNamespace|resource)$/,
    /^grafana\.sidecar\.datasources\.(enabled|defaultDatasourceEnabled|isDefaultDatasource|name|uid|url)$/,
    /^grafana\.sidecar\.datasources\.(searchNamespace|resource)$/,
    /^(nodeExporter|kubeStateMetrics|kubeEtcd|kubeScheduler|kubeControllerManager|kubeProxy)\.enabled$/,
];

describe("chartValues", () => {
    it("sets only what the chart knows", () => {
        expect(paths(chartValues(settings(), [])).filter((path) => !known.some((key) => key.test(path)))).toEqual([]);
    });

    it("is the same text each time", () => {
        expect(JSON.stringify(chartValues(settings(), []))).toBe(JSON.stringify(chartValues(settings(), [])));
    });

    it("opens Grafana to no one unless a load balancer is asked for, and then to the sources named", () => {
        const service = (grafana: Values) => (chartValues(settings({ grafana }), []).grafana as Values).service;
        expect(service({ access: "internal", allowedSources: ["0.0.0.0/0"] })).toEqual({ type: "ClusterIP", port: 80 });
        expect(service({ access: "loadBalancer", allowedSources: ["192.0.2.0/24"] })).toMatchObject({
            loadBalancerSourceRanges: ["192.0.2.0/24"],
        });
    });

    it("takes storage, retention and interval from the settings", () => {
        const storage = { class: "csi-cinder-high-speed-gen2", prometheus: "200Gi" };
        const text = JSON.stringify(chartValues(settings({ storage, retention: "90d", scrapeInterval: "30s" }), []));
        for (const part of [
            '"storage":"200Gi"',
            '"retention":"90d"',
            '"retentionSize":"170GB"',
            '"scrapeInterval":"30s"',
        ]) {
            expect(text).toContain(part);
        }
        expect(text.match(/csi-cinder-high-speed-gen2/g)).toHaveLength(3);
        expect(text).not.toContain('"csi-cinder-high-speed"');
    });

    it("lays the user's own values on top", () => {
        const values = { grafana: { resources: { limits: { memory: "512Mi" } } }, kubeProxy: { enabled: true } };
        const merged = chartValues(settings({ chart: { values } }), []);
        expect(merged).toMatchObject(values);
        expect(merged).toMatchObject({ grafana: { deploymentStrategy: { type: "Recreate" } } });
    });
});

it.each([
    ["50Gi", "42GB"],
    ["1Ti", "870GB"],
    ["512Mi", "435MB"],
    ["1Gi", "870MB"],
])("of a volume of %s Prometheus fills %s", (volume, size) => {
    expect(retentionSize(volume)).toBe(size);
});

it.each([
    [
        {},
        {
            chart: "kube-prometheus-stack",
            version: "88.5.3",
            repositoryOpts: { repo: defaultMonitoring.chart.repository },
        },
    ],
    [
        { repository: "oci://ghcr.io/prometheus-community/charts/" },
        { chart: "oci://ghcr.io/prometheus-community/charts/kube-prometheus-stack", version: "88.5.3" },
    ],
    [{ path: "./charts/kps" }, { chart: "./charts/kps" }],
])("the chart of %j", (chart, source) => {
    expect(chartSource(settings({ chart }).chart)).toEqual(source);
});
