/**
 * The load test as a library: what other tools build upon.
 *
 *     const run = new LoadRun(loadConfig({ workers: 50, duration: 60 }), "model-id", { baseUrl, token, ca });
 *     const replicas = new ReplicaWatch(app, () => run.now(), 5000);
 *     void replicas.begin();
 *     await run.run();              // `run.stop(reason)` ends it early; `run.results` can be read meanwhile
 *     replicas.stop();
 *     for (const { start, ttft, failure } of run.results.outcomes) ...
 */
export { loadConfig, type LoadConfig } from "./config";
export { UsageError } from "./usage-error";
export { ask, servedModels, type Answer, type ChatRequest, type Failure } from "./client";
export { Connection, Connector, oneLine, type Endpoint } from "./connection";
export { LoadRun } from "./run";
export type { Outcome, OutcomeLog, Results } from "./outcome";
export { readyAt, ReplicaWatch, type AppAddress, type ReplicaSample } from "./replicas";
export { clientLimits, type SelfReport } from "./self-report";
export { difference, metricsConnector, serverPage, type Buckets } from "./server-metrics";
export { quantile, summarize, type Summary } from "./statistics";
export { stackTarget, urlTarget, type Target } from "./target";
