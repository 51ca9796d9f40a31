import { vllmMetrics } from "../../vllm/metrics";
import { removeCommand } from "../commands";
import type { ModelSettings } from "../schema";
import { maySleep, secondsToSleep } from "../sleep";
import type { CrossFault, ReadModel } from "./config";

/** Fewer, and a look of the monitoring every two minutes might not find the model awake. */
const leastSeconds = 120;

/** Faults of models that may sleep: what would end replicas that work. */
export function sleepFaults(models: ReadModel[]): CrossFault[] {
    return models.flatMap(modelFaults);
}

function modelFaults({ settings: { replicas, schedule, scaling }, at }: ReadModel): CrossFault[] {
    if (!replicas || !scaling) return [];
    if (!maySleep({ replicas, schedule })) {
        if (scaling.cooldownSeconds === undefined) return [];
        const path = at("scaling", "cooldownSeconds");
        const fix = `only a model with replicas.min of 0, or hours with a min of 0, goes to sleep: ${removeCommand(path)}`;
        return [{ path, fix }];
    }
    return [...metricFaults(scaling, at), ...timeFaults(scaling, at)];
}

/** The platform takes the last replica when the metric is 0, which must mean that there is nothing to do. */
function metricFaults({ metric, aggregation }: ModelSettings["scaling"], at: ReadModel["at"]): CrossFault[] {
    const faults: CrossFault[] = [];
    const waiting: string[] = [vllmMetrics.numRequestsWaiting.name, vllmMetrics.numRequestsWaitingByReason.name];
    if (waiting.includes(metric)) {
        const { name } = vllmMetrics.numRequestsRunning;
        const fix = `give ${name} with replicas.min of 0: this one is 0 while requests run, which would be cut`;
        faults.push({ path: at("scaling", "metric"), fix });
    }
    if (aggregation === "MIN") {
        const fix =
            "give AVERAGE, MAX or SUM with replicas.min of 0: this one is 0 while one of several replicas idles";
        faults.push({ path: at("scaling", "aggregation"), fix });
    }
    return faults;
}

function timeFaults(scaling: ModelSettings["scaling"], at: ReadModel["at"]): CrossFault[] {
    const seconds = secondsToSleep({ scaling });
    if (seconds >= leastSeconds) return [];
    const fix =
        `give at least ${leastSeconds - seconds + (scaling.cooldownSeconds ?? 0)}: with ${seconds} s in all (scale-down ` +
        `window and this), fewer than ${leastSeconds}, it would sleep between two looks of the monitoring`;
    return [{ path: at("scaling", "cooldownSeconds"), fix }];
}

/** What a model that may sleep saves and what its users wait for: a sentence for `pulumi preview`. */
export function sleepWarnings(name: string, model: ModelSettings): string[] {
    if (!maySleep(model) || model.desiredState === "STOPPED") return [];
    const { flavor, probes, replicas, schedule } = model;
    const key = replicas.min === 0 ? "replicas.min" : `schedule[${schedule.findIndex(({ min }) => min === 0)}].min`;
    return [
        `models.${name}.${key}: 0: after ${secondsToSleep(model)} s without a request ${name} sleeps and is not billed. The ` +
            `first request then waits for a boot, ${probes.readiness.initialDelaySeconds ?? 0} s and more, or is refused ` +
            `meanwhile; while no ${flavor} is free, and popular flavors run out, nobody is served (docs/scaling.md)`,
    ];
}
