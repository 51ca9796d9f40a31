import { maxNumSeqs } from "../../vllm/limits";
import { conditionalMetrics, goneMetrics, serverMetrics, vllmMetrics, type Metric } from "../../vllm/metrics";
import { vllmVersionOf, type VllmVersion } from "../../vllm/versions";
import { nearest } from "../formats";
import type { ModelSettings } from "../schema";
import type { CrossFault, ReadModel } from "./config";

/** An autoscaler that follows Kubernetes' arithmetic leaves the replicas alone up to 10 % above the target. */
const tolerance = 1.1;

/** What tells how busy an engine is. All else on its page is constant, or only ever grows. */
const busy = [
    vllmMetrics.numRequestsRunning,
    vllmMetrics.numRequestsWaiting,
    vllmMetrics.numRequestsWaitingByReason,
    vllmMetrics.kvCacheUsage,
] as const satisfies Metric[];

/** Refuses a rule that could never fire: it would mean no scale-up, silently. */
export function scalingFaults(model: ReadModel): CrossFault[] {
    const { scaling, image } = model.settings;
    if (!scaling) return [];
    const fix = metricFix(scaling.metric, image === undefined ? undefined : vllmVersionOf(image));
    if (fix) return [{ path: model.at("scaling", "metric"), fix }];
    const limit = targetFix(scaling, model);
    return limit ? [{ path: model.at("scaling", "target"), fix: limit }] : [];
}

/**
 * What is right in place of a metric that the autoscaler cannot follow. It reads the page of vLLM itself, so of a known version
 * there is no other; `version` is undefined where that is not known.
 */
function metricFix(name: string, version: VllmVersion | undefined): string | undefined {
    const there: Metric[] = busy.filter(({ only }: Metric) => !version || !only || only.includes(version));
    const names = there.map((metric) => metric.name);
    if (names.includes(name)) return undefined;
    if (Object.hasOwn(goneMetrics, name)) return `give ${goneMetrics[name]}`;
    const known = Object.values<Metric>({ ...vllmMetrics, ...conditionalMetrics, ...serverMetrics }).find(
        (metric) => metric.name === name,
    );
    const these = `give one of ${names.join(", ")}`;
    if (known && known.type !== "gauge") return `${these}: this one is a ${known.type} and only ever grows`;
    if (known && version && known.only && !known.only.includes(version)) {
        return `${these}, which vLLM ${version} has: this one is known of ${known.only.join(", ")} only`;
    }
    if (known) return `${these}: this one does not tell how busy the engine is`;
    const guess = nearest(name, names);
    if (guess) return `did you mean "${guess}"?`;
    if (version) return `${these}: vLLM ${version} has no metric of this name`;
    return name.startsWith("vllm") ? `${these}: vLLM's metrics are not called so` : undefined;
}

/** What is right in place of a target that the metric never passes. */
function targetFix(
    { metric: name, target, aggregation }: ModelSettings["scaling"],
    { settings: { flavor, vllm, replicas } }: ReadModel,
): string | undefined {
    const counted = aggregation === "SUM" ? Math.max(1, replicas?.min ?? 1) : 1;
    if (name === vllmMetrics.numRequestsRunning.name) {
        // Without them the faults of vllm or flavor are told first.
        if (!vllm || !flavor) return undefined;
        const most = maxNumSeqs({ vllm, flavor }) * counted;
        if (target * tolerance < most) return undefined;
        const why = vllm.maxNumSeqs
            ? `vLLM runs at most ${most} requests at once (max-num-seqs)`
            : `by default vLLM runs at most ${most} requests at once here (vllm.maxNumSeqs sets it)`;
        return `give at most ${highest(most)}: ${why}, and nothing scales until the target is passed by 10 %`;
    }
    const { max }: Metric = busy.find((metric) => metric.name === name) ?? vllmMetrics.numRequestsWaiting;
    if (max === undefined || target * tolerance < max * counted) return undefined;
    return `give at most ${highest(max * counted)}: the gauge ends at ${max}`;
}

/** The highest target that `most` passes by more than the tolerance: a whole number, or one with a decimal below 1. */
function highest(most: number): number {
    const whole = Math.ceil(most / tolerance) - 1;
    return whole >= 1 ? whole : (Math.ceil((most * 10) / tolerance) - 1) / 10;
}
