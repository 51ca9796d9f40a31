import { isMap, overlay } from "../settings/defaults";
import { durationSeconds, nearest } from "../settings/formats";
import { alertmanagerFaults } from "./alertmanager-check";

/** A value of the chart that cannot be as it is set. */
export interface ValueFault {
    /** Below `monitoring.chart.values`. */
    path: PropertyKey[];
    found?: string;
    fix: string;
}

type Values = Record<string, unknown>;

/** Lists that both sides have a share in. Of routes the first that fits counts, so the user's own come first. */
const joined: { path: string; ownFirst?: boolean }[] = [
    { path: "prometheus.prometheusSpec.additionalAlertRelabelConfigs" },
    { path: "alertmanager.alertmanagerSpec.secrets" },
    { path: "alertmanager.config.receivers" },
    { path: "alertmanager.config.route.routes", ownFirst: true },
    { path: "alertmanager.config.inhibit_rules" },
    { path: "grafana.ingress.hosts" },
    { path: "grafana.ingress.tls" },
];

/** Lays a user's own values of the chart over ours: maps are merged, what we need stays, lists are joined. */
export function withOwnValues(ours: Values, own: Values): Values {
    const merged = overlay(ours, own) as Values;
    for (const { path, ownFirst } of joined) {
        const [mine, theirs] = [at(ours, path), at(own, path)];
        if (!Array.isArray(mine) || !Array.isArray(theirs)) continue;
        const both = (ownFirst ? [...theirs, ...mine] : [...mine, ...theirs]) as unknown[];
        const parent = at(merged, path.slice(0, path.lastIndexOf("."))) as Values;
        parent[path.slice(path.lastIndexOf(".") + 1)] = distinct(both);
    }
    return merged;
}

function distinct(list: unknown[]): unknown[] {
    return [...new Map(list.map((item) => [JSON.stringify(item), item])).values()];
}

function at(values: unknown, path: string): unknown {
    return path.split(".").reduce<unknown>((value, key) => (isMap(value) ? value[key] : undefined), values);
}

const byName = "leave it out: this program finds what the chart makes by its name";
const ofAll = "leave it out: jobs and rules of the models are taken by it";
const needed = "leave it out: without it the stack's outputs and alerts would promise what is not there";
const instead = (setting: string) => `leave it out, and set ${setting}`;

