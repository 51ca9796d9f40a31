import type { z } from "zod";
import {
    conditionalMetrics,
    goneMetrics,
    metricsOf,
    serverMetrics,
    targetLabels,
    vllmMetrics,
    vllmVersionOf,
    vllmVersions,
    type Metric,
} from "../monitoring/metrics";
import { chartValueFaults } from "../monitoring/chart-overrides";
import { stackValues } from "../monitoring/chart-values";
import { largestBudget } from "../monitoring/rules";
import { isMap } from "./defaults";
import { dotted, durationSeconds, ipv4Range, nearest } from "./formats";
import { maxNumSeqs } from "./max-num-seqs";
import {
    alertingSchema,
    clusterSchema,
    modelSchema,
    monitoringSchema,
    receiverSchema,
    type ModelSettings,
} from "./schema";

/** A fault between settings. `found` is given where the value at the path does not say it. */
export interface CrossFault {
    path: PropertyKey[];
    found?: string;
    fix: string;
}

/**
 * The rules that concern more than one setting. Takes the config with its defaults, before or after validation:
 * a part that does not fit the schema has been reported there and is passed over here.
 */
export function crossChecks(config: {
    models: unknown;
    cluster: unknown;
    monitoring: unknown;
    alerting: unknown;
    grafanaTlsKey?: unknown;
}): CrossFault[] {
    const alerting = alertingFaults(config.alerting);
    return [
        ...modelsFaults(config.models),
        ...clusterFaults(config.cluster),
        ...monitoringFaults(config.monitoring, config.grafanaTlsKey !== undefined),
        ...alerting,
        // What they are laid over is put together from the alerting.
        ...(alerting.length > 0 ? [] : chartFaults(config.monitoring, config.alerting)),
    ];
}

