import { parse, stringify } from "yaml";
import { releaseName } from "../../src/monitoring/chart-values";
import { relayPort } from "../../src/monitoring/relay/manifests";

/** Where a Prometheus pod of the operator finds its Secrets, rules and certificates. */
const podFolder = "/etc/prometheus/";

type Section = Record<string, unknown>;

export interface LocalConfig {
    /** The config for a Prometheus outside of the cluster, YAML. */
    text: string;
    /** Jobs whose targets are pods, services or nodes: nothing runs there. */
    leftOut: string[];
}

/** Where things are for a process on this machine: host and port. */
export interface LocalAddresses {
    /** By the names of their Services. */
    relays?: Record<string, string>;
    prometheus?: string;
    alertmanager?: string;
    apiServer?: ApiServer;
}

/** The cluster's API server, and the files with which it is reached. */
export interface ApiServer {
    address: string;
    ca: string;
    certificate: string;
    key: string;
}

/**
 * Turns the config that the operator wrote for its pod into one for a process on this machine: what the pod has below
 * `/etc/prometheus` lies in `folder`; Prometheus itself, Alertmanager, the replica relays and the API server are at the
 * addresses given; and what else only the cluster's network could reach is left out.
 */
export function localConfig(
    operatorConfig: string,
    folder: string,
    { relays = {}, prometheus, alertmanager, apiServer }: LocalAddresses = {},
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
        .map((job) => withRelaysAt(job, relays))
        .map((job) => pods.reduce((moved, { container, address }) => withPodAt(moved, container, address), job))
        .map((job) => withApiServerAt(job, apiServer));
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
    const namespace = namespaceOf(job, service);
    if (namespace === undefined || address === undefined) return job;
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

/** Namespace of the ServiceMonitor of this name, where the job is of its first endpoint. */
function namespaceOf({ job_name: name }: Section, monitor: string): string | undefined {
    const [, namespace, found] = /^serviceMonitor\/([^/]+)\/([^/]+)\/0$/.exec(String(name)) ?? [];
    return found === monitor ? namespace : undefined;
}

/** The chart's job for the API server, which runs here too: without it the chart's KubeAPIDown would be true of no one. */
function withApiServerAt(job: Section, apiServer: ApiServer | undefined): Section {
    if (namespaceOf(job, `${releaseName}-apiserver`) === undefined || apiServer === undefined) return job;
    const { kubernetes_sd_configs: _, relabel_configs: __, authorization: ___, bearer_token_file: ____, ...rest } = job;
    const { address, ca, certificate, key } = apiServer;
    const labels = { job: "apiserver", namespace: "default", service: "kubernetes", endpoint: "https" };
    return {
        ...rest,
        tls_config: { ca_file: ca, cert_file: certificate, key_file: key },
        static_configs: [{ targets: [address], labels }],
    };
}

/** The job with the Service of a relay that runs replaced by its address, where it is a target; its series stay the same. */
function withRelaysAt(job: Section, relays: Record<string, string>): Section {
    if (!("static_configs" in job)) return job;
    const moved = staticConfigs(job).map((config) => {
        const [, service] = new RegExp(`^([^.]+)\\.[^.]+\\.svc:${relayPort}$`).exec(config.targets[0]) ?? [];
        const address = relays[service];
        if (address === undefined) return config;
        return { targets: [address], labels: { instance: config.targets[0], ...config.labels } };
    });
    return { ...job, static_configs: moved };
}
