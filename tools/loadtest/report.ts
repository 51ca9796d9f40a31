import { basename } from "node:path";
import { makeBlocks, type Block } from "./blocks";
import { groups as settingGroups, hasSay, type LoadConfig } from "./config";
import { MeasureGroup, type Measures, type Targets } from "./measures";
import type { Outcome, Results } from "./outcome";
import { readyAt, replicaSeconds, type ReplicaSample } from "./replicas";
import type { LoadRun } from "./run";
import { isOpenLoop, type Phase } from "./schedule";
import { clientLimits, type SelfReport } from "./self-report";
import type { ServerFigures } from "./server-metrics";
import { bucketSeconds, countEach, summarize, type Summary } from "./statistics";

/** What a run found; written by `--json`. Times in seconds, `t` from the start of the run. Null: nothing to be measured. */
export interface Report extends Omit<Measures, "requests" | "ok" | "errors"> {
    startedAt: string;
    target: { baseUrl: string; model: string };
    /** Those that had a say in the load; without files, target and results. */
    settings: Partial<LoadConfig>;
    /** Why the run ended early. */
    stopped?: string;
    /** The figures may be those of the client or its machine instead of the model's: see `clientLimits`. */
    valid: boolean;
    clientLimits: string[];
    /**
     * `total` counts requests that came to an end; `cancelled` ones did not, and are in no other figure.
     * `longestCancelled`: seconds since the one that had waited longest was sent; absent without any.
     */
    requests: {
        planned: number | null;
        total: number;
        ok: number;
        errors: number;
        cancelled: number;
        longestCancelled?: number;
    };
    errorsByKind: Record<string, number>;
    /** One example of each kind. */
    errorDetails: Record<string, string>;
    wallSeconds: number;
    /** Between one token and the next, over all answers. */
    interTokenSeconds: Summary | null;
    requestsPerSecond: number;
    outputTokensPerSecond: number;
    promptTokensPerSecond: number;
    /** Of an open loop: requests a second that the schedule asked for, and that were sent. */
    sent?: { asked: number; achieved: number };
    /** The parts of the run by themselves: ramps, steps, and the tail in which the load ended. */
    phases: PhaseReport[];
    byLength: (Measures & { lengthClass: string; interTokenSeconds: Summary | null })[];
    targets: Targets;
    /** Euros; absent without a price or without a count of replicas. */
    cost?: { replicaPrice: number; replicaHours: number; euros: number; perMillionOutputTokens: number | null };
    replicas: ReplicaSample[];
    /** Why there is no count of replicas, or why it ends early. */
    replicasUnknown?: string;
    /** The same load at different numbers of replicas: requests sent at each count in the steady parts. */
    byReplicas: (Measures & { ready: number })[];
    timeline: TimelineBucket[];
    connections: { count: number; seconds: Summary | null };
    /** What vLLM's own metrics say of the same time. */
    server?: ServerFigures;
    client: SelfReport;
    /** The steady parts in equal pieces, for comparing two runs. */
    blocks: Block[];
}

/** Requests sent in `[from, to)`; the rates are of those that ended in it. */
export interface PhaseReport extends Measures {
    name: string;
    kind: "ramp" | "steady" | "tail";
    from: number;
    to: number;
    interTokenSeconds: Summary | null;
    requestsPerSecond: number;
    outputTokensPerSecond: number;
    promptTokensPerSecond: number;
    /** Requests a second that were answered within the targets; absent without targets. */
    goodRequestsPerSecond?: number;
}

/** What ended within `[t, t + width)`. */
export interface TimelineBucket {
    t: number;
    ok: number;
    errors: number;
    /** Ready replicas at the end of the bucket. */
    replicas?: number;
    latencyP50?: number;
    latencyP95?: number;
    ttftP50?: number;
    ttftP95?: number;
    outputTokensPerSecond: number;
}

/** Most buckets of a timeline: what fits beside an axis in 80 columns. */
const mostBuckets = 60;

export interface ReportInput {
    startedAt: Date;
    run: LoadRun;
    targets: Targets;
    replicaPrice?: number;
    replicas: ReplicaSample[];
    replicasUnknown?: string;
    server?: ServerFigures;
}

