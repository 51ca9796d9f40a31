/** What the monitoring measures by itself, beside vLLM's metrics (src/vllm/metrics). */
import { controllerMetrics } from "./controller";
import { frontDoorMetrics } from "./front-door";
import { platformMetrics } from "./platform";
import { recordedMetrics, type Window } from "./recorded";
import { relayMetrics } from "./relay";
import { scrapeMetrics, targetLabels } from "./scrape";

export { controllerMetrics, frontDoorMetrics, platformMetrics, recordedMetrics, relayMetrics, scrapeMetrics };
export { targetLabels, type Window };

/** All of them, by who tells them. */
export const metricGroups = [
    scrapeMetrics,
    platformMetrics,
    recordedMetrics,
    relayMetrics,
    controllerMetrics,
    frontDoorMetrics,
];
