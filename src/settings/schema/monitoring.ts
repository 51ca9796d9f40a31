import { z } from "zod";
import { cidr, duration, kubernetesName, pem, size, storageClass, text, written } from "./values";

/** Grafana by https, with `access: ingress`; the certificate is either asked of cert-manager or given. */
const ingress = z.strictObject({
    /**
     * Host name that the ingress answers to.
     * @default none: has to be set with access ingress
     * @change live; the old name leads nowhere any more
     */
    host: text(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, 'give a host name such as "grafana.example.org"'),
    /**
     * Class of the ingress controller, which runs in the cluster already. Only ingress-nginx keeps to `allowedSources`.
     * @default none: has to be set with access ingress
     * @change live
     */
    class: kubernetesName,
    /**
     * ClusterIssuer of cert-manager.
     * @default none: the certificate is given
     * @change live
     */
    issuer: kubernetesName.optional(),
    /**
     * Certificate chain, PEM; its key is `grafanaTlsKey`.
     * @default none: the certificate is asked of issuer
     * @example
     * pulumi config set --path monitoring.grafana.access ingress
     * pulumi config set --path monitoring.grafana.ingress.host grafana.example.org
     * pulumi config set --path monitoring.grafana.ingress.class nginx
     * pulumi config set --path monitoring.grafana.ingress.certificate < chain.pem
     * pulumi config set --secret grafanaTlsKey < key.pem
     * @change live
     */
    certificate: pem("CERTIFICATE").optional(),
});

