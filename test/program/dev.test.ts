import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { drainedServer } from "../../src/vllm/drain";
import { dashboardMetrics } from "../../src/vllm/metrics";
import { deploy, type Deployment, type Json } from "./deploy";

// The dev stack with nothing but what has to be set: the reference architecture, row by row.
const toSet = {
    projectId: "0123456789abcdef0123456789abcdef",
    huggingFaceToken: "hf_test",
    monitoring: { grafana: { allowedSources: ["198.51.100.7/32"] } },
};
const project = toSet.projectId;
/** The guide's job, row by row: what the stack has as `vllm-ministral` when it scrapes as the guide does. */
const guideJob = {
    jobName: "vllm-ministral",
    scheme: "HTTPS",
    metricsPath: "/metrics",
    scrapeInterval: "15s",
    scrapeTimeout: "10s",
    authorization: { type: "Bearer", credentials: { name: "vllm-auth-token", key: "token" } },
    staticConfigs: [
        {
            targets: [expect.stringMatching(/^[0-9a-z-]+\.app\.gra\.ai\.cloud\.ovh\.net$/)],
            labels: { service: "vllm", model: "ministral", environment: "production" },
        },
    ],
};
/** The type under which an object of the operator's kinds is known to Pulumi. */
const operatorKind = (kind: string, version: string) => `kubernetes:monitoring.coreos.com/${version}:${kind}`;
const scrapeConfig = operatorKind("ScrapeConfig", "v1alpha1");
const appName = "vllm-ministral-14B-autoscaling-custom-metric";

