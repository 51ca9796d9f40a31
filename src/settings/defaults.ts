/**
 * The defaults of every setting, as plain data. Stack config is laid over them: maps are merged key by key,
 * lists and single values replace, and `null` takes a default away. A test holds `Pulumi.yaml` to the same values.
 */

export const defaultCluster = {
    name: "prometheus-vllm-metrics-ai-deploy",
    region: "GRA11",
    plan: "free",
    nodePool: { name: "monitoring", flavor: "b2-15", nodes: 3 },
    network: "public",
    private: { cidr: "10.100.0.0/20", externalNetwork: "Ext-Net", routeThroughGateway: true },
    protect: false,
};

export const defaultMonitoring = {
    namespace: "monitoring",
    retention: "15d",
    scrapeInterval: "15s",
    scrapeTimeout: "10s",
    replicaMetrics: "relay",
    completionProbe: true,
    storage: { class: "csi-cinder-high-speed", prometheus: "50Gi", grafana: "10Gi", alertmanager: "10Gi" },
    chart: {
        version: "88.5.3",
        repository: "https://prometheus-community.github.io/helm-charts",
        values: {},
    },
    grafana: { access: "loadBalancer", keepAddress: false, allowedSources: [] },
};

/** Nobody is told of alerts until receivers are named: Prometheus, Alertmanager and Grafana show them all the same. */
export const defaultAlerting = {
    receivers: {},
    routes: { page: [], ticket: [], info: [], heartbeat: [] },
    runbooks: "docs/operations",
};

/** The stack may cost what it does, by OVHcloud's public price list. */
export const defaultLimits = {};
export const defaultPrices = {};

/** The stack's models when none is configured. */
export const defaultModels = { ministral: {} };

/** What each model starts from, whatever its name. */
const anyModel = {
    image: "vllm/vllm-openai:v0.13.0",
    region: "GRA",
    flavor: "h100-1-gpu",
    gpus: 1,
    port: 8000,
    replicas: { min: 1, max: 3 },
    schedule: [],
    scaling: { metric: "vllm:num_requests_running", target: 50, aggregation: "AVERAGE" },
    vllm: { enablePrefixCaching: true, extraArgs: [] },
    env: {
        OUTLINES_CACHE_DIR: "/tmp/.outlines",
        HF_HOME: "/hub",
        HF_DATASETS_TRUST_REMOTE_CODE: "1",
        HF_HUB_ENABLE_HF_TRANSFER: "0",
    },
    volumes: [
        { path: "/hub", permission: "RW" },
        { path: "/workspace", permission: "RW" },
    ],
    // Weights are downloaded and compiled before the server answers: five minutes before the first probe.
    probes: {
        liveness: { path: "/health", initialDelaySeconds: 300 },
        readiness: { path: "/v1/models", initialDelaySeconds: 300 },
    },
    // A day, so that clients can be told the new value.
    tokens: { label: "ai_deploy_token", overlapSeconds: 86400 },
    // A chat that feels immediate, and text that flows faster than it is read.
    targets: { timeToFirstToken: 1, interTokenLatency: 0.05, withinTargets: 0.95, errorBudget: 0.01 },
    timeouts: { createSeconds: 1800, updateSeconds: 1800, deleteSeconds: 600 },
    desiredState: "RUNNING",
    drain: true,
    replaceFirst: false,
    protect: false,
};

/** What the model named `ministral` adds, so that an empty entry is the reference architecture. */
const ministral = {
    model: "mistralai/Ministral-3-14B-Instruct-2512",
    appName: "vllm-ministral-14B-autoscaling-custom-metric",
    labels: { ai_deploy_token: "my_operator_token" },
};

/** How vLLM reads that model, and no other: of one of another family these would be wrong. */
const ofMinistral = {
    vllm: {
        tokenizerMode: "mistral",
        loadFormat: "mistral",
        configFormat: "mistral",
        enableAutoToolChoice: true,
        toolCallParser: "mistral",
    },
};

/**
 * The defaults of the model of this name (the key in the `models` map).
 * @param model its repository, where one is given
 */
export function defaultModel(name: string, model?: unknown): Record<string, unknown> {
    const named = {
        appName: `vllm-${name}`,
        labels: { ai_deploy_token: name },
        scrape: { labels: { service: "vllm", model: name, environment: "production" } },
    };
    if (name !== "ministral") return overlay(anyModel, named) as Record<string, unknown>;
    const own = model === undefined || model === ministral.model ? overlay(ministral, ofMinistral) : ministral;
    return [named, own].reduce(overlay, anyModel) as Record<string, unknown>;
}

/** Lays `over` on `base`: maps are merged, anything else replaces, `null` removes. Neither argument is changed. */
export function overlay(base: unknown, over: unknown): unknown {
    if (over === undefined) return base;
    if (!isMap(base) || !isMap(over)) return over;
    const merged: Record<string, unknown> = { ...base };
    for (const [key, value] of Object.entries(over)) {
        if (value === null) delete merged[key];
        else if (Object.hasOwn(merged, key)) merged[key] = overlay(merged[key], value);
        // defineProperty keeps a key called "__proto__" a key, so that the schema can refuse it.
        else Object.defineProperty(merged, key, { value, enumerable: true, configurable: true, writable: true });
    }
    return merged;
}

/** True for `{...}` literals and parsed JSON objects; false for arrays, null, and instances of classes. */
export function isMap(value: unknown): value is Record<string, unknown> {
    if (typeof value !== "object" || value === null) return false;
    const prototype: unknown = Object.getPrototypeOf(value);
    return prototype === Object.prototype || prototype === null;
}
