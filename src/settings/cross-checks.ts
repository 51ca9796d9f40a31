import { vllmMetrics, type Metric } from "../monitoring/metrics";
import { isMap } from "./defaults";
import { durationSeconds, ipv4Range, nearest } from "./formats";
import { clusterSchema, modelSchema, monitoringSchema, type ModelSettings } from "./schema";

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
export function crossChecks(config: { models: unknown; cluster: unknown; monitoring: unknown }): CrossFault[] {
    return [...modelsFaults(config.models), ...clusterFaults(config.cluster), ...monitoringFaults(config.monitoring)];
}

function modelsFaults(config: unknown): CrossFault[] {
    const faults: CrossFault[] = [];
    const entries = Object.entries((config ?? {}) as Record<string, unknown>);
    if (typeof config === "object" && entries.length === 0) {
        faults.push({ path: ["models"], fix: "name at least one model, such as { ministral: {} }" });
    }
    const apps = new Map<string, string>();
    const selectors = new Map<string, string>();
    for (const [name, raw] of entries) {
        if (name === "token") {
            const fix = 'choose another name: "token" is the key under which ministral\'s token is stored';
            faults.push({ path: ["models", name], found: "a reserved name", fix });
        }
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
        const scaling = part(shape.scaling, "scaling");
        if (scaling) faults.push(...scalingFaults(scaling, vllm, replicas, at));
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
        const value = mapOf(raw, "labels")[tokens.label] as string | undefined;
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

/** A map within a model as it is configured; empty where it is none. */
function mapOf(model: unknown, key: string): Record<string, unknown> {
    const value = (model as Record<string, unknown> | null)?.[key];
    return isMap(value) ? value : {};
}

/** The lowest of vLLM's defaults for `--max-num-seqs` in a server (0.13.0; GPUs with much memory get more). */
const assumedMaxNumSeqs = 256;

/** An autoscaler that follows Kubernetes' arithmetic leaves the replicas alone up to 10 % above the target. */
const tolerance = 1.1;

/** Refuses a rule that could never fire: it would mean no scale-up, silently. */
function scalingFaults(
    scaling: ModelSettings["scaling"],
    vllm: ModelSettings["vllm"] | undefined,
    replicas: ModelSettings["replicas"] | undefined,
    at: (...path: PropertyKey[]) => PropertyKey[],
): CrossFault[] {
    const { metric: name, target, aggregation } = scaling;
    const catalogue: Metric[] = Object.values(vllmMetrics);
    const metric = catalogue.find((known) => known.name === name);
    if (!metric) {
        if (!name.startsWith("vllm:")) return [];
        const gauges = catalogue.filter(({ type }) => type === "gauge").map((known) => known.name);
        const guess = nearest(name, gauges);
        const fix = guess ? `did you mean "${guess}"?` : `give a gauge that vLLM exports: ${gauges.join(", ")}`;
        return [{ path: at("scaling", "metric"), fix }];
    }
    if (metric.type !== "gauge") {
        return [
            { path: at("scaling", "metric"), fix: `give a gauge: this one is a ${metric.type} and only ever grows` },
        ];
    }
    const counted = aggregation === "SUM" ? (replicas?.min ?? 1) : 1;
    if (name === vllmMetrics.numRequestsRunning.name) {
        const set = vllm && maxNumSeqsOf(vllm);
        const most = (set ?? assumedMaxNumSeqs) * counted;
        if (target * tolerance < most) return [];
        const limit = Math.ceil(most / tolerance) - 1;
        const why = set
            ? `vLLM runs at most ${most} requests at once (max-num-seqs)`
            : `vLLM may run no more than ${most} requests at once; if it runs more here, say so in vllm.maxNumSeqs`;
        const fix = `give at most ${limit}: ${why}, and nothing scales until the target is passed by 10 %`;
        return [{ path: at("scaling", "target"), fix }];
    }
    if (metric.max !== undefined && target * tolerance >= metric.max * counted) {
        const fix = `give less than ${(metric.max * counted) / tolerance}: the gauge ends at ${metric.max}`;
        return [{ path: at("scaling", "target"), fix: fix.replace(/(\d\.\d\d)\d+/, "$1") }];
    }
    return [];
}

/** The model's `--max-num-seqs`, from its setting or its extra arguments; undefined when neither names it. */
function maxNumSeqsOf(vllm: ModelSettings["vllm"]): number | undefined {
    const words = vllm.extraArgs.flatMap((word) => word.split(/[= ]/));
    const index = words.findIndex((word) => /^--max[-_]num[-_]seqs$/.test(word));
    const given = index < 0 ? NaN : Number(words[index + 1]);
    return given > 0 ? given : vllm.maxNumSeqs;
}

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
    const range = ipv4Range(network.cidr);
    const plan = planShape.safeParse(raw.plan).data ?? "free";
    const clash = range && reserved[plan].find((other) => overlap(range, ipv4Range(other)!));
    if (clash) {
        const fix = `give a range apart from ${clash}, which the cluster uses inside`;
        faults.push({ path: ["cluster", "private", "cidr"], fix });
    } else if (!range) {
        faults.push({ path: ["cluster", "private", "cidr"], fix: 'give an IPv4 range such as "10.100.0.0/20"' });
    }
    return faults;
}

function overlap(a: { first: number; last: number }, b: { first: number; last: number }): boolean {
    return a.first <= b.last && b.first <= a.last;
}

function monitoringFaults(config: unknown): CrossFault[] {
    const faults: CrossFault[] = [];
    const raw = (config ?? {}) as Record<string, unknown>;
    const interval = durationSeconds(String(raw.scrapeInterval));
    const timeout = durationSeconds(String(raw.scrapeTimeout));
    if (interval && timeout && timeout > interval) {
        const fix = `give at most monitoring.scrapeInterval, which is "${String(raw.scrapeInterval)}"`;
        faults.push({ path: ["monitoring", "scrapeTimeout"], fix });
    }
    const grafana = monitoringSchema.shape.grafana.safeParse(raw.grafana).data;
    if (grafana?.access === "loadBalancer" && grafana.allowedSources.length === 0) {
        const fix =
            "name who may reach Grafana: pulumi config set --path 'monitoring.grafana.allowedSources[0]' <your address>/32 " +
            "(0.0.0.0/0 opens it to all), or set monitoring.grafana.access to internal";
        faults.push({ path: ["monitoring", "grafana", "allowedSources"], fix });
    }
    return faults;
}
