import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { chartSource, chartValues, grafanaLoadBalancer, retentionSize } from "../../src/monitoring/chart-values";
import { stackRules } from "../../src/monitoring/rules";
import type { AlertingSettings, MonitoringSettings } from "../../src/settings";
import { defaultAlerting, defaultMonitoring, overlay } from "../../src/settings/defaults";

const settings = (over: Record<string, unknown> = {}) => overlay(defaultMonitoring, over) as MonitoringSettings;
type Values = Record<string, unknown>;
const alerting = defaultAlerting as AlertingSettings;

/** Paths of the values, down to lists and single values. */
function paths(values: Values, prefix = ""): string[] {
    return Object.entries(values).flatMap(([key, value]) =>
        typeof value === "object" && value !== null && !Array.isArray(value)
            ? paths(value as Values, `${prefix}${key}.`)
            : [`${prefix}${key}`],
    );
}

/** Keys of the real chart, of which a wrong one is ignored silently; how they were taken down is said in the file. */
const chartKeys = new Map(
    readFileSync(join(__dirname, "chart-keys.txt"), "utf8")
        .split("\n")
        .filter((line) => line && !line.startsWith("#"))
        .map((line): [key: string, open: boolean] => [line.replace(/ \*$/, ""), line.endsWith(" *")]),
);

/** What the chart passes on as it is: Alertmanager's own configuration, which amtool checks, and Grafana's. */
const passedOn = /^(alertmanager\.config|grafana\.grafana\.ini)\./;

/** Whether the chart has a key of this path, or lets anything be below a part of it. */
function known(path: string): boolean {
    if (passedOn.test(path)) return true;
    const parts = path.split(".");
    return parts.some((_, index) => {
        const key = parts.slice(0, index + 1).join(".");
        return chartKeys.has(key) && (index === parts.length - 1 || chartKeys.get(key)!);
    });
}

/** What decides over data, money or access is not left to the chart unless it is said here why. */
const decisions =
    /^(prometheus\.prometheusSpec|alertmanager\.alertmanagerSpec|grafana|prometheusOperator|kube-state-metrics|prometheus-node-exporter)\.(resources|storage|storageSpec|retention|retentionSize|persistence\.(enabled|size|storageClassName)|service\.type|deploymentStrategy\.type|admin\.existingSecret|sidecar\.resources|admissionWebhooks\.enabled|tls\.enabled)$|^prometheus\.prometheusSpec\.(scrapeInterval|evaluationInterval|\w+SelectorNilUsesHelmValues)$|^(kubeEtcd|kubeScheduler|kubeControllerManager|kubeProxy|nodeExporter|kubeStateMetrics|alertmanager|grafana)\.enabled$/;
const leftToTheChart: Record<string, string> = {
    "alertmanager.alertmanagerSpec.retention": "120h of silences and notifications is enough",
    "prometheusOperator.service.type": "ClusterIP",
    "kube-state-metrics.service.type": "ClusterIP",
    "prometheus-node-exporter.service.type": "ClusterIP",
};

describe("chartValues", () => {
    it.each([
        ["by default", {}],
        ["inside", { grafana: { access: "internal" } }],
        [
            "by ingress",
            { grafana: { access: "ingress", ingress: { host: "g.example.org", class: "nginx", issuer: "x" } } },
        ],
    ])("sets only what the chart knows: %s", (_, over) => {
        const set = paths(chartValues(settings(over), alerting));
        expect(set.length).toBeGreaterThan(50);
        expect(set.filter((path) => !known(path))).toEqual([]);
    });

    it("notices a key that the chart does not have", () => {
        expect(["grafana.adminpassword", "prometheus.prometheusSpec.storage.size"].filter(known)).toEqual([]);
    });

    it("leaves nothing to the chart's defaults by accident", () => {
        const set = paths(chartValues(settings(), alerting));
        const isSet = (key: string) => set.some((path) => path === key || path.startsWith(`${key}.`));
        const open = [...chartKeys.keys()].filter((key) => decisions.test(key) && !isSet(key));
        expect(open.filter((key) => !leftToTheChart[key])).toEqual([]);
        expect(Object.keys(leftToTheChart).filter((key) => !open.includes(key))).toEqual([]);
    });

    it("hands the rules over as objects, and takes the place of the chart's dead man's switch", () => {
        const values = chartValues(settings(), alerting) as any;
        expect(values.additionalPrometheusRulesMap.monitoring.groups).toEqual([stackRules("docs/operations")]);
        expect(values.defaultRules.disabled.Watchdog).toBe(true);
    });

    it("mounts the receivers' secrets where Alertmanager's config looks for them, and only then", () => {
        const spec = (values: any) => values.alertmanager.alertmanagerSpec.secrets;
        expect(spec(chartValues(settings(), alerting))).toEqual([]);
        const receivers = { hook: { type: "webhook", url: "https://example.org/secret-path" } };
        const values = chartValues(settings(), { ...alerting, receivers } as AlertingSettings);
        expect(spec(values)).toEqual(["alertmanager-receivers"]);
        expect(JSON.stringify(values)).not.toContain("secret-path");
    });

    it("serves Grafana by https through an ingress, to the sources named", () => {
        const grafana = {
            access: "ingress",
            allowedSources: ["192.0.2.0/24", "198.51.100.7/32"],
            ingress: { host: "grafana.example.org", class: "nginx", issuer: "letsencrypt" },
        };
        expect((chartValues(settings({ grafana }), alerting) as any).grafana).toMatchObject({
            service: { type: "ClusterIP" },
            ingress: {
                enabled: true,
                ingressClassName: "nginx",
                hosts: ["grafana.example.org"],
                tls: [{ secretName: "grafana-tls", hosts: ["grafana.example.org"] }],
                annotations: {
                    "nginx.ingress.kubernetes.io/whitelist-source-range": "192.0.2.0/24,198.51.100.7/32",
                    "cert-manager.io/cluster-issuer": "letsencrypt",
                },
            },
            "grafana.ini": { server: { root_url: "https://grafana.example.org" } },
        });
    });

    it("is the same text each time", () => {
        expect(JSON.stringify(chartValues(settings(), alerting))).toBe(
            JSON.stringify(chartValues(settings(), alerting)),
        );
    });

    it("opens Grafana to no one: what does is a Service of its own, to the sources named", () => {
        for (const access of ["internal", "loadBalancer", "ingress"]) {
            const { grafana } = chartValues(settings({ grafana: { access } }), alerting) as any;
            expect(grafana.service).toEqual({ type: "ClusterIP", port: 80 });
        }
        expect(grafanaLoadBalancer(["192.0.2.0/24"])).toMatchObject({
            type: "LoadBalancer",
            loadBalancerSourceRanges: ["192.0.2.0/24"],
            ports: [{ port: 80 }],
        });
    });

    it("takes storage, retention and interval from the settings", () => {
        const storage = { class: "csi-cinder-high-speed-gen2", prometheus: "200Gi" };
        const text = JSON.stringify(
            chartValues(settings({ storage, retention: "90d", scrapeInterval: "30s" }), alerting),
        );
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
        const merged = chartValues(settings({ chart: { values } }), alerting);
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