function modelsFaults(config: unknown): CrossFault[] {
    const faults: CrossFault[] = [];
    const entries = Object.entries((config ?? {}) as Record<string, unknown>);
    if (typeof config === "object" && entries.length === 0) {
        faults.push({ path: ["models"], fix: "name at least one model, such as { ministral: {} }" });
    }
    const apps = new Map<string, string>();
    const selectors = new Map<string, string>();
    const adopters = new Map<string, string>();
    for (const [name, raw] of entries) {
        const probed = name.endsWith("-direct") ? name.slice(0, -"-direct".length) : undefined;
        if (entries.some(([other]) => other === probed)) {
            const fix = `choose another name: the job that probes the public address of "${probed}" is called like its job`;
            faults.push({ path: ["models", name], found: "a reserved name", fix });
        }
        const shape = modelSchema.shape;
        const part = <T>(schema: { safeParse(value: unknown): { data?: T } }, key: string): T | undefined =>
            schema.safeParse((raw as Record<string, unknown> | null)?.[key]).data;
        const at = (...path: PropertyKey[]) => ["models", name, ...path];

        const replicas = part(shape.replicas, "replicas");
        if (replicas && replicas.min > replicas.max) {
            faults.push({ path: at("replicas", "min"), fix: `give at most replicas.max, which is ${replicas.max}` });
        }
        const vllm = part(shape.vllm, "vllm");
        if (vllm?.enableAutoToolChoice && !vllm.toolCallParser) {
            const fix = "name the model's parser: vLLM does not start with enableAutoToolChoice and without one";
            faults.push({ path: at("vllm", "toolCallParser"), fix });
        }
        for (const [index, argument] of (vllm?.extraArgs ?? []).entries()) {
            const setting = settingOf(argument);
            if (!setting) continue;
            const fix = `leave it out, with its value: pulumi config set --path models.${name}.${setting} <value>`;
            faults.push({ path: at("vllm", "extraArgs", index), fix });
        }
        const scaling = part(shape.scaling, "scaling");
        const known = { image: part(shape.image, "image"), flavor: part(shape.flavor, "flavor"), vllm, replicas };
        if (scaling) faults.push(...scalingFaults(scaling, known, at));
        const { maxSurge, maxUnavailable } = part(shape.deploymentStrategy, "deploymentStrategy") ?? {};
        if (maxSurge && maxUnavailable && parseInt(maxSurge) === 0 && parseInt(maxUnavailable) === 0) {
            const fix = "raise one of maxSurge and maxUnavailable: with both 0 no replica could ever be replaced";
            faults.push({ path: at("deploymentStrategy"), fix });
        }
        const adopted = part(shape.adopt, "adopt");
        const adopter = adopted && adopters.get(adopted);
        if (adopter) faults.push({ path: at("adopt"), fix: `give the app to one model: "${adopter}" adopts it too` });
        if (adopted) adopters.set(adopted, name);
        const targets = part(shape.targets, "targets");
        if (targets) faults.push(...targetFaults(targets, at));
        const mounted = new Set<string>();
        for (const [index, volume] of (part(shape.volumes, "volumes") ?? []).entries()) {
            if (mounted.has(volume.path)) {
                faults.push({ path: at("volumes", index, "path"), fix: "give each volume a path of its own" });
            }
            mounted.add(volume.path);
            if (volume.name && volume.dataStore) {
                const fix = "keep one of name (a standalone volume) and dataStore";
                faults.push({ path: at("volumes", index), fix });
            }
        }
        for (const label of Object.keys(part(shape.scrape, "scrape")?.labels ?? {})) {
            if (!takenLabels.has(label)) continue;
            const fix =
                "choose another name: series have a label of this name already, which rules and dashboards go by";
            faults.push({ path: at("scrape", "labels", label), fix });
        }
        if (mapOf(raw, "env").HF_TOKEN !== undefined) {
            const fix = "leave it out: it is set from huggingFaceToken, which is stored encrypted";
            faults.push({ path: at("env", "HF_TOKEN"), fix });
        }

        const appName = part(shape.appName, "appName");
        const twin = appName && apps.get(appName);
        if (twin) faults.push({ path: at("appName"), fix: `give it a name of its own, "${twin}" has this one` });
        if (appName) apps.set(appName, name);

        const tokens = part(shape.tokens, "tokens");
        if (!tokens) continue;
        const labels = mapOf(raw, "labels");
        const value = Object.hasOwn(labels, tokens.label) ? (labels[tokens.label] as string) : undefined;
        if (value === undefined) {
            const fix = "name a key of the model's labels: a token bound to a label that no app carries opens nothing";
            faults.push({ path: at("tokens", "label"), fix });
            continue;
        }
        const selector = `${tokens.label}=${value}`;
        const other = selectors.get(selector);
        if (other) {
            const fix = `give it a value of its own: with that of "${other}" each one's token opens the other`;
            faults.push({ path: at("labels", tokens.label), fix });
        }
        selectors.set(selector, name);
    }
    return faults;
}

/**
 * The setting that writes this option of vLLM, which is called like it: with both, what is checked and watched would be
 * another value than the one that vLLM goes by.
 */
