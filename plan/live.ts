import { monitoringApis } from "../tools/monitoring-api";
import { Prometheus } from "../tools/prometheus";
import { chooseModel, readStack, stackSettings } from "../tools/stack";
import { readPast, type Past } from "./past";
import { servedOf, type Served } from "./served";

/** A model of a live stack: what it was asked for, and its settings. */
export interface LiveModel {
    past: Past;
    served: Served;
}

/**
 * Reads the stack and its Prometheus. Throws an Error for people.
 * @param options as typed: which stack and model, and where its Prometheus is
 */
export async function readLive(
    options: { stack?: string; model?: string; prometheus?: string },
    days: number,
): Promise<LiveModel> {
    const stack = await readStack(options.stack);
    const [name, { scrapeJob }] = chooseModel(stack, options.model);
    const { monitoring } = stackSettings(stack);
    const apis = monitoringApis(stack.outputs.kubeconfig ?? "", monitoring.namespace, options);
    const past = await readPast(new Prometheus(apis.prometheus), scrapeJob, days);
    return { past, served: servedOf(stack, name) };
}