export function makeReport(input: ReportInput): Report {
    const { run, targets, replicas } = input;
    const { results, config } = run;
    const wallSeconds = run.now();
    const steadyUntil = Math.min(results.steadyUntil ?? wallSeconds, wallSeconds);
    const groups = groupOutcomes(results, run.phases, steadyUntil, replicas, targets);
    const measures = groups.all.measures();
    const perSecond = (count: number): number => (wallSeconds > 0 ? count / wallSeconds : 0);
    const failures = [...results.outcomes].flatMap(({ failure }) => failure ?? []);
    const client = run.self;
    const sent = sendingRate(run, measures.requests, steadyUntil);
    const limits = limitsOf(run, client, measures, sent);
    const { latencySeconds, ttftSeconds, tpotSeconds, tokens, uncounted, goodShare } = measures;
    return {
        startedAt: input.startedAt.toISOString(),
        target: { baseUrl: run.endpoint.baseUrl, model: run.model },
        settings: loadSettings(config),
        stopped: run.stopped,
        valid: limits.length === 0,
        clientLimits: limits,
        requests: {
            planned: run.planned ?? null,
            total: measures.requests,
            ok: measures.ok,
            errors: measures.errors,
            cancelled: results.cancelled,
            ...(results.cancelled > 0 ? { longestCancelled: results.longestCancelled } : {}),
        },
        errorsByKind: countEach(failures.map(({ kind }) => kind)),
        errorDetails: Object.fromEntries(failures.map(({ kind, detail }) => [kind, detail])),
        wallSeconds,
        latencySeconds,
        ttftSeconds,
        tpotSeconds,
        interTokenSeconds: results.gapsWhere(() => true).summary(),
        tokens,
        uncounted,
        goodShare,
        requestsPerSecond: perSecond(measures.ok),
        outputTokensPerSecond: perSecond(measures.tokens.output),
        promptTokensPerSecond: perSecond(measures.tokens.prompt),
        sent,
        phases: phaseReports(results, groups),
        byLength: [...groups.byLength]
            .sort(([, a], [, b]) => meanPrompt(a) - meanPrompt(b))
            .map(([lengthClass, group]) => ({
                lengthClass,
                ...group.measures(),
                interTokenSeconds: results.gapsWhere((_, other) => other === lengthClass).summary(),
            })),
        targets,
        cost: costOf(input.replicaPrice, replicas, wallSeconds, measures.tokens.output),
        replicas,
        replicasUnknown: input.replicasUnknown,
        byReplicas: [...groups.byReplicas]
            .sort(([a], [b]) => a - b)
            .map(([ready, group]) => ({ ready, ...group.measures() })),
        timeline: timeline(results.outcomes, replicas, wallSeconds),
        connections: { count: run.connections.length, seconds: summarize(run.connections) },
        server: input.server,
        client,
        blocks: makeBlocks(
            results.outcomes,
            groups.windows.filter(({ kind }) => kind === "steady"),
        ),
    };
}

/** Of a class that got no answer nothing is known: it comes last. */
function meanPrompt({ promptTokens, ok }: MeasureGroup): number {
    return ok > 0 ? promptTokens / ok : Number.MAX_VALUE;
}

/** The rest of the config is names and paths of this machine; of files that the load is taken from, the name alone. */
function loadSettings(config: LoadConfig): Partial<LoadConfig> {
    const keys = [...settingGroups.Load, ...settingGroups.Requests, ...settingGroups.Client];
    const kept = keys
        .filter((key) => hasSay(key, config))
        .map((key) => {
            const value = config[key];
            return [key, (key === "trace" || key === "dataset") && value ? basename(value as string) : value];
        });
    return Object.fromEntries(kept) as Partial<LoadConfig>;
}

/** A schedule that is over sooner, such as a trace of a single moment, has no rate to speak of. */
const leastSchedule = 1;

/** Undefined for a closed loop, and for a run that was ended early. */
function sendingRate(run: LoadRun, requests: number, steadyUntil: number): Report["sent"] {
    const plannedEnd = run.phases.at(-1)?.to ?? 0;
    if (!isOpenLoop(run.config) || run.stopped !== undefined || plannedEnd < leastSchedule) return undefined;
    // All that was due is sent in the end: the rate is what tells whether it took longer than planned. A timer may be early.
    return { asked: requests / plannedEnd, achieved: requests / Math.max(plannedEnd, steadyUntil) };
}

function limitsOf(run: LoadRun, client: SelfReport, measures: Measures, rate: Report["sent"]): string[] {
    const { hostname } = new URL(run.endpoint.baseUrl);
    return clientLimits(client, {
        sameMachine: ["127.0.0.1", "localhost", "[::1]"].includes(hostname),
        latencyMs: 1000 * (measures.latencySeconds?.p50 ?? 0),
        rate,
        notSent: [...run.results.outcomes].filter(({ failure }) => failure?.kind.startsWith("not sent")).length,
    });
}

interface Window {
    name: string;
    kind: PhaseReport["kind"];
    from: number;
    to: number;
    /** Index of the plan's phase. */
    phase: number;
    /** Requests that were sent in it. */
    sent: MeasureGroup;
    /** Requests that ended in it. */
    ended: MeasureGroup;
}

interface Groups {
    all: MeasureGroup;
    windows: Window[];
    byLength: Map<string, MeasureGroup>;
    byReplicas: Map<number, MeasureGroup>;
}

