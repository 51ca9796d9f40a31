import type { Metric } from "../../vllm/metrics";

/**
 * Labels that Prometheus adds to each series of a model. `replica` comes from the relay: without it there is one series
 * for all replicas, that of whichever one answered.
 */
export const targetLabels = ["job", "instance", "replica"] as const;

/** What Prometheus itself records about each scrape. */
export const scrapeMetrics = {
    up: {
        name: "up",
        type: "gauge",
        unit: "short",
        // Of the relays' and front doors' jobs.
        labels: ["model"],
        max: 1,
        meaning: "1 when the last scrape succeeded, else 0.",
    },
    duration: {
        name: "scrape_duration_seconds",
        type: "gauge",
        unit: "s",
        labels: [],
        meaning: "How long the last scrape took.",
    },
    samples: {
        name: "scrape_samples_scraped",
        type: "gauge",
        unit: "short",
        labels: [],
        meaning: "Series that the last scrape brought in.",
    },
} as const satisfies Record<string, Metric>;
