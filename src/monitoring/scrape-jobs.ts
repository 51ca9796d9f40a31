/** Key of a model's token in its Secret. */
export const tokenKey = "token";

/** Name of the Secret with the token that a model is scraped with. */
export function tokenSecretName(model: string): string {
    return model === "ministral" ? "vllm-auth-token" : `vllm-auth-token-${model}`;
}

/** Name of a model's job, and so the label `job` of its series. */
export function jobName(model: string): string {
    return `vllm-${model}`;
}

/** Name of the job that probes the public address of a relayed model. */
export function probeJobName(model: string): string {
    return `${jobName(model)}-direct`;
}

/** Name of the jobs of what the relays say of themselves: one for each relay, told apart by the label `model`. */
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

/**
 * A job as the Prometheus operator takes it, in `spec` of a ScrapeConfig (monitoring.coreos.com/v1alpha1). Certificates
 * are verified, which is Prometheus' default. The operator reads the token from the Secret, which has to be in the
 * namespace of the job, writes it into Prometheus' configuration, and does so again when the Secret changes.
 */
export interface ScrapeJob {
    jobName: string;
    scheme: "HTTP" | "HTTPS";
    metricsPath: string;
    scrapeInterval: string;
    scrapeTimeout: string;
    authorization?: { type: "Bearer"; credentials: { name: string; key: string } };
    trackTimestampsStaleness?: boolean;
    staticConfigs: { targets: string[]; labels: Record<string, string> }[];
    metricRelabelings?: Relabeling[];
}

/** What is done to each series, as far as jobs here do it. */
export interface Relabeling {
    sourceLabels?: string[];
    separator?: string;
    regex: string;
    action: "drop" | "replace" | "labeldrop";
    targetLabel?: string;
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
        jobName: jobName(model),
        scheme: protocol === "https:" ? "HTTPS" : "HTTP",
        metricsPath: "/metrics",
        scrapeInterval: interval,
        scrapeTimeout: timeout,
        authorization: { type: "Bearer", credentials: { name: tokenSecretName(model), key: tokenKey } },
        staticConfigs: [{ targets: [host], labels }],
    };
}

/**
 * The job that scrapes every replica of a model through its relay (`relay`: host and port). Its series look as those of
 * `scrapeJob` do, with the label `replica` besides.
 */
export function relayedJob(args: ScrapeJobArgs, relay: string): ScrapeJob {
    const { authorization: _, ...job } = scrapeJob(args);
    const [{ targets, labels }] = job.staticConfigs;
    return {
        ...job,
        scheme: "HTTP",
        metricsPath: "/replicas",
        // Samples bring the time they were taken at. Series of a replica that is gone end all the same.
        trackTimestampsStaleness: true,
        staticConfigs: [{ targets: [relay], labels: { ...labels, instance: targets[0] } }],
    };
}

/** The job that goes on scraping a relayed model's public address: whether it answers, and nothing of what it says. */
export function probeJob(args: ScrapeJobArgs): ScrapeJob {
    return {
        ...scrapeJob(args),
        jobName: probeJobName(args.model),
        // What is in there is one replica's, which the relay's job has already: only `up` and `scrape_...` are left.
        metricRelabelings: [{ sourceLabels: ["__name__"], regex: ".+", action: "drop" }],
    };
}

/** The job of what a model's relay says of itself. */
export function relayJob(
    { model, interval, timeout }: Omit<ScrapeJobArgs, "url" | "labels">,
    relay: string,
): ScrapeJob {
    return {
        jobName: relayJobName,
        scheme: "HTTP",
        metricsPath: "/metrics",
        scrapeInterval: interval,
        scrapeTimeout: timeout,
        staticConfigs: [{ targets: [relay], labels: { service: "vllm-relay", model } }],
    };
}

/** Name of the jobs of what the front doors say of themselves, told apart by the label `model`. */
export const frontDoorJobName = "front-door";

/** Name of the job of what the controller of schedules, leases and limits says of itself. */
export const controllerJobName = "model-controller";

/** @param address host and port */
export function controllerJob(
    address: string,
    { interval, timeout }: Pick<ScrapeJobArgs, "interval" | "timeout">,
): ScrapeJob {
    return {
        jobName: controllerJobName,
        scheme: "HTTP",
        metricsPath: "/metrics",
        scrapeInterval: interval,
        scrapeTimeout: timeout,
        staticConfigs: [{ targets: [address], labels: { service: "vllm-controller" } }],
    };
}
