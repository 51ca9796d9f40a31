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
    authorization: { type: "Bearer"; credentials_file: string };
    static_configs: { targets: Input<string>[]; labels: Record<string, string> }[];
}

/**
 * The job that scrapes a model through its public address. That address is load-balanced, so each scrape reaches one
 * replica: a relay that tells the replicas apart takes the place of target and scheme here, and the rest stays.
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