function settingOf(argument: string): string | undefined {
    const option = /^--(?:no[-_])?([a-z][a-z_-]*)/.exec(argument)?.[1];
    const name = option?.replace(/[-_]+([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (name === "model" || name === "port") return name;
    const known = name && name !== "extraArgs" && Object.hasOwn(modelSchema.shape.vllm.shape, name);
    return known ? `vllm.${name}` : undefined;
}

/** Labels that vLLM's series bring along or that the scrape gives them. */
const takenLabels = new Set<string>([
    ...[vllmMetrics, conditionalMetrics, serverMetrics].flatMap((group) =>
        Object.values<Metric>(group).flatMap(({ labels }) => labels),
    ),
    ...targetLabels,
    "le",
    "quantile",
]);

/** A map within a model as it is configured; empty where it is none. */
function mapOf(model: unknown, key: string): Record<string, unknown> {
    const value = (model as Record<string, unknown> | null)?.[key];
    return isMap(value) ? value : {};
}

/** An autoscaler that follows Kubernetes' arithmetic leaves the replicas alone up to 10 % above the target. */
const tolerance = 1.1;

/** Refuses a rule that could never fire: it would mean no scale-up, silently. */
function scalingFaults(
    scaling: ModelSettings["scaling"],
    { image, flavor, vllm, replicas }: Partial<Pick<ModelSettings, "image" | "flavor" | "vllm" | "replicas">>,
    at: (...path: PropertyKey[]) => PropertyKey[],
): CrossFault[] {
    const { metric: name, target, aggregation } = scaling;
    const all: Metric[] = [...Object.values(vllmMetrics), ...Object.values(conditionalMetrics)];
    const metric = all.find((known) => known.name === name);
    const version = image && vllmVersionOf(image);
    if (!metric) {
        if (!name.startsWith("vllm:")) return [];
        if (goneMetrics[name]) return [{ path: at("scaling", "metric"), fix: `give ${goneMetrics[name]}` }];
        const gauges = metricsOf(version || vllmVersions[0])
            .filter((known) => known.type === "gauge" && known.name.startsWith("vllm:"))
            .map((known) => known.name);
        const guess = nearest(name, gauges);
        const fix = guess ? `did you mean "${guess}"?` : `give a gauge that vLLM exports: ${gauges.join(", ")}`;
        return [{ path: at("scaling", "metric"), fix }];
    }
    if (metric.type !== "gauge") {
        return [
            { path: at("scaling", "metric"), fix: `give a gauge: this one is a ${metric.type} and only ever grows` },
        ];
    }
    if (version && metric.only && !metric.only.includes(version)) {
        const fix = `give a metric that vLLM ${version} has: this one is known of ${metric.only.join(", ")} only`;
        return [{ path: at("scaling", "metric"), fix }];
    }
    const counted = aggregation === "SUM" ? (replicas?.min ?? 1) : 1;
    if (name === vllmMetrics.numRequestsRunning.name) {
        // Without them the faults of vllm or flavor are told first.
        if (!vllm || !flavor) return [];
        const most = maxNumSeqs({ vllm, flavor }) * counted;
        if (target * tolerance < most) return [];
        const limit = Math.ceil(most / tolerance) - 1;
        const why = vllm.maxNumSeqs
            ? `vLLM runs at most ${most} requests at once (max-num-seqs)`
            : `by default vLLM runs at most ${most} requests at once here (vllm.maxNumSeqs sets it)`;
        const fix = `give at most ${limit}: ${why}, and nothing scales until the target is passed by 10 %`;
        return [{ path: at("scaling", "target"), fix }];
    }
    if (metric.max !== undefined && target * tolerance >= metric.max * counted) {
        const fix = `give less than ${(metric.max * counted) / tolerance}: the gauge ends at ${metric.max}`;
        return [{ path: at("scaling", "target"), fix: fix.replace(/(\d\.\d\d)\d+/, "$1") }];
    }
    return [];
}

/** Refuses targets that no alert could watch. */
function targetFaults(targets: ModelSettings["targets"], at: (...path: PropertyKey[]) => PropertyKey[]): CrossFault[] {
    const faults: CrossFault[] = [];
    const bounds = { timeToFirstToken: vllmMetrics.timeToFirstToken, interTokenLatency: vllmMetrics.interTokenLatency };
    for (const [key, { buckets }] of Object.entries(bounds) as [
        keyof typeof bounds,
        { buckets: readonly number[] },
    ][]) {
        const target = targets[key];
        if (buckets.includes(target)) continue;
        const near = [...buckets].sort((a, b) => Math.abs(a - target) - Math.abs(b - target)).slice(0, 2);
        const fix = `give ${near.sort((a, b) => a - b).join(" or ")} (seconds): vLLM counts requests between such bounds only`;
        faults.push({ path: at("targets", key), fix });
    }
    if (1 - targets.withinTargets >= largestBudget) {
        const fix = `give more than ${(1 - largestBudget).toFixed(3)}: with less no alert could tell a bad hour`;
        faults.push({ path: at("targets", "withinTargets"), fix });
    }
    if (targets.errorBudget >= largestBudget) {
        const fix = `give less than ${largestBudget.toFixed(3)}: with more no alert could tell a bad hour`;
        faults.push({ path: at("targets", "errorBudget"), fix });
    }
    return faults;
}

/** Addresses of private networks (RFC 1918, RFC 6598): any other range would hide a part of the internet. */
const privateRanges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"];

/**
 * What a network takes besides its nodes: its first and last address, the gateway, DHCP in three zones, one node more while
 * one is replaced, and a load balancer with its pair of instances.
 */
const otherAddresses = 10;

/** Ranges that Managed Kubernetes uses inside: pods and services of each plan, and its container network. */
const reserved = {
    free: ["10.2.0.0/16", "10.3.0.0/16", "172.17.0.0/16"],
    standard: ["10.240.0.0/13", "10.3.0.0/16", "172.17.0.0/16"],
};

function clusterFaults(config: unknown): CrossFault[] {
    const faults: CrossFault[] = [];
    const raw = (config ?? {}) as Record<string, unknown>;
    const { nodePool: poolShape, network: networkShape, private: privateShape, plan: planShape } = clusterSchema.shape;

    const pool = poolShape.safeParse(raw.nodePool).data;
    if (pool?.autoscale) {
        const { min, max } = pool.autoscale;
        if (min > max) {
            const fix = `give at most autoscale.max, which is ${max}`;
            faults.push({ path: ["cluster", "nodePool", "autoscale", "min"], fix });
        } else if (pool.nodes < min || pool.nodes > max) {
            faults.push({
                path: ["cluster", "nodePool", "nodes"],
                fix: `give ${min} to ${max}, the range of autoscale`,
            });
        }
    }
    if (networkShape.safeParse(raw.network).data !== "private") return faults;
    const network = privateShape.safeParse(raw.private).data;
    if (!network) return faults;
    if (network.vlanId === undefined) {
        const fix = "choose a free VLAN of the vRack, 1 to 4000 (0 for none): it is fixed when the cluster is made";
        faults.push({ path: ["cluster", "private", "vlanId"], fix });
    }
    const plan = planShape.safeParse(raw.plan).data ?? "free";
    const nodes = pool && Math.max(pool.nodes, pool.autoscale?.max ?? 0);
    const fix = networkFault(network.cidr, plan, nodes ?? 1);
    if (fix) faults.push({ path: ["cluster", "private", "cidr"], fix });
    return faults;
}

/** What would be right in place of this range for a private network; undefined when it is fine. */
function networkFault(cidr: string, plan: keyof typeof reserved, nodes: number): string | undefined {
    const range = ipv4Range(cidr);
    if (!range) return 'give an IPv4 range such as "10.100.0.0/20"';
    const within = (other: { first: number; last: number }) => other.first <= range.first && range.last <= other.last;
    if (!privateRanges.some((other) => within(ipv4Range(other)!))) {
        return `give a range within ${privateRanges.join(", ")}, such as "10.100.0.0/20"`;
    }
    const clash = reserved[plan].find((other) => overlap(range, ipv4Range(other)!));
    if (clash) return `give a range apart from ${clash}, which the cluster uses inside`;
    const needed = nodes + otherAddresses;
    if (range.last - range.first + 1 >= needed) return undefined;
    const bits = 32 - Math.ceil(Math.log2(needed));
    const enough = `${dotted(ipv4Range(`${dotted(range.first)}/${bits}`)!.first)}/${bits}`;
    return `give a /${bits} or larger, such as "${enough}": ${nodes} nodes, gateway and load balancer take ${needed} addresses`;
}

function overlap(a: { first: number; last: number }, b: { first: number; last: number }): boolean {
    return a.first <= b.last && b.first <= a.last;
}

function monitoringFaults(config: unknown, keyGiven: boolean): CrossFault[] {
    const faults: CrossFault[] = [];
    const raw = (config ?? {}) as Record<string, unknown>;
    const interval = durationSeconds(String(raw.scrapeInterval));
    const timeout = durationSeconds(String(raw.scrapeTimeout));
    if (interval && timeout && timeout > interval) {
        const fix = `give at most monitoring.scrapeInterval, which is "${String(raw.scrapeInterval)}"`;
        faults.push({ path: ["monitoring", "scrapeTimeout"], fix });
    }
    const namespace = monitoringSchema.shape.namespace.safeParse(raw.namespace).data;
    if (namespace && /^(default$|kube-)/.test(namespace)) {
        // Made by Kubernetes, or reserved for it: the stack makes its namespace, and deletes it at the end.
        const fix = "give it one of its own: pulumi config set --path monitoring.namespace monitoring";
        faults.push({ path: ["monitoring", "namespace"], fix });
    }
    const grafana = monitoringSchema.shape.grafana.safeParse(raw.grafana).data;
    if (grafana) faults.push(...grafanaFaults(grafana, keyGiven));
    return faults;
}

/** Faults of values of the chart that are laid over ours, which are known only when the rest is right. */
function chartFaults(monitoring: unknown, alerting: unknown): CrossFault[] {
    const settings = monitoringSchema.safeParse(monitoring).data;
    const alerts = alertingSchema.safeParse(alerting).data;
    if (!settings || !alerts) return [];
    return chartValueFaults(settings.chart.values, stackValues(settings, alerts)).map(({ path, ...fault }) => ({
        path: ["monitoring", "chart", "values", ...path],
        ...fault,
    }));
}

function grafanaFaults(grafana: z.output<typeof monitoringSchema>["grafana"], keyGiven: boolean): CrossFault[] {
    const faults: CrossFault[] = [];
    const at = (...path: PropertyKey[]) => ["monitoring", "grafana", ...path];
    const { access, allowedSources, ingress } = grafana;
    if (access !== "internal" && allowedSources.length === 0) {
        const fix =
            "name who may reach Grafana: pulumi config set --path 'monitoring.grafana.allowedSources[0]' <your address>/32 " +
            "(0.0.0.0/0 opens it to all), or set monitoring.grafana.access to internal";
        faults.push({ path: at("allowedSources"), fix });
    }
    for (const [index, source] of allowedSources.entries()) {
        const bits = Number(source.split("/")[1]);
        // Half the world is no way to say the whole of it.
        if (bits > 0 && bits < 8) {
            const fix = "name the networks that are meant, or 0.0.0.0/0 if Grafana is to be open to all";
            faults.push({ path: at("allowedSources", index), fix });
        }
    }
    if (access === "ingress") {
        if (!ingress) {
            const fix = "give host and class, and an issuer of cert-manager or a certificate";
            faults.push({ path: at("ingress"), fix });
        } else if ((ingress.issuer === undefined) === (ingress.certificate === undefined)) {
            const fix = "give one of issuer (of cert-manager) and certificate (with its key in grafanaTlsKey)";
            faults.push({ path: at("ingress"), found: ingress.issuer ? "both" : "neither of the two", fix });
        }
    }
    const certificate = access === "ingress" && ingress?.certificate !== undefined;
    if (certificate && !keyGiven) {
        const fix = "set the key of the certificate: pulumi config set --secret grafanaTlsKey < key.pem";
        faults.push({ path: ["grafanaTlsKey"], fix });
    }
    if (!certificate && keyGiven) {
        const fix = "remove it, or give the certificate that it belongs to: monitoring.grafana.ingress.certificate";
        faults.push({ path: ["grafanaTlsKey"], found: "a key without a certificate", fix });
    }
    return faults;
}

function alertingFaults(config: unknown): CrossFault[] {
    const faults: CrossFault[] = [];
    const raw = (config ?? {}) as Record<string, unknown>;
    const routes: Record<string, string[]> = alertingSchema.shape.routes.safeParse(raw.routes).data ?? {};
    const names = isMap(raw.receivers) ? Object.keys(raw.receivers) : [];
    for (const [tier, receivers] of Object.entries(routes)) {
        for (const [index, name] of receivers.entries()) {
            if (names.includes(name)) continue;
            const fix =
                names.length > 0
                    ? `name one of alerting.receivers: ${names.join(", ")}`
                    : "define it in alerting.receivers";
            faults.push({ path: ["alerting", "routes", tier, index], fix });
        }
    }
    for (const name of names) {
        const receiver = receiverSchema.safeParse((raw.receivers as Record<string, unknown>)[name]).data;
        if (!receiver || Object.values(routes).some((receivers) => receivers.includes(name))) continue;
        const fix = "name it in a route (page, ticket, info or heartbeat), else it is told of nothing";
        faults.push({ path: ["alerting", "receivers", name], found: "in no route", fix });
    }
    return faults;
}