function groupOutcomes(
    results: Results,
    phases: Phase[],
    steadyUntil: number,
    replicas: ReplicaSample[],
    targets: Targets,
): Groups {
    const group = (): MeasureGroup => new MeasureGroup(targets);
    const window = (name: string, kind: Window["kind"], from: number, to: number, phase: number): Window => {
        return { name, kind, from, to, phase, sent: group(), ended: group() };
    };
    const windows = phases.map(({ name, kind, from, to }, phase) =>
        window(name, kind, from, Math.min(to, steadyUntil), phase),
    );
    const lastEnd = [...results.outcomes].reduce((most, { end }) => Math.max(most, end), 0);
    if (lastEnd > steadyUntil) windows.push(window("tail", "tail", steadyUntil, lastEnd, phases.length - 1));
    const groups: Groups = { all: group(), windows, byLength: new Map(), byReplicas: new Map() };
    const inMap = <K>(map: Map<K, MeasureGroup>, key: K): MeasureGroup => {
        let found = map.get(key);
        if (!found) map.set(key, (found = group()));
        return found;
    };
    const at = (t: number): Window | undefined => windows.findLast(({ from }) => t >= from);
    for (const outcome of results.outcomes) {
        groups.all.add(outcome);
        inMap(groups.byLength, outcome.lengthClass).add(outcome);
        at(outcome.start)?.sent.add(outcome);
        const end = at(outcome.end);
        // Between the steps of a sweep, what is left of one ends.
        if (end && outcome.end <= end.to) end.ended.add(outcome);
        const ready = readyAt(replicas, outcome.start);
        if (ready !== undefined && at(outcome.start)?.kind === "steady") inMap(groups.byReplicas, ready).add(outcome);
    }
    return groups;
}

function phaseReports(results: Results, { windows }: Groups): PhaseReport[] {
    return windows
        .filter(({ from, to, sent, ended }) => to > from && sent.requests + ended.requests > 0)
        .map(({ name, kind, from, to, phase, sent, ended }) => {
            const perSecond = (count: number): number => count / (to - from);
            const measures = sent.measures();
            return {
                name,
                kind,
                from,
                to,
                ...measures,
                // A tail's requests were planned as those of the step before.
                interTokenSeconds: kind === "tail" ? null : results.gapsWhere((other) => other === phase).summary(),
                requestsPerSecond: perSecond(ended.ok),
                outputTokensPerSecond: perSecond(ended.outputTokens),
                promptTokensPerSecond: perSecond(ended.promptTokens),
                ...(measures.goodShare === undefined ? {} : { goodRequestsPerSecond: perSecond(ended.good) }),
            };
        });
}

function costOf(
    replicaPrice: number | undefined,
    replicas: ReplicaSample[],
    wallSeconds: number,
    outputTokens: number,
): Report["cost"] {
    if (replicaPrice === undefined || replicas.length === 0) return undefined;
    const replicaHours = replicaSeconds(replicas, wallSeconds) / 3600;
    const euros = replicaHours * replicaPrice;
    return {
        replicaPrice,
        replicaHours,
        euros,
        perMillionOutputTokens: outputTokens > 0 ? (1e6 * euros) / outputTokens : null,
    };
}

/** The run in buckets of a round width; every bucket up to the end is there, also one in which nothing ended. */
export function timeline(
    outcomes: Iterable<Outcome>,
    replicas: ReplicaSample[],
    wallSeconds: number,
): TimelineBucket[] {
    const width = bucketSeconds(wallSeconds, mostBuckets);
    const buckets: { group: MeasureGroup; latencies: number[]; ttfts: number[] }[] = Array.from(
        { length: Math.floor(wallSeconds / width) + 1 },
        () => ({ group: new MeasureGroup({}), latencies: [], ttfts: [] }),
    );
    let any = false;
    for (const outcome of outcomes) {
        any = true;
        const bucket = buckets[Math.min(buckets.length - 1, Math.floor(outcome.end / width))];
        bucket.group.add(outcome);
        if (outcome.failure) continue;
        bucket.latencies.push(outcome.seconds);
        if (outcome.ttft !== undefined) bucket.ttfts.push(outcome.ttft);
    }
    if (!any) return [];
    return buckets.map(({ group, latencies, ttfts }, i) => {
        const [latency, ttft] = [summarize(latencies), summarize(ttfts)];
        return {
            t: i * width,
            ok: group.ok,
            errors: group.requests - group.ok,
            replicas: readyAt(replicas, (i + 1) * width),
            latencyP50: latency?.p50,
            latencyP95: latency?.p95,
            ttftP50: ttft?.p50,
            ttftP95: ttft?.p95,
            outputTokensPerSecond: group.outputTokens / width,
        };
    });
}
