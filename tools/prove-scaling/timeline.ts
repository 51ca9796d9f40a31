import type { ModelSettings } from "../../src/settings";
import type { Observations, ReplicaSample } from "./observe";

/** A request of the proof, in seconds from its start. */
export interface ProofRequest {
    start: number;
    end: number;
    ttft?: number;
    failure?: { kind: string; status?: number };
}

/** When what happened, in seconds from the start of the proof; undefined: it did not. */
export interface Moments {
    loadOn: number;
    /** The aggregated metric was over the target. */
    metricOver?: number;
    /** The platform set out to add a replica. */
    decided?: number;
    /** It counted one more that takes requests. */
    serving?: number;
    /** A replica that was not there before had generated a token. */
    firstToken?: number;
    /** The 95th percentile of the time to first token was under its target, and stayed there. */
    recovered?: number;
    loadOff?: number;
    /** The platform set out to take a replica away, or had. */
    downDecided?: number;
    /** As few replicas as before the load. */
    down?: number;
}

/** A value that changes with time. */
export type Points = [t: number, value: number][];

type Scaling = Pick<ModelSettings, "scaling" | "replicas" | "targets">;

/** A replica that has not been met for so long is not counted. */
const forgottenSeconds = 5;
/** Requests that a percentile is of: those that got their first token within so many seconds before. */
export const windowSeconds = 10;

/** The metric over all replicas as the platform aggregates it, at each time at which one was looked at. */
export function scalingValue({ replicas }: Observations, { scaling }: Scaling): Points {
    const last = new Map<string, ReplicaSample>();
    return replicas.flatMap((sample): Points => {
        last.set(sample.replica, sample);
        const values = [...last.values()]
            .filter(({ t, value }) => value !== undefined && sample.t - t <= forgottenSeconds)
            .map(({ value }) => value!);
        if (values.length === 0) return [];
        const sum = values.reduce((all, value) => all + value, 0);
        const by = { SUM: sum, AVERAGE: sum / values.length, MAX: Math.max(...values), MIN: Math.min(...values) };
        return [[sample.t, by[scaling.aggregation]]];
    });
}

/**
 * The 95th percentile of the times to first token, every second. A request that still waits, or was refused, counts with the
 * time that it has waited for: with those alone that were answered, an overload would look fast.
 */
export function firstTokenP95(requests: ProofRequest[], until: number): Points {
    const points: Points = [];
    for (let t = windowSeconds; t <= until; t++) {
        const waits = requests.flatMap(({ start, end, ttft }): number[] => {
            const answered = ttft === undefined ? end : start + ttft;
            if (start > t || answered <= t - windowSeconds) return [];
            return [Math.min(answered, t) - start];
        });
        if (waits.length === 0) continue;
        waits.sort((a, b) => a - b);
        points.push([t, waits[Math.min(waits.length - 1, Math.ceil(0.95 * waits.length) - 1)]]);
    }
    return points;
}

/** Finds the moments in what was seen. */
export function momentsOf(
    seen: Observations,
    requests: ProofRequest[],
    settings: Scaling,
    { loadOn, loadOff, until }: { loadOn: number; loadOff?: number; until: number },
): Moments {
    const { platform, replicas } = seen;
    const before = platform.findLast(({ t }) => t <= loadOn)?.ready ?? settings.replicas.min;
    const known = new Set(replicas.filter(({ t }) => t <= loadOn).map(({ replica }) => replica));
    const underLoad = (t: number): boolean => t > loadOn && t <= (loadOff ?? Infinity);
    const over = scalingValue(seen, settings).find(([t, value]) => underLoad(t) && value > settings.scaling.target);
    const decided = platform.find(
        ({ t, state, ready }) => underLoad(t) && (state === "SCALING" || state === "QUEUED" || ready > before),
    );
    const serving = platform.find(({ t, ready }) => underLoad(t) && ready > before)?.t;
    const firstToken = replicas.find(({ t, replica, tokens }) => underLoad(t) && !known.has(replica) && tokens > 0)?.t;
    const p95 = firstTokenP95(requests, Math.min(until, loadOff ?? until));
    const most = platform.reduce((all, { ready }) => Math.max(all, ready), before);
    const after = (t: number): boolean => loadOff !== undefined && t > loadOff;
    const fewer = platform.find(({ t, ready, state }) => after(t) && (ready < most || state === "SCALING"));
    const down = platform.find(({ t, ready, state }) => after(t) && ready <= before && state === "RUNNING");
    return {
        loadOn,
        metricOver: over?.[0],
        decided: decided?.t,
        serving,
        firstToken,
        recovered: serving === undefined ? undefined : recoveredAt(p95, serving, settings.targets.timeToFirstToken),
        loadOff,
        downDecided: most > before ? fewer?.t : undefined,
        down: most > before ? down?.t : undefined,
    };
}

