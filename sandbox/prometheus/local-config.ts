import { parse, stringify } from "yaml";

/** Where a Prometheus pod of the operator finds its Secrets, rules and certificates. */
const podFolder = "/etc/prometheus/";

type Section = Record<string, unknown>;

export interface LocalConfig {
    /** The config for a Prometheus outside of the cluster, YAML. */
    text: string;
    /** Jobs whose targets are pods, services or nodes: nothing runs there. */
    leftOut: string[];
}

/**
 * Turns the config that the operator wrote for its pod into one for a process on this machine: what the pod has below
 * `/etc/prometheus` lies in `folder`, and what only the cluster's network could reach is left out.
 */
export function localConfig(operatorConfig: string, folder: string): LocalConfig {
    const config = parse(operatorConfig.replaceAll(podFolder, `${folder}/`)) as Section & {
        scrape_configs?: Section[];
    };
    const inCluster = (section: Section): boolean => "kubernetes_sd_configs" in section;
    const jobs = config.scrape_configs ?? [];
    const alerting = config.alerting as { alertmanagers?: Section[] } | undefined;
    const alertmanagers = alerting?.alertmanagers?.filter((one) => !inCluster(one)) ?? [];
    const text = stringify({
        ...config,
        scrape_configs: jobs.filter((job) => !inCluster(job)),
        ...(alerting ? { alerting: { ...alerting, alertmanagers } } : {}),
    });
    return { text, leftOut: jobs.filter(inCluster).map((job) => String(job.job_name)) };
}
