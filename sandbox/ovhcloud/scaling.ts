import { decide, type Outcome, type Reading, type Recommendation, type ScalingRule } from "./autoscaler";
import type { Clock } from "./clock";
import { fetchText } from "./local-http";
import { valueAt, type MetricFormat } from "./metric-value";
import type { Slot } from "./slot";
import type { Aggregation, Decision, ScalingStatus } from "./status";
import type { StoredApp } from "./store";

/** `--horizontal-pod-autoscaler-sync-period`, in platform seconds. */
export const autoscalerPeriod = 15;

/** KEDA's default of `cooldownPeriod`. */
const cooldownSeconds = 300;

const metricTimeoutMs = 1000;
const maxDecisions = 100;

type Input = Decision["inputs"][number];

interface AutomaticScaling {
    replicasMin: number;
    replicasMax: number;
    scaleUpStabilizationWindowSeconds: number;
    scaleDownStabilizationWindowSeconds: number;
    cooldownPeriodSeconds: number;
    resourceType: "CPU" | "RAM";
    /** Percent. */
    averageUsageTarget: number;
    customMetrics?: {
        apiUrl: string;
        format?: MetricFormat | null;
        valueLocation: string;
        targetValue: number;
        aggregationType?: Aggregation | null;
    } | null;
}

export interface ScalingOptions {
    app: StoredApp;
    clock: Clock;
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

    /** What the autoscaler reads of each replica. */
    read(slots: Slot[]): Promise<Input[]> {
        const limits = automatic(this.app)!;
        return Promise.all(slots.map((slot) => this.measure(slot, limits)));
    }

    private async measure(slot: Slot, limits: AutomaticScaling): Promise<Input> {
        const read = { replica: slot.index, ready: slot.ready };
        const custom = limits.customMetrics;
        if (!custom) {
            if (!slot.ready) return { ...read, missing: "not ready" };
            const { cores, memory } = slot.replica!.usage;
            const { cpu, memory: all } = this.app.spec.resources as { cpu: number; memory: number };
            return { ...read, value: 100 * (limits.resourceType === "RAM" ? memory / all : cores / cpu) };
        }
        try {
            const url = new URL(custom.apiUrl.replace("<SELF>", "127.0.0.1"));
            const ofReplica = custom.apiUrl.includes("<SELF>");
            if (!ofReplica && url.hostname !== "127.0.0.1") {
                return { ...read, missing: `the sandbox calls nothing but 127.0.0.1, not ${url.hostname}` };
            }
            const port = Number(url.port || 80);
            const at = ofReplica ? slot.portOf(port) : port;
            const text = await fetchText(at, url.pathname + url.search, metricTimeoutMs);
            return { ...read, value: valueAt(text, custom.format ?? "JSON", custom.valueLocation) };
        } catch (error) {
            return { ...read, missing: (error as Error).message };
        }
    }

    /** What these readings lead to; kept as a decision. */
    decide(slots: Slot[], inputs: Input[]): Outcome {
        const limits = automatic(this.app)!;
        const { rule, metric } = ruleOf(limits);
        // A container that does not run has nothing to measure; for CPU and RAM neither has one that is not ready.
        const readings = inputs.map(({ ready, value }, i): Reading => ({
            started: limits.customMetrics ? slots[i].replica !== undefined : ready,
            ready,
            value,
        }));
        const now = this.options.clock.now();
        const active = limits.customMetrics
            ? inputs.some(({ value }) => value !== undefined && value > 0)
            : this.lastCall > this.lastActive;
        if (active) this.lastActive = limits.customMetrics ? now : this.lastCall;
        const { replicas } = this.app;
        const outcome = decide(rule, replicas, readings, this.recommendations, now, now - this.lastActive);
        const shown = rule.aggregation === "AVERAGE" && !limits.customMetrics ? undefined : rule.aggregation;
        this.record({
            at: new Date().toISOString(),
            times: 1,
            metric,
            aggregation: shown,
            target: rule.targetValue,
            inputs,
            from: replicas,
            ...outcome,
        });
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
        const { rule, metric } = ruleOf(limits);
        return {
            mode: limits.customMetrics ? "metric" : "resource",
            min: limits.replicasMin,
            max: limits.replicasMax,
            wanted: replicas,
            metric,
            aggregation: limits.customMetrics ? rule.aggregation : undefined,
            target: rule.targetValue,
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

function ruleOf(limits: AutomaticScaling): { rule: ScalingRule; metric: string } {
    const custom = limits.customMetrics;
    const rule: ScalingRule = {
        ...limits,
        targetValue: custom?.targetValue ?? limits.averageUsageTarget,
        aggregation: custom ? (custom.aggregationType ?? "AVERAGE") : "AVERAGE",
    };
    return { rule, metric: custom?.valueLocation ?? limits.resourceType };
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