describe.each([{ preview: false }, { preview: true }])("dev stack, preview $preview", ({ preview }) => {
    let stack: Deployment;
    beforeAll(async () => {
        stack = await deploy({ stack: "dev", config: toSet, preview });
    });
    const app = () => stack.find("App").inputs;
    const values = () => stack.find("Release").inputs.values as Record<string, Json>;

    it("tokens: bound to the app by its label, read only, the Hugging Face token secret", () => {
        expect(stack.resources.filter(({ type }) => type.endsWith(":Token")).map(({ name }) => name)).toEqual([
            "ministral-scrape",
            "ministral-client",
        ]);
        for (const name of ["ministral-scrape", "ministral-client"]) {
            expect(stack.find("Token", name).inputs).toMatchObject({
                serviceName: project,
                region: "GRA",
                role: "ai_training_read",
                labelSelector: "ai_deploy_token=my_operator_token",
            });
        }
        expect(app().envVars.HF_TOKEN).toBe("hf_test");
        expect(stack.find("App").secrets).toContain("envVars.HF_TOKEN");
    });

    it("app", () => {
        expect(app()).toMatchObject({
            serviceName: project,
            name: appName,
            image: "vllm/vllm-openai:v0.13.0",
            region: "GRA",
            defaultHttpPort: 8000,
            labels: { ai_deploy_token: "my_operator_token" },
            resources: { flavor: "h100-1-gpu", gpu: 1 },
            unsecureHttp: false,
        });
        expect(stack.find("App")).toMatchObject({
            protect: false,
            dependsOn: expect.arrayContaining(["Authorization authorization"]),
        });
    });

    it("env", () => {
        expect(app().envVars).toEqual({
            OUTLINES_CACHE_DIR: "/tmp/.outlines",
            HF_TOKEN: "hf_test",
            HF_HOME: "/hub",
            HF_DATASETS_TRUST_REMOTE_CODE: "1",
            HF_HUB_ENABLE_HF_TRANSFER: "0",
        });
    });

    it("volumes", () => {
        expect(app().volumes).toEqual([
            { mountPath: "/hub", permission: "RW", volumeSource: { standalone: {} } },
            { mountPath: "/workspace", permission: "RW", volumeSource: { standalone: {} } },
        ]);
    });

    it("probes", () => {
        expect(app().livenessProbe).toEqual({ path: "/health", port: 8000, initialDelaySeconds: 300 });
        expect(app().readinessProbe).toEqual({ path: "/v1/models", port: 8000, initialDelaySeconds: 300 });
    });

    it("autoscaling", () => {
        expect(app().scalingStrategy).toEqual({
            automatic: {
                replicasMin: 1,
                replicasMax: 3,
                customMetrics: {
                    apiUrl: "http://<SELF>:8000/metrics",
                    format: "PROMETHEUS",
                    valueLocation: "vllm:num_requests_running",
                    targetValue: 50,
                    aggregationType: "AVERAGE",
                },
            },
        });
    });

    it("command", () => {
        expect(drainedServer(app().command as string[])?.command).toEqual([
            "bash",
            "-c",
            "python3 -m vllm.entrypoints.openai.api_server --model mistralai/Ministral-3-14B-Instruct-2512 " +
                "--tokenizer_mode mistral --load_format mistral --config_format mistral " +
                "--enable-auto-tool-choice --tool-call-parser mistral --enable-prefix-caching",
        ]);
    });

    it("cluster", () => {
        const kube = stack.find("Kube");
        expect(kube.inputs).toEqual({
            serviceName: project,
            name: "prometheus-vllm-metrics-ai-deploy",
            region: "GRA11",
            plan: "free",
        });
        expect(kube.protect).toBe(false);
        expect(stack.find("KubeNodePool")).toMatchObject({
            inputs: {
                serviceName: project,
                name: "monitoring",
                flavorName: "b2-15",
                desiredNodes: 3,
                autoscale: false,
            },
            ignoreChanges: [],
        });
        expect(stack.resources.filter(({ type }) => type.startsWith("openstack:"))).toEqual([]);
    });

    it("monitoring: namespace, Secret, release", () => {
        expect(stack.find("Namespace").inputs.metadata.name).toBe("monitoring");
        const token = stack.find("Secret", "ministral-scrape-token");
        expect(token.inputs.metadata).toMatchObject({ name: "vllm-auth-token", namespace: "monitoring" });
        // In a preview of a new stack the token is not known yet.
        if (!preview) {
            expect(token.inputs.stringData).toEqual({ token: "value-of-ministral-scrape" });
            expect(token.secrets).toContain("stringData");
        }

        const release = stack.find("Release");
        expect(release.inputs).toMatchObject({
            name: "monitoring",
            namespace: "monitoring",
            chart: "kube-prometheus-stack",
            version: "88.5.3",
            repositoryOpts: { repo: "https://prometheus-community.github.io/helm-charts" },
            timeout: 900,
            maxHistory: 3,
            values: { nameOverride: "monitoring", fullnameOverride: "monitoring" },
        });
        expect(release.dependsOn).toEqual(
            expect.arrayContaining(["KubeNodePool cluster-monitoring", "Secret monitoring-grafana-admin"]),
        );
        expect(stack.find("Namespace").dependsOn).toContain("KubeNodePool cluster-monitoring");
    });

    it("Prometheus", () => {
        const spec = values().prometheus.prometheusSpec;
        expect(spec).toMatchObject({ retention: "15d", scrapeInterval: "15s" });
        expect(spec.storageSpec.volumeClaimTemplate.spec).toEqual({
            storageClassName: "csi-cinder-high-speed",
            accessModes: ["ReadWriteOnce"],
            resources: { requests: { storage: "50Gi" } },
        });
    });

    it("scrape jobs: the guide's, whose name is taken by the one that tells replicas apart", () => {
        const names = ["vllm-ministral", "vllm-ministral-direct", "replica-relay-ministral"];
        const jobs = stack.resources.filter(({ type }) => type === scrapeConfig).map(({ inputs }) => inputs);
        expect(new Set(jobs.map(({ metadata }) => metadata as unknown))).toEqual(
            new Set(names.map((name) => ({ name, namespace: "monitoring" }))),
        );
        // In a preview of a new stack the app's address is not known yet, and the job with it.
        if (preview) return;
        const [relayed, guide] = names.map((name) => jobs.find(({ metadata }) => metadata.name === name)!.spec);
        expect(relayed).toMatchObject({ jobName: "vllm-ministral", metricsPath: "/replicas" });
        expect(guide).toEqual({
            ...guideJob,
            jobName: "vllm-ministral-direct",
            metricRelabelings: [{ sourceLabels: ["__name__"], regex: ".+", action: "drop" }],
        });
        const appUrl: string = `https://${guide.staticConfigs[0].targets[0]}`;
        return expect(stack.output("appUrl")).resolves.toMatchObject({ value: appUrl });
    });

    it("Grafana", () => {
        const { grafana } = values();
        expect(grafana.service).toEqual({ type: "ClusterIP", port: 80 });
        const loadBalancer = stack.find("Service", "monitoring-grafana");
        expect(loadBalancer.inputs).toMatchObject({
            metadata: { name: "grafana", namespace: "monitoring" },
            spec: {
                type: "LoadBalancer",
                loadBalancerSourceRanges: ["198.51.100.7/32"],
                ports: [{ port: 80, targetPort: 3000 }],
            },
        });
        expect(loadBalancer.dependsOn).toContain("Release monitoring");
        expect(grafana.persistence).toMatchObject({ enabled: true, size: "10Gi" });
        expect(grafana.deploymentStrategy).toEqual({ type: "Recreate" });
        expect(grafana.adminPassword).toBeUndefined();
        expect(grafana.admin).toEqual({
            existingSecret: "grafana-admin",
            userKey: "admin-user",
            passwordKey: "admin-password",
        });
        expect(grafana.sidecar.datasources).toMatchObject({
            enabled: true,
            defaultDatasourceEnabled: true,
            uid: "prometheus",
            url: "http://monitoring-prometheus:9090",
        });
        const admin = stack.find("Secret", "monitoring-grafana-admin");
        expect(admin.inputs.metadata.name).toBe("grafana-admin");
        if (preview) return;
        expect(admin.inputs.stringData).toEqual({ "admin-user": "admin", "admin-password": "generated-password" });
        expect(admin.secrets).toContain("stringData");
    });

    it("dashboards", () => {
        const maps = stack.resources.filter(({ name }) => name.startsWith("monitoring-dashboard-"));
        const files = maps.flatMap(({ inputs }) => Object.entries(inputs.data as Record<string, string>));
        expect(files.map(([file]) => file).sort()).toEqual([
            "vllm-capacity-cost.json",
            "vllm-ministral-monitoring.json",
            "vllm-monitoring-path.json",
        ]);
        for (const { inputs } of maps) expect(inputs.metadata.labels).toEqual({ grafana_dashboard: "1" });
        const text = Object.fromEntries(files)["vllm-ministral-monitoring.json"];
        expect(JSON.parse(text).uid).toBe("vllm-ministral-monitoring");
        for (const name of dashboardMetrics) expect(text).toContain(name);
    });

    it("rules: those of the model, with its targets, apart from those of the monitoring", () => {
        const { groups } = values().additionalPrometheusRulesMap.monitoring;
        expect(groups.map(({ name }: Json) => name)).toEqual(["monitoring"]);
        const { inputs, dependsOn } = stack.find(operatorKind("PrometheusRule", "v1"));
        expect(inputs.metadata).toEqual({ name: "vllm-ministral", namespace: "monitoring" });
        expect(dependsOn).toContain("Release monitoring");
        const [{ name, rules }, ...others] = inputs.spec.groups;
        expect([name, others]).toEqual(["vllm-ministral", []]);
        const target = rules.find(({ record }: Json) => record === "model:time_to_first_token_target:seconds");
        expect(target).toEqual({ record: target.record, expr: "vector(1)", labels: { model: "ministral" } });
        const info = rules.find(({ record }: Json) => record === "model:info");
        if (!preview) expect(info.labels.app).toMatch(/^11111111-/);
        expect(rules.filter(({ alert }: Json) => alert === "VllmReplicaStuck")).toHaveLength(1);
    });

    it("alerts: shown, and nobody told until receivers are named", () => {
        const { config, alertmanagerSpec } = values().alertmanager;
        expect(alertmanagerSpec.secrets).toEqual([]);
        expect(config.receivers.map(({ name, ...rest }: Json) => [name, rest])).toEqual(
            ["null", "heartbeat", "page", "ticket", "info"].map((name) => [name, {}]),
        );
    });

    it("rest: Alertmanager with 10Gi, node exporter, kube-state-metrics", () => {
        const { alertmanager, nodeExporter, kubeStateMetrics } = values();
        const { storage } = alertmanager.alertmanagerSpec;
        expect(storage.volumeClaimTemplate.spec.resources.requests.storage).toBe("10Gi");
        expect([alertmanager.enabled, nodeExporter.enabled, kubeStateMetrics.enabled]).toEqual([true, true, true]);
    });

    it("no alerts on a control plane that is out of reach", () => {
        for (const part of ["kubeEtcd", "kubeScheduler", "kubeControllerManager", "kubeProxy"]) {
            expect(values()[part]).toEqual({ enabled: false });
        }
    });

    it("every resource of Kubernetes goes through the cluster's provider, which keeps its identity", () => {
        const provider = stack.find("pulumi:providers:kubernetes");
        expect(Object.keys(provider.inputs)).toContain("clusterIdentifier");
        expect(Object.keys(provider.inputs)).toContain("kubeconfig");
        if (!preview) expect(provider.secrets).toContain("kubeconfig");
        const deployed = stack.resources.filter(({ type }) => type.startsWith("kubernetes:"));
        expect(deployed.length).toBeGreaterThan(4);
        for (const one of deployed) expect(one.provider, one.name).toMatch(/::cluster-kubernetes::/);
    });

    it("outputs: secrets are secret", async () => {
        for (const name of ["kubeconfig", "clientToken", "grafanaPassword"]) {
            expect(await stack.output(name), name).toMatchObject({ secret: true });
        }
        for (const name of ["appId", "appUrl", "openAiBaseUrl", "platformMonitoringUrl", "grafanaUrl"]) {
            expect(await stack.output(name), name).toMatchObject({ secret: false });
        }
        // Pulumi warns of one that is undefined, at each preview.
        expect((await stack.output("addresses")).value).toEqual({});
    });

    it("outputs: values", async () => {
        const value = async (name: string): Promise<Json> => (await stack.output(name)).value;
        const appId: string = await value("appId");
        // In a preview of a new stack the cloud's answers are not known.
        if (preview) {
            expect([appId, await value("appUrl"), await value("grafanaUrl")]).toEqual([
                undefined,
                undefined,
                undefined,
            ]);
            return;
        }
        expect(appId).toMatch(/^11111111-/);
        expect(await value("appUrl")).toBe(`https://${appId}.app.gra.ai.cloud.ovh.net`);
        expect(await value("openAiBaseUrl")).toBe(`https://${appId}.app.gra.ai.cloud.ovh.net/v1`);
        expect(await value("platformMonitoringUrl")).toBe(
            `https://monitoring.gra.ai.cloud.ovh.net/d/app/app-monitoring?var-app=${appId}&orgId=1`,
        );
        expect(await value("grafanaUrl")).toBe(
            "http://192.0.2.10/d/vllm-ministral-monitoring/ministral-14b-vllm-metrics-monitoring",
        );
        expect(await value("grafanaPortForward")).toBe(
            "kubectl port-forward --namespace monitoring service/monitoring-grafana 3000:80",
        );
        expect(await value("clientToken")).toBe("value-of-ministral-client");
        expect(await value("grafanaPassword")).toBe("generated-password");
        expect(parse((await value("kubeconfig")) as string)).toEqual({ apiVersion: "v1", kind: "Config" });
        expect(await value("models")).toEqual({
            ministral: {
                model: "mistralai/Ministral-3-14B-Instruct-2512",
                scrapeJob: "vllm-ministral",
                appId,
                appUrl: await value("appUrl"),
                openAiBaseUrl: await value("openAiBaseUrl"),
                platformMonitoringUrl: await value("platformMonitoringUrl"),
                clientToken: "value-of-ministral-client",
            },
        });
    });

    it("nothing else is made", () => {
        const custom = stack.resources.filter(
            ({ type, read }) => !read && !/^(pulumi:pulumi|ovhcloud-llm-)/.test(type),
        );
        expect(custom.map(({ type, name }) => `${type.split(":").pop()} ${name}`).sort()).toEqual(
            [
                "App ministral",
                "AppLeftovers ministral",
                "AppReady ministral",
                "Authorization authorization",
                "ConfigMap monitoring-dashboard-vllm-capacity-cost",
                "ConfigMap monitoring-dashboard-vllm-ministral-monitoring",
                "ConfigMap monitoring-dashboard-vllm-monitoring-path",
                "ClusterContents cluster-contents",
                "ConfigMap ministral-relay",
                "Deployment ministral-relay",
                "Kube cluster",
                "KubeNodePool cluster-monitoring",
                "Namespace monitoring",
                "RandomId ministral-adoption",
                "RandomPassword monitoring-grafana-password",
                "PrometheusRule ministral-rules",
                "Release monitoring",
                "ScrapeConfig ministral-job",
                "ScrapeConfig ministral-probe-job",
                "ScrapeConfig ministral-relay-job",
                "Secret ministral-scrape-token",
                "Secret monitoring-grafana-admin",
                "Service ministral-relay",
                "Service monitoring-grafana",
                "Stash cluster-order",
                "Token ministral-client",
                "Token ministral-scrape",
                "kubernetes cluster-kubernetes",
            ].sort(),
        );
    });
});

it("dev stack that scrapes as the guide does: the guide's job alone, and no relay", async () => {
    const monitoring = { ...toSet.monitoring, replicaMetrics: "direct" };
    const stack = await deploy({ stack: "dev", config: { ...toSet, monitoring } });
    expect(stack.find(scrapeConfig).inputs.spec).toEqual(guideJob);
    expect(stack.resources.filter(({ name }) => name.includes("relay"))).toEqual([]);
});
