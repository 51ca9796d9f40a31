import { parse, stringify } from "yaml";
import { releaseName } from "../../src/monitoring/chart-values";
import { relayName, relayPort } from "../../src/monitoring/relay/manifests";

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
 * `/etc/prometheus` lies in `folder`; Prometheus itself, Alertmanager and the replica relay are at the addresses given (host
 * and port); and what else only the cluster's network could reach is left out.
 */
export function localConfig(
    operatorConfig: string,
    folder: string,
    { relay, prometheus, alertmanager }: { relay?: string; prometheus?: string; alertmanager?: string } = {},
): LocalConfig {
    const config = parse(operatorConfig.replaceAll(podFolder, `${folder}/`)) as Section & {
        scrape_configs?: Section[];
    };
    const inCluster = (section: Section): boolean =>
        "kubernetes_sd_configs" in section ||
        staticConfigs(section).some(({ targets }) => targets.some((target) => /\.svc:\d+$/.test(target)));
    const pods = [
        { container: "prometheus", address: prometheus },
        { container: "alertmanager", address: alertmanager },
    ];
    const jobs = (config.scrape_configs ?? [])
        .map((job) => (relay ? withRelayAt(job, relay) : job))
        .map((job) => pods.reduce((moved, { container, address }) => withPodAt(moved, container, address), job));
    const alerting = config.alerting as { alertmanagers?: Section[] } | undefined;
    const alertmanagers = (alerting?.alertmanagers ?? []).flatMap((one) => {
        if (!inCluster(one)) return [one];
        return alertmanager ? [{ api_version: "v2", static_configs: [{ targets: [alertmanager] }] }] : [];
    });
    const text = stringify({
        ...config,
        scrape_configs: jobs.filter((job) => !inCluster(job)),
        ...(alerting ? { alerting: { ...alerting, alertmanagers } } : {}),
    });
    return { text, leftOut: jobs.filter(inCluster).map((job) => String(job.job_name)) };
}

interface StaticConfig {
    targets: string[];
    labels?: Record<string, string>;
}

function staticConfigs(section: Section): StaticConfig[] {
    return (section.static_configs as StaticConfig[] | undefined) ?? [];
}

/** The chart's job for one of its own two servers with that of this machine as its target, labelled as the pod would be. */
function withPodAt(job: Section, container: string, address: string | undefined): Section {
    const service = `${releaseName}-${container}`;
    const [, namespace, monitor] = /^serviceMonitor\/([^/]+)\/([^/]+)\/0$/.exec(String(job.job_name)) ?? [];
    if (monitor !== service || address === undefined) return job;
    const { kubernetes_sd_configs: _, relabel_configs: __, ...rest } = job;
    const labels = {
        job: service,
        namespace,
        service,
        endpoint: "http-web",
        pod: `${container}-${service}-0`,
        container,
    };
    return { ...rest, static_configs: [{ targets: [address], labels }] };
}

/** The job with the relay's Service replaced by another address, where it is a target; its series stay the same. */
function withRelayAt(job: Section, relay: string): Section {
    const isRelay = (target: string): boolean =>
        target.startsWith(`${relayName}.`) && target.endsWith(`.svc:${relayPort}`);
    if (!("static_configs" in job)) return job;
    const moved = staticConfigs(job).map((config) =>
        config.targets.some(isRelay)
            ? { targets: [relay], labels: { instance: config.targets[0], ...config.labels } }
            : config,
    );
    return { ...job, static_configs: moved };
}
