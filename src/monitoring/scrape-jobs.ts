import type { Input } from "@pulumi/pulumi";

/** The Secret that Prometheus mounts: one key per model, so that a further model does not restart it. */
export const tokenSecretName = "vllm-auth-token";

/** The key of a model's token. Follows from the model's own name alone: no model added or removed renames another's. */
export function tokenKey(model: string): string {
    return model === "ministral" ? "token" : model;
}

/** Name of a model's job, and so the label `job` of its series. */
export function jobName(model: string): string {
    return `vllm-${model}`;
}

/** Name of the job that probes the public address of a relayed model. */
export function probeJobName(model: string): string {
    return `${jobName(model)}-direct`;
}

/** Name of the job of what the relay says of itself. */
export const relayJobName = "replica-relay";

export interface ScrapeJobArgs {
    /** Name of the model in the stack. */
    model: string;
    /** Address of the app as the platform gives it. */
    url: string;
    labels: Record<string, string>;
    interval: string;
    timeout: string;
}

/** A job in Prometheus' own configuration format; certificates are verified, which is its default. */
export interface ScrapeJob {
    job_name: string;
    scheme: string;
    metrics_path: string;
    scrape_interval: string;
    scrape_timeout: string;
    authorization?: { type: "Bearer"; credentials_file: string };
    track_timestamps_staleness?: boolean;
    static_configs: { targets: Input<string>[]; labels: Record<string, string> }[];
    metric_relabel_configs?: Record<string, unknown>[];
}

/**
 * The job that scrapes a model through its public address. That address is load-balanced, so each scrape reaches one
 * replica: of a model that may have several, `relayedJob` and `probeJob` take its place.
 * @throws Error when `url` is no http or https URL.
 */
export function scrapeJob({ model, url, labels, interval, timeout }: ScrapeJobArgs): ScrapeJob {
    if (!/^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : "")) {
        throw new Error(
            `model ${model}: the platform gave "${url}" as the app's address, expected http(s)://host[:port]`,
        );
    }
    const { protocol, host } = new URL(url);
    return {
        job_name: jobName(model),
        scheme: protocol.slice(0, -1),
        metrics_path: "/metrics",
        scrape_interval: interval,
        scrape_timeout: timeout,
        authorization: {
            type: "Bearer",
            // The operator mounts each Secret it is told of here, a file for each key, and keeps the files current.
            credentials_file: `/etc/prometheus/secrets/${tokenSecretName}/${tokenKey(model)}`,
        },
        static_configs: [{ targets: [host], labels }],
    };
}

/**
 * The job that scrapes every replica of a model through the relay (`relay`: its host and port). Its series look as those
 * of `scrapeJob` do, with the label `replica` besides.
 */
export function relayedJob(args: ScrapeJobArgs, relay: string): ScrapeJob {
    const { authorization: _, ...job } = scrapeJob(args);
    const [{ targets, labels }] = job.static_configs;
    return {
        ...job,
        scheme: "http",
        metrics_path: `/metrics/${args.model}`,
        // Samples bring the time they were taken at. Series of a replica that is gone end all the same.
        track_timestamps_staleness: true,
        static_configs: [{ targets: [relay], labels: { ...labels, instance: targets[0] as string } }],
    };
}

/** The job that goes on scraping a relayed model's public address: whether it answers, and nothing of what it says. */
export function probeJob(args: ScrapeJobArgs): ScrapeJob {
    return {
        ...scrapeJob(args),
        job_name: probeJobName(args.model),
        // What is in there is one replica's, which the relay's job has already: only `up` and `scrape_...` are left.
        metric_relabel_configs: [{ source_labels: ["__name__"], regex: ".+", action: "drop" }],
    };
}

/** The job of what the relay says of itself. Its series name the model they concern. */
export function relayJob(relay: string, { interval, timeout }: { interval: string; timeout: string }): ScrapeJob {
    return {
        job_name: relayJobName,
        scheme: "http",
        metrics_path: "/metrics",
        scrape_interval: interval,
        scrape_timeout: timeout,
        static_configs: [{ targets: [relay], labels: { service: "vllm-relay" } }],
    };
}
