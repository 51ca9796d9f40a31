import { CoreV1Api, KubeConfig, NetworkingV1Api } from "@kubernetes/client-node";
import { gunzipSync } from "node:zlib";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { modelsDashboard } from "../src/monitoring/dashboards/files";
import { grafanaService } from "../src/monitoring/chart-values";
import { dashboardMetrics } from "../src/vllm/metrics";
import { tokenKey, tokenSecretName } from "../src/monitoring/scrape-jobs";
import { defaultMonitoring, overlay } from "../src/settings/defaults";
import type { MonitoringSettings } from "../src/settings";
import type { SandboxStatus } from "./ovhcloud/status";

/** One promise of the stack, checked against what runs. */
export interface Finding {
    promise: string;
    ok: boolean;
    /** What was seen, or what is wrong and where to look. */
    seen: string;
}

/** The stack outputs that the checks start from (`pulumi stack output --json --show-secrets`). */
export interface StackOutputs {
    appId: string;
    appUrl: string;
    openAiBaseUrl: string;
    platformMonitoringUrl: string;
    grafanaUrl: string;
    clientToken: string;
    kubeconfig: string;
    grafanaPassword: string;
    models: Record<string, { model: string; appId: string; appUrl: string; scrapeJob: string; clientToken: string }>;
}

export interface ProofInput {
    outputs: StackOutputs;
    /** API of the emulated OVHcloud, with `/v1`. */
    api: string;
    prometheus: string;
    /** Folder of Prometheus' config, which a neighbour's does not read. */
    prometheusFolder: string;
    caFile: string;
    /** The stack's `monitoring.grafana.access`: what is promised of Grafana follows from it. */
    grafanaAccess: GrafanaAccess;
    /** `pulumi preview --expect-no-changes` run by the caller; resolves with what it would change, or nothing. */
    preview: () => Promise<string | undefined>;
    /** Called with each finding as it is made. */
    onFinding?: (finding: Finding) => void;
}

type GrafanaAccess = MonitoringSettings["grafana"]["access"];

interface Answer {
    status: number;
    body: string;
}

