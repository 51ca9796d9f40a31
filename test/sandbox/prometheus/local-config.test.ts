import { describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { localConfig } from "../../../sandbox/prometheus/local-config";

const written = `
global: {scrape_interval: 15s, external_labels: {prometheus: monitoring/monitoring-prometheus}}
rule_files: [/etc/prometheus/rules/prometheus-monitoring-prometheus-rulefiles-0/*.yaml]
scrape_configs:
  - job_name: serviceMonitor/monitoring/monitoring-operator/0
    kubernetes_sd_configs: [{role: endpoints}]
  - job_name: vllm-ministral
    scheme: https
    authorization: {type: Bearer, credentials_file: /etc/prometheus/secrets/vllm-auth-token/token}
    static_configs: [{targets: [127.0.0.1:7781], labels: {model: ministral}}]
alerting:
  alert_relabel_configs: [{action: labeldrop, regex: prometheus_replica}]
  alertmanagers: [{kubernetes_sd_configs: [{role: endpoints}]}]
`;

describe("localConfig", () => {
    const local = localConfig(written, "/some where/mounted");
    const config = parse(local.text) as Record<string, unknown>;

    it("keeps the jobs that can be reached, and tells the others", () => {
        expect(local.leftOut).toEqual(["serviceMonitor/monitoring/monitoring-operator/0"]);
        expect(config.scrape_configs).toEqual([
            {
                job_name: "vllm-ministral",
                scheme: "https",
                authorization: {
                    type: "Bearer",
                    credentials_file: "/some where/mounted/secrets/vllm-auth-token/token",
                },
                static_configs: [{ targets: ["127.0.0.1:7781"], labels: { model: "ministral" } }],
            },
        ]);
    });

    it("finds rules where they are laid out, and leaves the rest as it was", () => {
        expect(config.rule_files).toEqual([
            "/some where/mounted/rules/prometheus-monitoring-prometheus-rulefiles-0/*.yaml",
        ]);
        expect(config.global).toMatchObject({ scrape_interval: "15s" });
        expect(config.alerting).toEqual({
            alert_relabel_configs: [{ action: "labeldrop", regex: "prometheus_replica" }],
            alertmanagers: [],
        });
    });

    it("sends alerts to the Alertmanager of this machine in place of the cluster's", () => {
        const { text } = localConfig(written, "/m", { alertmanager: "127.0.0.1:7791" });
        expect((parse(text) as typeof config).alerting).toMatchObject({
            alertmanagers: [{ api_version: "v2", static_configs: [{ targets: ["127.0.0.1:7791"] }] }],
        });
    });

    it("scrapes Prometheus and Alertmanager of this machine in place of the cluster's pods", () => {
        const jobs = ["prometheus/0", "prometheus/1", "alertmanager/0"].map((name) => ({
            job_name: `serviceMonitor/monitoring/monitoring-${name}`,
            metrics_path: "/metrics",
            kubernetes_sd_configs: [{ role: "endpoints" }],
            relabel_configs: [{ source_labels: ["__meta_kubernetes_service_label_app"], action: "keep", regex: "x" }],
        }));
        const addresses = { prometheus: "127.0.0.1:7790", alertmanager: "127.0.0.1:7791" };
        const { text, leftOut } = localConfig(stringify({ scrape_configs: jobs }), "/m", addresses);
        // The second one is of the pod's config reloader.
        expect(leftOut).toEqual(["serviceMonitor/monitoring/monitoring-prometheus/1"]);
        const target = (container: string, address: string) => ({
            job_name: `serviceMonitor/monitoring/monitoring-${container}/0`,
            metrics_path: "/metrics",
            static_configs: [
                {
                    targets: [address],
                    labels: {
                        job: `monitoring-${container}`,
                        namespace: "monitoring",
                        service: `monitoring-${container}`,
                        endpoint: "http-web",
                        pod: `${container}-monitoring-${container}-0`,
                        container,
                    },
                },
            ],
        });
        expect((parse(text) as typeof config).scrape_configs).toEqual([
            target("prometheus", addresses.prometheus),
            target("alertmanager", addresses.alertmanager),
        ]);
    });

    it("scrapes the API server, which runs: the chart's alert that it is gone would be a false one", () => {
        const job = {
            job_name: "serviceMonitor/monitoring/monitoring-apiserver/0",
            scheme: "https",
            authorization: { credentials_file: "/var/run/secrets/kubernetes.io/serviceaccount/token" },
            tls_config: { ca_file: "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt", server_name: "kubernetes" },
            kubernetes_sd_configs: [{ role: "endpoints" }],
            relabel_configs: [{ source_labels: ["x"], action: "keep", regex: "x" }],
            metric_relabel_configs: [{ source_labels: ["y"], action: "drop", regex: "y" }],
        };
        const apiServer = {
            address: "127.0.0.1:6443",
            ca: "/c/ca.crt",
            certificate: "/c/client.crt",
            key: "/c/client.key",
        };
        const { text, leftOut } = localConfig(stringify({ scrape_configs: [job] }), "/m", { apiServer });
        expect(leftOut).toEqual([]);
        const labels = { job: "apiserver", namespace: "default", service: "kubernetes", endpoint: "https" };
        expect((parse(text) as typeof config).scrape_configs).toEqual([
            {
                job_name: job.job_name,
                scheme: "https",
                metric_relabel_configs: job.metric_relabel_configs,
                tls_config: { ca_file: "/c/ca.crt", cert_file: "/c/client.crt", key_file: "/c/client.key" },
                static_configs: [{ targets: ["127.0.0.1:6443"], labels }],
            },
        ]);
    });

    describe("jobs of the replica relays", () => {
        const job = (target: string) =>
            `scrape_configs: [{job_name: a, static_configs: [{targets: ["${target}"], labels: {m: x}}]}]`;
        const relayed = job("vllm-relay-a.monitoring.svc:9400");

        it("go to where each runs", () => {
            const { text, leftOut } = localConfig(relayed, "/m", { relays: { "vllm-relay-a": "127.0.0.1:5000" } });
            expect(leftOut).toEqual([]);
            const [{ static_configs: targets }] = (parse(text) as { scrape_configs: any[] }).scrape_configs;
            // Its port is another one after each start, which must not make its series others.
            expect(targets).toEqual([
                { targets: ["127.0.0.1:5000"], labels: { instance: "vllm-relay-a.monitoring.svc:9400", m: "x" } },
            ]);
        });

        it("are left out while it does not run", () => {
            expect(localConfig(relayed, "/m")).toMatchObject({ leftOut: ["a"] });
        });

        it("are no others", () => {
            expect(
                parse(localConfig(job("app.example.net"), "/m", { relays: { "vllm-relay-a": "127.0.0.1:5000" } }).text),
            ).toEqual(parse(job("app.example.net")));
            expect(
                localConfig(job("other.monitoring.svc:9400"), "/m", { relays: { "vllm-relay-a": "127.0.0.1:5000" } })
                    .leftOut,
            ).toEqual(["a"]);
        });
    });

    it("takes a config without alerting or jobs", () => {
        expect(parse(localConfig("global: {}", "/m").text)).toEqual({ global: {}, scrape_configs: [] });
    });
});
