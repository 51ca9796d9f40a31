import { askedByMetric, askedByResource, decide, type Outcome, type Recommendation } from "./autoscaler";
import type { Clock } from "./clock";
import { fetchText } from "./local-http";
import { valueAt, type MetricFormat } from "./metric-value";
import type { Slot } from "./slot";
import type { Aggregation, Decision, ScalingStatus, SleepBehaviour } from "./status";
import type { StoredApp } from "./store";

/** `--horizontal-pod-autoscaler-sync-period`, in platform seconds. */
export const autoscalerPeriod = 15;

/** KEDA's default of `cooldownPeriod`. */
const cooldownSeconds = 300;

/** KEDA's time-out of a read, in platform seconds; real ones do not become so short that a busy machine misses them. */
const metricTimeoutSeconds = 3;
const leastTimeoutMs = 1000;

const maxDecisions = 100;

type Input = Decision["inputs"][number];

interface CustomMetrics {
    apiUrl: string;
    format?: MetricFormat | null;
    valueLocation: string;
    targetValue: number;
    aggregationType?: Aggregation | null;
}

interface AutomaticScaling {
    replicasMin: number;
    replicasMax: number;
    scaleUpStabilizationWindowSeconds: number;
    scaleDownStabilizationWindowSeconds: number;
    cooldownPeriodSeconds: number;
    resourceType: "CPU" | "RAM";
    /** Percent. */
    averageUsageTarget: number;
    customMetrics?: CustomMetrics | null;
}

export interface ScalingOptions {
    app: StoredApp;
    clock: Clock;
    sleep: SleepBehaviour;
    log: (line: string) => void;
    /** There is a new decision. */
    changed: () => void;
}

/** How many replicas one app is to have: its strategy, what was read of its metric, and what was decided. */
export class Scaling {
    /** The last 100, oldest first. */
    readonly decisions: Decision[] = [];
    private readonly recommendations: Recommendation[] = [];
    /** Platform time at which the metric was above 0 last, and at which a request came in last. */
    private lastActive: number;
    private lastCall: number;

    constructor(private readonly options: ScalingOptions) {
        this.lastActive = this.lastCall = options.clock.now();
    }

    private get app(): StoredApp {
        return this.options.app;
    }

    get isAutomatic(): boolean {
        return automatic(this.app) !== undefined;
    }

    /** A request has come in. */
    called(): void {
        this.lastCall = this.options.clock.now();
    }

    /** A replica has begun to serve. */
    served(): void {
        this.lastActive = this.options.clock.now();
    }

    /** The number of replicas that is wanted, brought within the limits of the strategy as it is now. */
    limited(): number {
        const { replicas, state, spec } = this.app;
        const limits = automatic(this.app);
        if (!limits) return (spec.scalingStrategy?.fixed?.replicas as number | undefined) ?? 1;
        if (state === "STANDBY" && limits.replicasMin === 0) return replicas;
        return Math.min(limits.replicasMax, Math.max(1, limits.replicasMin, replicas));
    }

    /**
     * What the autoscaler reads of each replica, as KEDA reads: all at once, those that are ready for traffic only. A metric
     * that is somewhere else is read once, and holds for each.
     */
    async read(slots: Slot[]): Promise<Input[]> {
        const limits = automatic(this.app)!;
        const custom = limits.customMetrics;
        const elsewhere = custom && !custom.apiUrl.includes("<SELF>") ? this.measured(custom) : undefined;
        return Promise.all(
            slots.map(async (slot): Promise<Input> => {
                const { index: replica, ready } = slot;
                if (!ready) return { replica, ready, missing: "not ready" };
                if (!custom) return { replica, ready, value: this.usage(slot, limits.resourceType) };
                return { replica, ready, ...(await (elsewhere ?? this.measured(custom, slot))) };
            }),
        );
    }

    /** Percent of what the flavor has. */
    private usage(slot: Slot, resource: "CPU" | "RAM"): number {
        const { cores, memory } = slot.replica!.usage;
        const { cpu, memory: all } = this.app.spec.resources as { cpu: number; memory: number };
        return 100 * (resource === "RAM" ? memory / all : cores / cpu);
    }

    /** The custom metric of this replica; without one, of the URL as it is. */
    private async measured(custom: CustomMetrics, slot?: Slot): Promise<Pick<Input, "value" | "missing">> {
        try {
            const url = new URL(custom.apiUrl.replace("<SELF>", "127.0.0.1"));
            if (url.hostname !== "127.0.0.1") {
                return { missing: `the sandbox calls nothing but 127.0.0.1, not ${url.hostname}` };
            }
            const port = Number(url.port || 80);
            const text = await fetchText(slot ? slot.portOf(port) : port, url.pathname + url.search, this.timeoutMs);
            return { value: valueAt(text, custom.format ?? "JSON", custom.valueLocation) };
        } catch (error) {
            return { missing: (error as Error).message };
        }
    }