/** Prometheus, Grafana and Alertmanager. */
export const monitoringSchema = z.strictObject({
    /**
     * Namespace of the monitoring, and of nothing else.
     * @default `"monitoring"`
     * @example pulumi config set --path monitoring.namespace observability
     * @change refused once the monitoring is there: everything would be made anew, and what is stored be lost
     */
    namespace: kubernetesName,
    /**
     * For how long Prometheus keeps samples, at most `10y`; what exceeds 85 % of its volume goes earlier.
     * @default `"15d"`
     * @example pulumi config set --path monitoring.retention 30d
     * @change restarts Prometheus: about a minute without samples
     */
    retention: duration('give a duration such as "15d" or "36h", at most "10y"', 10 * 365 * 86400),
    // With more, the dashboards' and alerts' windows of five minutes have too few samples; with less, asking every replica
    // takes longer than the time between two rounds.
    /**
     * Time between two samples, and between two looks of the rules, from `5s` to `2m`.
     * @default `"15s"`
     * @example pulumi config set --path monitoring.scrapeInterval 30s
     * @change live; the relays restart
     */
    scrapeInterval: duration('give a duration such as "15s", from "5s" to "2m"', 120, 5),
    /**
     * What a scrape may take, at most `scrapeInterval`.
     * @default `"10s"`
     * @example pulumi config set --path monitoring.scrapeTimeout 15s
     * @change live
     */
    scrapeTimeout: duration('give a duration such as "10s", at most "2m"', 120),
    /**
     * How models with more than one replica are scraped. `relay`: every replica, told apart. `direct`: the app's
     * load-balanced address, so another replica each time, and rates and sums are wrong.
     * @default `"relay"`
     * @example pulumi config set --path monitoring.replicaMetrics direct
     * @change live; series go on with other labels
     */
    replicaMetrics: z.enum(["relay", "direct"]),
    /**
     * Whether each relay asks its model for a completion of one token, every 45 s, to notice an engine that hangs.
     * @default `true`
     * @example pulumi config set --path monitoring.completionProbe false
     * @change live
     * @cost some 20,000 tokens of prompt and 2,000 of answer a day: less than a second of a GPU's time
     */
    completionProbe: z.boolean(),
    /** The volumes. What is stored stays with a volume, and goes with the cluster. */
    storage: z.strictObject({
        /**
         * Storage class of all three; with `-luks` encrypted.
         * @default `"csi-cinder-high-speed"`
         * @example pulumi config set --path monitoring.storage.class csi-cinder-high-speed-gen2
         * @change refused, in preview, while the volumes exist: docs/upgrading.md tells how to begin with empty ones
         * @cost price per GiB and hour goes by class: `volume.CLASS.consumption` of OVHcloud's price list
         */
        class: storageClass,
        /**
         * Size of Prometheus' volume, in Gi or Ti.
         * @default `"50Gi"`
         * @example pulumi config set --path monitoring.storage.prometheus 100Gi
         * @change grows the volume, where its class allows that, and restarts Prometheus; a smaller one is refused in preview
         * @cost per GiB and hour
         */
        prometheus: size,
        /**
         * Size of Grafana's volume, which holds its database.
         * @default `"10Gi"`
         * @example pulumi config set --path monitoring.storage.grafana 20Gi
         * @change grows the volume, where its class allows that; a smaller one is refused in preview
         * @cost per GiB and hour
         */
        grafana: size,
        /**
         * Size of Alertmanager's volume, which holds silences.
         * @default `"10Gi"`
         * @example pulumi config set --path monitoring.storage.alertmanager 20Gi
         * @change grows the volume, where its class allows that, and restarts Alertmanager; a smaller one is refused in preview
         * @cost per GiB and hour
         */
        alertmanager: size,
    }),
    /** The Helm chart kube-prometheus-stack. */
    chart: z.strictObject({
        /**
         * Exact version of the chart.
         * @default `"88.5.3"`
         * @example pulumi config set --path monitoring.chart.version 88.5.3
         * @change upgrades the release and the operator's custom resource definitions: Prometheus, Grafana and Alertmanager restart
         */
        version: text(/^\d+\.\d+\.\d+$/, 'pin an exact version, such as "88.5.3"'),
        /**
         * Where it is downloaded: `https://` or `oci://`.
         * @default `"https://prometheus-community.github.io/helm-charts"`
         * @example pulumi config set --path monitoring.chart.repository oci://ghcr.io/prometheus-community/charts
         * @change live, for the same chart
         */
        repository: text(/^(https|oci):\/\/\S+$/, "give a chart repository, https://... or oci://..."),
        /**
         * A local chart folder or archive, taken instead of the repository's.
         * @default none
         * @example pulumi config set --path monitoring.chart.path ./kube-prometheus-stack-88.5.3.tgz
         * @change live, for the same chart
         */
        path: z.string().min(1).optional(),
        /**
         * Values laid over those of this program, as a way out for what it has no setting for.
         * @default `{}`
         * @example pulumi config set --path monitoring.chart.values.prometheus.prometheusSpec.logLevel debug
         * @change what the chart makes of it
         */
        values: z.record(z.string(), z.unknown()),
    }),
    /** How people reach Grafana. */
    grafana: z.strictObject({
        /**
         * `internal`: reachable by `kubectl port-forward` only. `loadBalancer`: port 80 of a public address, without
         * TLS. `ingress`: https through an ingress controller that runs in the cluster already.
         * @default `"loadBalancer"`
         * @example pulumi config set --path monitoring.grafana.access internal
         * @change live; the address of before leads nowhere any more
         * @cost loadBalancer: a load balancer of size S, its gateway and address, per hour
         */
        access: z.enum(["loadBalancer", "internal", "ingress"]),
        /**
         * Gives the load balancer an address that is the stack's own, a floating IP: it outlives the load balancer and the
         * cluster, and stays as long as the region does (docs/private-network.md). Needs an OpenStack user.
         * @default `false`
         * @example pulumi config set --path monitoring.grafana.keepAddress true
         * @change live; another load balancer comes first, then the one of before goes, with its address
         * @cost none while the load balancer stands, which has a floating IP in any case
         */
        keepAddress: z.boolean(),
        /**
         * Address ranges that may reach Grafana. Have to be set unless `access` is `internal`; `0.0.0.0/0` opens it to all.
         * @default `[]`
         * @example pulumi config set --path 'monitoring.grafana.allowedSources[0]' 198.51.100.7/32
         * @change live
         */
        allowedSources: z.array(cidr()),
        /**
         * Any text; a change makes a new password, which Grafana is then to be told (docs/operations/README.md).
         * @default none
         * @example pulumi config set --path monitoring.grafana.passwordRotation 2026-12
         * @change live; the old password holds until Grafana is told
         */
        passwordRotation: written(z.string()).optional(),
        /**
         * With `access: ingress`: exactly one of `issuer` and `certificate`.
         * @example
         * pulumi config set --path monitoring.grafana.access ingress
         * pulumi config set --path monitoring.grafana.ingress.host grafana.example.org
         * pulumi config set --path monitoring.grafana.ingress.class nginx
         * pulumi config set --path monitoring.grafana.ingress.issuer letsencrypt
         */
        ingress: ingress.optional(),
    }),
});

export type MonitoringSettings = z.output<typeof monitoringSchema>;
