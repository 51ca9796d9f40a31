/** What the monitoring measures by itself, beside vLLM's metrics (src/vllm/metrics). */
export { controllerMetrics } from "./controller";
export { frontDoorMetrics } from "./front-door";
export { platformMetrics } from "./platform";
export { recordedMetrics, type Window } from "./recorded";
export { relayMetrics } from "./relay";
export { scrapeMetrics, targetLabels } from "./scrape";