/** Values that would take away or contradict what this program puts into the chart; `unless` names the ones that do not. */
const refused: { paths: string[]; unless?: unknown[]; fix: string }[] = [
    {
        paths: [
            "nameOverride",
            "fullnameOverride",
            "namespaceOverride",
            "cleanPrometheusOperatorObjectNames",
            "grafana.fullnameOverride",
            "grafana.nameOverride",
            "grafana.namespaceOverride",
        ],
        fix: byName,
    },
    {
        paths: [
            "crds.enabled",
            "prometheusOperator.enabled",
            "prometheus.enabled",
            "alertmanager.enabled",
            "grafana.enabled",
            "grafana.sidecar.dashboards.enabled",
            "grafana.sidecar.datasources.enabled",
            "grafana.sidecar.datasources.defaultDatasourceEnabled",
            "grafana.sidecar.datasources.isDefaultDatasource",
        ],
        unless: [true],
        fix: needed,
    },
    { paths: ["prometheus.agentMode"], unless: [false], fix: "leave it out: an agent works on no rules" },
    {
        paths: ["rule", "scrapeConfig"].flatMap((kind) => [
            `prometheus.prometheusSpec.${kind}Selector`,
            `prometheus.prometheusSpec.${kind}NamespaceSelector`,
        ]),
        fix: ofAll,
    },
    {
        paths: ["rule", "scrapeConfig"].map((kind) => `prometheus.prometheusSpec.${kind}SelectorNilUsesHelmValues`),
        unless: [false],
        fix: ofAll,
    },
    {
        paths: ["prometheus.prometheusSpec.additionalAlertRelabelConfigsSecret"],
        fix: "give prometheus.prometheusSpec.additionalAlertRelabelConfigs, which is joined with ours",
    },
    {
        paths: ["additionalPrometheusRules"],
        fix: "give additionalPrometheusRulesMap: of the two the chart takes one, and ours are there",
    },
    {
        paths: ["additionalPrometheusRulesMap.monitoring"],
        fix: "give your rules another name: under this one are those of the stack",
    },
    {
        paths: [
            "alertmanager.stringConfig",
            "alertmanager.alertmanagerSpec.useExistingSecret",
            "alertmanager.alertmanagerSpec.configSecret",
            "alertmanager.alertmanagerSpec.alertmanagerConfiguration",
        ],
        fix: "give alertmanager.config, which is laid over ours: with this one ours would not be used",
    },
    {
        paths: ["alertmanager.tplConfig"],
        unless: [false],
        fix: "leave it out: Helm would run the templates of the messages, which are Alertmanager's",
    },
    {
        paths: [
            "grafana.admin",
            "grafana.adminUser",
            "grafana.adminPassword",
            "grafana.sidecar.dashboards.label",
            "grafana.sidecar.dashboards.labelValue",
            "grafana.sidecar.dashboards.searchNamespace",
            "grafana.sidecar.dashboards.resource",
            "grafana.sidecar.datasources.uid",
            "grafana.sidecar.datasources.url",
            "grafana.sidecar.datasources.searchNamespace",
            "grafana.service.port",
            "grafana.service.enabled",
        ],
        fix: "leave it out: the stack's dashboards, data source and outputs go by ours",
    },
    { paths: ["grafana.service.type"], unless: ["ClusterIP"], fix: instead("monitoring.grafana.access") },
    { paths: ["grafana.ingress.enabled"], fix: instead("monitoring.grafana.access to ingress") },
    { paths: ["grafana.persistence.size"], fix: instead("monitoring.storage.grafana") },
    { paths: ["grafana.persistence.storageClassName"], fix: instead("monitoring.storage.class") },
    { paths: ["prometheus.prometheusSpec.retention"], fix: instead("monitoring.retention") },
    { paths: ["prometheus.prometheusSpec.scrapeInterval"], fix: instead("monitoring.scrapeInterval") },
];

/** What keeps the user's own values of the chart from being laid over ours, or what the operator would then refuse. */
export function chartValueFaults(own: Values, ours: Values): ValueFault[] {
    const faults: ValueFault[] = [];
    for (const { paths, unless = [], fix } of refused) {
        for (const path of paths) {
            const value = at(own, path);
            if (value === undefined || unless.includes(value)) continue;
            faults.push({ path: path.split("."), fix });
        }
    }
    // What is not of the shape that ours has would take its place.
    for (const path of ["alertmanager.config", "alertmanager.config.route", ...joined.map((one) => one.path)]) {
        const [mine, theirs] = [at(ours, path), at(own, path)];
        if (mine === undefined || theirs === undefined || shapeOf(mine) === shapeOf(theirs)) continue;
        faults.push({ path: path.split("."), fix: `give a ${shapeOf(mine)}, which is laid over ours` });
    }
    if (faults.length > 0) return faults;
    return [...scrapeConfigFaults(own), ...alertmanagerConfigFaults(own, ours), ...dataSourceFaults(own)];
}

function shapeOf(value: unknown): string {
    if (Array.isArray(value)) return "list";
    return isMap(value) ? "map" : "single value";
}

/** Our own jobs and the operator's have names that a second one would make Prometheus refuse, or count twice. */
const takenJobs = /^(vllm-.+|replica-relay|(scrapeConfig|serviceMonitor|podMonitor|probe)\/.+)$/;

/** Keys of a job that are misspelled most easily; Prometheus knows more. */
const jobKeys = (
    "job_name honor_labels honor_timestamps params scrape_interval scrape_timeout scrape_protocols metrics_path scheme " +
    "basic_auth authorization oauth2 tls_config proxy_url follow_redirects enable_http2 http_headers sample_limit label_limit " +
    "target_limit body_size_limit static_configs file_sd_configs http_sd_configs dns_sd_configs kubernetes_sd_configs " +
    "relabel_configs metric_relabel_configs"
).split(" ");