    private get timeoutMs(): number {
        return Math.max(leastTimeoutMs, this.options.clock.realMs(metricTimeoutSeconds));
    }

    /** What these readings lead to; kept as a decision. */
    decide(inputs: Input[]): Outcome {
        const limits = automatic(this.app)!;
        const { customMetrics } = limits;
        const { target, aggregation, metric } = measureOf(limits);
        const { replicas } = this.app;
        const asked = customMetrics
            ? askedByMetric(replicas, inputs, target, aggregationOf(customMetrics))
            : askedByResource(replicas, inputs, target);
        const now = this.options.clock.now();
        const active = customMetrics
            ? inputs.some(({ value }) => value !== undefined && value > 0)
            : this.lastCall > this.lastActive;
        if (active) this.lastActive = customMetrics ? now : this.lastCall;
        if (this.options.sleep.keptAwakeBy === "calls") this.lastActive = Math.max(this.lastActive, this.lastCall);
        const outcome = decide(limits, replicas, asked, this.recommendations, now, now - this.lastActive);
        const at = new Date().toISOString();
        this.record({ at, times: 1, metric, aggregation, target, inputs, from: replicas, ...outcome });
        return outcome;
    }

    /** Keeps a decision, and logs it unless it is the same as the one before. */
    private record(decision: Decision): void {
        const { decisions } = this;
        const last = decisions.at(-1);
        const same = (["from", "to", "recommended", "reason", "metric", "target"] as const).every(
            (field) => last?.[field] === decision[field],
        );
        if (last && same && last.inputs.length === decision.inputs.length) {
            decisions[decisions.length - 1] = { ...decision, times: last.times + 1 };
        } else {
            decisions.push(decision);
            if (decisions.length > maxDecisions) decisions.shift();
            this.options.log(`autoscaler ${this.app.spec.name}: ${sentence(decision)}`);
        }
        this.options.changed();
    }

    status(): ScalingStatus {
        const { replicas } = this.app;
        const limits = automatic(this.app);
        if (!limits) return { mode: "fixed", min: replicas, max: replicas, wanted: replicas };
        return {
            mode: limits.customMetrics ? "metric" : "resource",
            min: limits.replicasMin,
            max: limits.replicasMax,
            wanted: replicas,
            ...measureOf(limits),
            current: this.decisions.at(-1)?.value,
        };
    }
}

/** The app's automatic scaling with the documented defaults of the windows (0 s up, 300 s down). */
function automatic(app: StoredApp): AutomaticScaling | undefined {
    const given = app.spec.scalingStrategy?.automatic as Partial<AutomaticScaling> | null | undefined;
    if (!given) return undefined;
    const defaults = {
        replicasMin: 1,
        replicasMax: 1,
        scaleUpStabilizationWindowSeconds: 0,
        scaleDownStabilizationWindowSeconds: 300,
        cooldownPeriodSeconds: cooldownSeconds,
        // The control panel's defaults of a strategy without a custom metric.
        resourceType: "CPU" as const,
        averageUsageTarget: 75,
    };
    return { ...defaults, ...withoutNulls(given) };
}

function withoutNulls<T extends object>(value: T): { [K in keyof T]-?: NonNullable<T[K]> } {
    return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== null && v !== undefined)) as {
        [K in keyof T]-?: NonNullable<T[K]>;
    };
}

/** What is compared with what, as `status` shows it; CPU and RAM know averages only. */
function measureOf(limits: AutomaticScaling): { metric: string; target: number; aggregation?: Aggregation } {
    const { customMetrics: custom, resourceType, averageUsageTarget } = limits;
    if (!custom) return { metric: resourceType, target: averageUsageTarget };
    return { metric: custom.valueLocation, target: custom.targetValue, aggregation: aggregationOf(custom) };
}

/** The value at one address is the metric; only those of replicas are aggregated. */
function aggregationOf({ apiUrl, aggregationType }: CustomMetrics): Aggregation {
    return apiUrl.includes("<SELF>") ? (aggregationType ?? "AVERAGE") : "AVERAGE";
}

/** A decision with its inputs, as one line of the log. */
function sentence({ from, to, metric, aggregation, target, value, recommended, inputs, reason }: Decision): string {
    const round = (number: number): string => String(Number(number.toFixed(2)));
    const read = inputs.map(({ replica, value: one, missing }) =>
        one === undefined ? `#${replica}: ${missing}` : `#${replica}: ${round(one)}`,
    );
    const figures = `${metric}${aggregation ? ` ${aggregation}` : ""} ${value === undefined ? "unknown" : round(value)}`;
    const asked = recommended === undefined ? "" : `, asks for ${recommended}`;
    return `${from} -> ${to} replicas: ${reason} (${figures} of [${read.join(", ")}], target ${round(target)}${asked})`;
}
