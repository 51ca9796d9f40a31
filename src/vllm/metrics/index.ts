/**
 * Every metric of vLLM that may be named in this project: dashboards, rules, autoscaling settings, the relay and the load
 * test take names from here, so that nothing is built on one that does not exist. A wrong name does not compile, and neither
 * does a dashboard or rule on a metric that only some of the supported vLLM versions have.
 *
 * Source: vllm/v1/metrics/loggers.py and vllm/entrypoints/serve/instrumentator/metrics.py of each version's source
 * distribution. A test holds the catalogue to a page written by that code (test/monitoring/metrics-pages).
 */
import type { VllmVersion } from "../versions";
import { cacheMetrics } from "./cache";
import { latencyMetrics } from "./latency";
import type { Metric } from "./metric";
import { requestMetrics } from "./requests";
import { serverMetrics } from "./server";
import { tokenMetrics } from "./tokens";

export { conditionalMetrics } from "./conditional";
export { goneMetrics } from "./gone";
export { seriesNames, type Metric, type MetricType } from "./metric";
export { serverMetrics } from "./server";

/** Of the engine: on the page from the start, with 0. `--disable-log-stats` removes them all. */
export const vllmMetrics = { ...latencyMetrics, ...requestMetrics, ...tokenMetrics, ...cacheMetrics } as const;

/** Names of the ten metrics that the reference architecture shows. */
export const dashboardMetrics: string[] = [
    vllmMetrics.timeToFirstToken,
    vllmMetrics.interTokenLatency,
    vllmMetrics.e2eRequestLatency,
    vllmMetrics.requestSuccess,
    vllmMetrics.kvCacheUsage,
    vllmMetrics.numRequestsRunning,
    vllmMetrics.numRequestsWaiting,
    vllmMetrics.numPreemptions,
    vllmMetrics.promptTokens,
    vllmMetrics.generationTokens,
].map(({ name }) => name);

/** The metrics on the page of a vLLM version, conditional ones left out. */
export function metricsOf(version: VllmVersion): Metric[] {
    const all: Metric[] = [...Object.values(vllmMetrics), ...Object.values(serverMetrics)];
    return all.filter(({ only }) => !only || only.includes(version));
}