function scrapeConfigFaults(own: Values): ValueFault[] {
    const path = "prometheus.prometheusSpec.additionalScrapeConfigs".split(".");
    const jobs = at(own, path.join("."));
    // Text is a template of Helm's: what becomes of it is not known here.
    if (!Array.isArray(jobs)) return [];
    const names = new Set<unknown>();
    return jobs.flatMap((job: unknown, index): ValueFault[] => {
        if (!isMap(job) || typeof job.job_name !== "string" || job.job_name === "") {
            return [{ path: [...path, index], fix: "give a map with a job_name" }];
        }
        const { job_name: name } = job;
        const fault = (key: string, fix: string, found?: string): ValueFault => ({
            path: [...path, index, key],
            fix,
            found,
        });
        const faults: ValueFault[] = [];
        if (takenJobs.test(name)) faults.push(fault("job_name", "choose another name: the stack's own jobs begin so"));
        if (names.has(name)) {
            faults.push(fault("job_name", "give each job a name of its own: Prometheus refuses two of one name"));
        }
        names.add(name);
        for (const key of Object.keys(job).filter((one) => !jobKeys.includes(one))) {
            const meant = nearest(key, jobKeys);
            if (meant) faults.push(fault(key, `did you mean "${meant}"?`, "no such setting"));
        }
        return [...faults, ...durationFaults(job, fault), ...targetFaults(job, fault)];
    });
}

type JobFault = (key: string, fix: string, found?: string) => ValueFault;

function durationFaults(job: Values, fault: JobFault): ValueFault[] {
    const seconds = (key: string): number | undefined => durationSeconds(String(job[key]));
    const faults = ["scrape_interval", "scrape_timeout"]
        .filter((key) => job[key] !== undefined && seconds(key) === undefined)
        .map((key) => fault(key, 'give a duration such as "15s"'));
    const [interval, timeout] = [seconds("scrape_interval"), seconds("scrape_timeout")];
    if (interval !== undefined && timeout !== undefined && timeout > interval) {
        faults.push(fault("scrape_timeout", `give at most scrape_interval, which is "${String(job.scrape_interval)}"`));
    }
    return faults;
}

function targetFaults({ static_configs: groups }: Values, fault: JobFault): ValueFault[] {
    if (groups === undefined) return [];
    const isGroup = (group: unknown): boolean =>
        isMap(group) && (group.targets === undefined || Array.isArray(group.targets));
    if (!Array.isArray(groups) || !groups.every(isGroup)) {
        return [fault("static_configs", 'give a list such as [{ targets: ["host:port"] }]')];
    }
    const targets = (groups as Values[]).flatMap(({ targets = [] }) => targets as unknown[]);
    if (targets.every((target) => typeof target === "string" && !target.includes("/"))) return [];
    return [
        fault("static_configs", "give targets as host:port; what is before and after goes to scheme and metrics_path"),
    ];
}

function alertmanagerConfigFaults(own: Values, ours: Values): ValueFault[] {
    const config = at(own, "alertmanager.config");
    if (!isMap(config)) return [];
    return alertmanagerFaults(config, at(ours, "alertmanager.config") as Values).map(({ path, ...fault }) => ({
        path: ["alertmanager", "config", ...path],
        ...fault,
    }));
}

function dataSourceFaults(own: Values): ValueFault[] {
    const sources = at(own, "grafana.additionalDataSources");
    if (!Array.isArray(sources)) return [];
    return sources.flatMap((source: unknown, index): ValueFault[] => {
        const at = ["grafana", "additionalDataSources", index];
        if (!isMap(source)) return [{ path: at, fix: "give a map" }];
        if (source.isDefault === true) {
            return [
                { path: [...at, "isDefault"], fix: "leave it out: with a second default Grafana loads none of them" },
            ];
        }
        if (source.uid !== "prometheus" && source.name !== "Prometheus") return [];
        return [{ path: at, fix: 'choose another name and uid: "Prometheus" and "prometheus" are the stack\'s own' }];
    });
}
