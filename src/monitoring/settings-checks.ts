import {
    alertingFaults,
    alertingSchema,
    maySleep,
    monitoringSchema,
    readModels,
    type Config,
    type CrossFault,
    type ReadModel,
    type Settings,
    type SettingsChecks,
} from "../settings";
import { conditionalMetrics, serverMetrics, vllmMetrics, type Metric } from "../vllm/metrics";
import { chartValueFaults } from "./chart-overrides";
import { stackValues } from "./chart-values";
import { targetLabels } from "./metrics";
import { drawsNeeded, maxRequests } from "./relay/relay";
import { largestBudget } from "./rules";
import { jobName, probeJobName } from "./scrape-jobs";

/** What the monitoring can watch, and how well. */
export const monitoringChecks: SettingsChecks = {
    faults({ models, monitoring, alerting }: Config): CrossFault[] {
        const read = readModels(models);
        return [
            ...nameFaults(read),
            ...read.flatMap((model) => [...replicaFaults(model), ...targetFaults(model), ...labelFaults(model)]),
            ...sleepFaults(read, monitoring),
            ...chartFaults(monitoring, alerting),
        ];
    },
    warnings: ({ models, monitoring }) =>
        Object.entries(models).flatMap(([name, { replicas }]) =>
            replicaWarnings(name, replicas.max, monitoring.replicaMetrics),
        ),
};

/** Names that would make one job of two. */
function nameFaults(models: ReadModel[]): CrossFault[] {
    return models.flatMap(({ name, at }) => {
        const probed = models.find((other) => probeJobName(other.name) === jobName(name));
        if (!probed) return [];
        const fix = `choose another name: the job that probes the public address of "${probed.name}" is called like its job`;
        return [{ path: at(), found: "a reserved name", fix }];
    });
}

/** Only through the relay is a model that sleeps let alone. */
function sleepFaults(models: ReadModel[], monitoring: unknown): CrossFault[] {
    const { replicaMetrics } = (monitoring ?? {}) as { replicaMetrics?: unknown };
    const sleeper = models.find(({ settings: { replicas, schedule } }) => replicas && maySleep({ replicas, schedule }));
    if (!sleeper || replicaMetrics !== "direct") return [];
    const fix =
        `scraped directly "${sleeper.name}" would never sleep: pulumi config set --path monitoring.replicaMetrics relay, or give it ` +
        "a replicas.min of 1";
    return [{ path: ["monitoring", "replicaMetrics"], fix }];
}

/** At most as many as the relay can ask in a round: each request shows it one. */
function replicaFaults({ settings: { replicas }, at }: ReadModel): CrossFault[] {
    const fix = `give at most ${maxRequests}: the monitoring could not tell more replicas apart`;
    return (["min", "max"] as const)
        .filter((key) => replicas && replicas[key] > maxRequests)
        .map((key) => ({ path: at("replicas", key), fix }));
}

/** Refuses targets that no alert could watch. */
function targetFaults({ settings: { targets }, at }: ReadModel): CrossFault[] {
    if (!targets) return [];
    const faults = (["timeToFirstToken", "interTokenLatency"] as const).flatMap((key) => {
        const buckets: readonly number[] = vllmMetrics[key].buckets;
        const target = targets[key];
        if (buckets.includes(target)) return [];
        const near = [...buckets].sort((a, b) => Math.abs(a - target) - Math.abs(b - target)).slice(0, 2);
        const fix = `give ${near.sort((a, b) => a - b).join(" or ")} (seconds): vLLM counts requests between such bounds only`;
        return [{ path: at("targets", key), fix }];
    });
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

/** Labels that vLLM's series bring along or that the scrape gives them. */
const takenLabels = new Set<string>([
    ...[vllmMetrics, conditionalMetrics, serverMetrics].flatMap((group) =>
        Object.values<Metric>(group).flatMap(({ labels }) => labels),
    ),
    ...targetLabels,
    "le",
    "quantile",
]);

function labelFaults({ settings: { scrape }, at }: ReadModel): CrossFault[] {
    const fix = "choose another name: series have a label of this name already, which rules and dashboards go by";
    return Object.keys(scrape?.labels ?? {})
        .filter((label) => takenLabels.has(label))
        .map((label) => ({ path: at("scrape", "labels", label), fix }));
}

/** Faults of values of the chart that are laid over ours, which are known only when the rest is right. */
function chartFaults(monitoring: unknown, alerting: unknown): CrossFault[] {
    const settings = monitoringSchema.safeParse(monitoring).data;
    const alerts = alertingSchema.safeParse(alerting).data;
    // What they are laid over is put together from the alerting.
    if (!settings || !alerts || alertingFaults(alerting).length > 0) return [];
    return chartValueFaults(settings.chart.values, stackValues(settings, alerts)).map(({ path, ...fault }) => ({
        path: ["monitoring", "chart", "values", ...path],
        ...fault,
    }));
}

function replicaWarnings(
    name: string,
    most: number,
    replicaMetrics: Settings["monitoring"]["replicaMetrics"],
): string[] {
    if (most === 1) return [];
    if (replicaMetrics === "direct") {
        return [
            `monitoring.replicaMetrics: direct sees one of the up to ${most} replicas of ${name} at a time, another ` +
                "one each time: rates and sums are wrong, by far; relay sees each of them",
        ];
    }
    if (drawsNeeded(most) <= maxRequests) return [];
    return [
        `models.${name}.replicas.max: of ${most} replicas the relay may miss some, and says so: it asks at most ` +
            `${maxRequests} times a round (docs/relay.md)`,
    ];
}