/** Checks every promise of the reference architecture, in the order in which a person would. Never throws for a broken promise. */
export async function proveStack(input: ProofInput): Promise<Finding[]> {
    const { outputs, prometheus } = input;
    const findings: Finding[] = [];
    const check = async (promise: string, look: () => Promise<string>): Promise<void> => {
        let finding: Finding;
        try {
            finding = { promise, ok: true, seen: await look() };
        } catch (error) {
            finding = { promise, ok: false, seen: (error as Error).message };
        }
        findings.push(finding);
        input.onFinding?.(finding);
    };
    const ca = readFileSync(input.caFile);
    const kubernetes = new KubeConfig();
    // Of the stack, not of the sandbox: it must open the cluster that the stack has now.
    kubernetes.loadFromString(outputs.kubeconfig);
    const core = kubernetes.makeApiClient(CoreV1Api);

    await check("Prometheus is this sandbox's own", async () => {
        const folder = input.prometheusFolder;
        return eventually(async () => {
            const answer = await fetch(`${prometheus}/api/v1/status/config`);
            expect(answer.ok, `Prometheus answers ${answer.status} at ${prometheus}`);
            const { data } = (await answer.json()) as { data: { yaml: string } };
            expect(
                data.yaml.includes(`${folder}/`),
                `${prometheus} is that of another sandbox: it does not read ${folder}`,
            );
            return `${prometheus} reads ${folder}`;
        });
    });
    for (const [name, model] of Object.entries(outputs.models)) {
        const call = (path: string, token?: string, body?: object): Promise<Answer> =>
            https(model.appUrl + path, ca, token, body);

        const { speed } = await sandboxStatus(input.api);
        await check(`${name}: app is RUNNING`, () =>
            // After a stop of the sandbox its replicas boot again, which no `pulumi up` waits for.
            eventually(async () => {
                const app = (await sandboxStatus(input.api)).apps.find(({ id }) => id === model.appId);
                expect(app, `the platform does not know app ${model.appId}`);
                expect(app.state === "RUNNING", `app ${model.appId} is ${app.state}`);
                return `${app.name} ${model.appId}, ${app.availableReplicas} replica(s)`;
            }, longestBootSeconds / speed),
        );
        await check(`${name}: chat completion 200 with the client token`, async () => {
            const started = Date.now();
            const answer = await call("/v1/chat/completions", model.clientToken, {
                model: model.model,
                messages: [{ role: "user", content: "Say hello to the sandbox." }],
                max_tokens: 16,
            });
            expect(answer.status === 200, `status ${answer.status}: ${answer.body.slice(0, 200)}`);
            const { choices, usage } = JSON.parse(answer.body);
            return `"${String(choices[0].message.content).slice(0, 40)}…" ${usage.completion_tokens} tokens in ${Date.now() - started} ms`;
        });
        await check(`${name}: chat completion 401 without a token`, async () => {
            const { status } = await call("/v1/chat/completions", undefined, { model: model.model, messages: [] });
            expect(status === 401, `status ${status}: anybody could use this GPU`);
            return "401";
        });
        await check(`${name}: /metrics 200 with the token, 401 without`, async () => {
            const page = await call("/metrics", model.clientToken);
            expect(page.status === 200, `status ${page.status} with the token`);
            const bare = await call("/metrics");
            expect(bare.status === 401, `status ${bare.status} without a token`);
            return `${page.body.split("\n").length} lines`;
        });
        await check(`${name}: Prometheus has up{job="${model.scrapeJob}"} == 1`, async () => {
            const up = await eventually(async () => {
                const value = await query(prometheus, `up{job="${model.scrapeJob}"}`);
                expect(value.length > 0, "no such series: is the job in the operator's config?");
                expect(
                    value.every((sample) => sample.value === 1),
                    `up is 0: ${await lastScrapeError(prometheus, model.scrapeJob)}`,
                );
                return value;
            });
            return Object.entries(up[0].labels)
                .filter(([label]) => label !== "__name__")
                .map(([label, value]) => `${label}=${value}`)
                .join(" ");
        });
        await check(`${name}: the ${dashboardMetrics.length} metrics of the dashboard are in Prometheus`, async () => {
            const missing = await eventually(async () => {
                const absent: string[] = [];
                for (const metric of dashboardMetrics) {
                    const found = await query(
                        prometheus,
                        `count({__name__=~"${metric}(_bucket)?",job="${model.scrapeJob}"})`,
                    );
                    if (found.length === 0) absent.push(metric);
                }
                expect(absent.length === 0, `missing: ${absent.join(", ")}`);
                return absent;
            });
            return missing.length === 0 ? "all" : missing.join(", ");
        });
    }

    await check("cluster answers, its nodes are Ready", async () => {
        const { items } = await core.listNode();
        const ready = items.filter((node) =>
            node.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True"),
        );
        expect(items.length > 0 && ready.length === items.length, `${ready.length} of ${items.length} nodes Ready`);
        return `${ready.length} x ${items[0].metadata?.labels?.["node.kubernetes.io/instance-type"] ?? "node"}`;
    });
    await check("Helm release is deployed", async () => {
        const { items } = await core.listNamespacedSecret({
            namespace: "monitoring",
            labelSelector: "owner=helm,name=monitoring",
        });
        const newest = items.sort(
            (a, b) => Number(b.metadata?.labels?.version) - Number(a.metadata?.labels?.version),
        )[0];
        expect(newest, "no release named monitoring in namespace monitoring");
        const state = newest.metadata?.labels?.status;
        expect(state === "deployed", `release is ${state}`);
        const release = JSON.parse(gunzipSync(Buffer.from(decode(newest.data?.release), "base64")).toString());
        return `${release.chart.metadata.name} ${release.chart.metadata.version}, revision ${newest.metadata?.labels?.version}`;
    });
    await check("Secrets with the scrape tokens, as they are (no quotes)", async () => {
        const names = Object.keys(outputs.models).map(tokenSecretName);
        for (const name of names) {
            const { data } = await core.readNamespacedSecret({ namespace: "monitoring", name });
            const token = decode(data?.[tokenKey]);
            expect(
                token !== "" && !/["'\s]/.test(token),
                `key ${tokenKey} of ${name} is empty or holds quotes or spaces`,
            );
        }
        return `${names.join(", ")}, key ${tokenKey}`;
    });
    await check("dashboard is where Grafana's sidecar loads it from", async () => {
        const { items } = await core.listNamespacedConfigMap({
            namespace: "monitoring",
            labelSelector: "grafana_dashboard=1",
        });
        const uids = items
            .flatMap(({ data }) => Object.values(data ?? {}))
            .map((text) => JSON.parse(text).uid as string);
        const { uid } = modelsDashboard(Object.keys(outputs.models));
        expect(uids.includes(uid), `uids found: ${uids.join(", ") || "none"}`);
        expect(outputs.grafanaUrl.includes(`/d/${uid}/`), `grafanaUrl is ${outputs.grafanaUrl}`);
        return `uid ${uid} (Grafana itself is not run here)`;
    });
    const grafana = grafanaPromises[input.grafanaAccess];
    await check(grafana.promise, () => grafana.look(kubernetes, outputs.grafanaUrl));
    await check("kubeconfig, Grafana password and client token are outputs", async () => {
        for (const key of ["kubeconfig", "grafanaPassword", "clientToken"] as const) {
            expect(outputs[key], `output ${key} is missing`);
        }
        return "kubeconfig, grafanaPassword, clientToken (secret)";
    });
    await check("calls kept to the published API structure", async () => {
        const { violations } = await sandboxStatus(input.api);
        expect(violations === 0, `${violations} violation(s), see ${input.api.replace("/v1", "")}/sandbox/violations`);
        return "0 violations";
    });
    await check("pulumi preview is empty", async () => {
        const changes = await input.preview();
        expect(changes === undefined, `a second up would change: ${changes}`);
        return "no changes";
    });
    return findings;
}

/** The setting in a stack's config as `pulumi config --json --show-secrets` prints it; the stack has been brought up with it. */
export function grafanaAccess(config: string): GrafanaAccess {
    const stored = JSON.parse(config) as Record<string, { value: string } | undefined>;
    const given = JSON.parse(stored["ovhcloud-llm-serving:monitoring"]?.value ?? "{}") as unknown;
    return (overlay(defaultMonitoring, given ?? {}) as MonitoringSettings).grafana.access;
}

/** How Grafana is reached, by `monitoring.grafana.access`. `look` says what it saw and throws when that was not promised. */
export const grafanaPromises: Record<
    GrafanaAccess,
    { promise: string; look: (kubernetes: KubeConfig, grafanaUrl: string) => Promise<string> }
> = {
    loadBalancer: {
        promise: "Grafana is open to the named sources only",
        look: async (kubernetes, grafanaUrl) => {
            const [service, ...others] = await grafanaLoadBalancers(kubernetes);
            const sources = service?.spec?.loadBalancerSourceRanges ?? [];
            const address = service?.status?.loadBalancer?.ingress?.[0]?.ip;
            expect(address && others.length === 0, "no LoadBalancer address, or several");
            expect(sources.length > 0, "no source ranges: open to all");
            expect(grafanaUrl.startsWith(`http://${address}/`), `grafanaUrl is ${grafanaUrl}`);
            return `${address}:80 from ${sources.join(", ")}`;
        },
    },
    ingress: {
        promise: "Grafana is open by https through the ingress only",
        look: async (kubernetes, grafanaUrl) => {
            const { items } = await kubernetes
                .makeApiClient(NetworkingV1Api)
                .listNamespacedIngress({ namespace: "monitoring" });
            const { hostname, protocol } = new URL(grafanaUrl);
            const ingress = items.find(({ spec }) => spec?.rules?.some(({ host }) => host === hostname));
            expect(ingress && protocol === "https:", `no ingress for grafanaUrl, ${grafanaUrl}`);
            expect(
                ingress.spec?.tls?.some(({ hosts, secretName }) => secretName && hosts?.includes(hostname)),
                `the ingress has no certificate for ${hostname}`,
            );
            const sources = ingress.metadata?.annotations?.["nginx.ingress.kubernetes.io/whitelist-source-range"];
            expect(sources, "the ingress names no sources: open to all");
            await expectNoLoadBalancer(kubernetes);
            return `${hostname} by class ${ingress.spec?.ingressClassName} from ${sources} (no controller is run here)`;
        },
    },
    internal: {
        promise: "Grafana is reached from inside the cluster only",
        look: async (kubernetes, grafanaUrl) => {
            await expectNoLoadBalancer(kubernetes);
            expect(grafanaUrl.startsWith("http://localhost:"), `grafanaUrl is ${grafanaUrl}`);
            return "no load balancer; kubectl port-forward as in the output grafanaPortForward";
        },
    },
};

/** The load balancers that lead to Grafana: the stack's own, and the chart's Service if it was made one. */
async function grafanaLoadBalancers(kubernetes: KubeConfig) {
    const { items } = await kubernetes.makeApiClient(CoreV1Api).listNamespacedService({ namespace: "monitoring" });
    const names = ["grafana", grafanaService];
    return items.filter(({ spec, metadata }) => spec?.type === "LoadBalancer" && names.includes(metadata!.name!));
}

async function expectNoLoadBalancer(kubernetes: KubeConfig): Promise<void> {
    const names = (await grafanaLoadBalancers(kubernetes)).map(({ metadata }) => metadata?.name);
    expect(names.length === 0, `there is a load balancer: ${names.join(", ")}`);
}

function expect(condition: unknown, message: string): asserts condition {
    if (!condition) throw new Error(message);
}

function decode(base64: string | undefined): string {
    return Buffer.from(base64 ?? "", "base64").toString();
}

/** Platform seconds; a guess with room for a download that takes long. */
const longestBootSeconds = 900;

/** Tries for so long, by default 45 s: three scrape intervals. */
async function eventually<T>(look: () => Promise<T>, seconds = 45): Promise<T> {
    const end = Date.now() + seconds * 1000;
    for (;;) {
        try {
            return await look();
        } catch (error) {
            if (Date.now() > end) throw error;
            await sleep(500);
        }
    }
}

interface Sample {
    labels: Record<string, string>;
    value: number;
}

async function query(prometheus: string, expression: string): Promise<Sample[]> {
    const answer = await fetch(`${prometheus}/api/v1/query?${new URLSearchParams({ query: expression }).toString()}`);
    expect(answer.ok, `Prometheus answers ${answer.status} to ${expression}`);
    const { data } = (await answer.json()) as {
        data: { result: { metric: Record<string, string>; value: [number, string] }[] };
    };
    return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
}

async function lastScrapeError(prometheus: string, job: string): Promise<string> {
    const answer = await fetch(`${prometheus}/api/v1/targets?state=active`);
    const { data } = (await answer.json()) as {
        data: { activeTargets: { labels: { job: string }; lastError: string }[] };
    };
    return data.activeTargets.find((target) => target.labels.job === job)?.lastError || "no error given";
}

/** Asks the daemon; throws when it does not answer. `api` is the URL with `/v1`. */
export async function sandboxStatus(api: string): Promise<SandboxStatus> {
    const answer = await fetch(api.replace(/\/v1$/, "/sandbox/status"), { signal: AbortSignal.timeout(5000) });
    expect(answer.ok, `the emulated API answers ${answer.status} at ${api}`);
    return (await answer.json()) as SandboxStatus;
}

/** A request that trusts only the sandbox's own authority, as a client of the real platform trusts the public ones. */
function https(url: string, ca: Buffer, token?: string, body?: object): Promise<Answer> {
    return new Promise((resolve, reject) => {
        const headers: Record<string, string> = { "content-type": "application/json" };
        if (token) headers.authorization = `Bearer ${token}`;
        const call = request(
            url,
            { ca, headers, method: body ? "POST" : "GET", timeout: 30_000, agent: false },
            (answer) => {
                let text = "";
                answer.setEncoding("utf8").on("data", (part: string) => (text += part));
                answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: text }));
                answer.on("error", reject);
            },
        );
        call.on("timeout", () => call.destroy(new Error(`no answer within 30 s from ${url}`)));
        call.on("error", reject);
        call.end(body ? JSON.stringify(body) : undefined);
    });
}