/** From when on the values stay at or under the limit to the end, for a whole window at least. */
function recoveredAt(points: Points, from: number, limit: number): number | undefined {
    const later = points.filter(([t]) => t >= from);
    const lastOver = later.findLastIndex(([, value]) => value > limit);
    const calm = later.slice(lastOver + 1);
    if (calm.length < windowSeconds) return undefined;
    return lastOver < 0 ? from : calm[0][0];
}

/** A part of the way from the load to the recovery, or from its end to the last replica's. */
export interface Part {
    name: string;
    from: number;
    to: number;
    /** Share of its way, 0 to 1. */
    share: number;
    /** What the settings let one expect, in seconds of this clock; undefined where they say nothing. */
    expected?: { seconds: number; because: string };
}

/** Period of the Kubernetes autoscaler that AI Deploy is taken to follow. */
const autoscalerPeriod = 15;
const defaultDownWindow = 300;

/**
 * The parts between the moments there are, with what the settings say of each.
 * @param speed platform seconds per second: 1 but in a sandbox
 */
export function partsOf(
    moments: Moments,
    { scaling, probes }: Pick<ModelSettings, "scaling" | "probes">,
    speed: number,
): Part[] {
    const { loadOn, metricOver, decided, serving, firstToken, recovered, loadOff, downDecided, down } = moments;
    const up = scaling.scaleUpStabilizationSeconds ?? 0;
    const downWindow = scaling.scaleDownStabilizationSeconds ?? defaultDownWindow;
    const { initialDelaySeconds } = probes.readiness;
    const between = (
        name: string,
        from: number | undefined,
        to: number | undefined,
        expected?: [platformSeconds: number, because: string],
    ): Omit<Part, "share">[] =>
        from === undefined || to === undefined
            ? []
            : [
                  {
                      name,
                      from,
                      to: Math.max(from, to),
                      ...(expected && { expected: { seconds: expected[0] / speed, because: expected[1] } }),
                  },
              ];
    const later = (a: number | undefined, b: number | undefined): number | undefined =>
        a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);
    const rise = [
        ...between("load until the metric is over its target", loadOn, metricOver),
        ...between("until the platform decides", metricOver ?? loadOn, decided, [
            up + autoscalerPeriod,
            `scale-up window ${up} s and a look every ${autoscalerPeriod} s`,
        ]),
        ...between("until the new replica takes requests", decided, serving, [
            initialDelaySeconds,
            `readiness is asked after ${initialDelaySeconds} s`,
        ]),
        ...between("until its first token", serving, later(firstToken, serving)),
        ...between("until p95 is under its target", later(firstToken, serving), recovered),
    ];
    const fall = [
        ...between("end of load until a replica is given up", loadOff, downDecided, [
            downWindow + autoscalerPeriod,
            `scale-down window ${downWindow} s and a look every ${autoscalerPeriod} s`,
        ]),
        ...between("until it is gone", downDecided, down),
    ];
    return [rise, fall].flatMap((way) => {
        const total = way.reduce((sum, { from, to }) => sum + to - from, 0);
        return way.map((part) => ({ ...part, share: total > 0 ? (part.to - part.from) / total : 0 }));
    });
}
