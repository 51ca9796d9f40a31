import type { ScrapeJob } from "../../src/monitoring/scrape-jobs";

/**
 * A job as the operator writes it into Prometheus' configuration (`generateScrapeConfig` of versions 0.85 to 0.93); the
 * test with the real operator holds this to it.
 * @param name of the ScrapeConfig, in the namespace `monitoring`
 * @param token what the Secret holds that the job refers to
 */
export function renderedJob(name: string, job: ScrapeJob, token: string): Record<string, unknown> {
    return {
        job_name: `scrapeConfig/monitoring/${name}`,
        ...(job.trackTimestampsStaleness && { track_timestamps_staleness: true }),
        metrics_path: job.metricsPath,
        scrape_interval: job.scrapeInterval,
        scrape_timeout: job.scrapeTimeout,
        scheme: job.scheme.toLowerCase(),
        ...(job.authorization && { authorization: { type: job.authorization.type, credentials: token } }),
        static_configs: job.staticConfigs,
        relabel_configs: [
            { source_labels: ["job"], target_label: "__tmp_prometheus_job_name" },
            { target_label: "job", action: "replace", replacement: job.jobName },
        ],
        ...(job.metricRelabelings && {
            metric_relabel_configs: job.metricRelabelings.map(({ sourceLabels, regex, action }) => ({
                source_labels: sourceLabels,
                regex,
                action,
            })),
        }),
    };
}
