import { maxNumSeqs } from "../../vllm/limits";
import { conditionalMetrics, goneMetrics, metricsOf, vllmMetrics, type Metric } from "../../vllm/metrics";
import { vllmVersionOf, vllmVersions } from "../../vllm/versions";
import { nearest } from "../formats";
import type { CrossFault, ReadModel } from "./config";

/** An autoscaler that follows Kubernetes' arithmetic leaves the replicas alone up to 10 % above the target. */
const tolerance = 1.1;

/** Refuses a rule that could never fire: it would mean no scale-up, silently. */
export function scalingFaults({ settings: { scaling, image, flavor, vllm, replicas }, at }: ReadModel): CrossFault[] {
    if (!scaling) return [];
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
