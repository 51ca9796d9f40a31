import type { Metric } from "../../vllm/metrics";

/** Of Prometheus, Alertmanager and the cluster's nodes: whether alerts can be raised and delivered. */
export const platformMetrics = {
    alerts: {
        name: "ALERTS",
        type: "gauge",
        unit: "short",
        labels: ["alertname", "alertstate", "severity", "model"],
        max: 1,
        meaning: "1 for each alert that is pending or firing.",
    },
    notificationsSent: {
        name: "prometheus_notifications_sent_total",
        type: "counter",
        unit: "short",
        labels: ["alertmanager"],
        meaning: "Alerts that Prometheus handed to Alertmanager.",
    },
    notificationsDropped: {
        name: "prometheus_notifications_dropped_total",
        type: "counter",
        unit: "short",
        labels: [],
        meaning: "Alerts that Prometheus could not hand to Alertmanager and gave up.",
    },
    ruleFailures: {
        name: "prometheus_rule_evaluation_failures_total",
        type: "counter",
        unit: "short",
        labels: ["rule_group"],
        meaning: "Rules that could not be evaluated.",
    },
    headSeries: {
        name: "prometheus_tsdb_head_series",
        type: "gauge",
        unit: "short",
        labels: [],
        meaning: "Series in Prometheus' memory.",
    },
    blocksBytes: {
        name: "prometheus_tsdb_storage_blocks_bytes",
        type: "gauge",
        unit: "bytes",
        labels: [],
        meaning: "Size of the blocks on Prometheus' disk; its log and newest block come on top.",
    },
    retentionLimitBytes: {
        name: "prometheus_tsdb_retention_limit_bytes",
        type: "gauge",
        unit: "bytes",
        labels: [],
        meaning: "Size at which Prometheus drops its oldest block; 0 when there is no limit.",
    },
    deliveries: {
        name: "alertmanager_notifications_total",
        type: "counter",
        unit: "short",
        labels: ["integration", "receiver_name"],
        meaning: "Notifications that Alertmanager tried to deliver.",
    },
    deliveriesFailed: {
        name: "alertmanager_notifications_failed_total",
        type: "counter",
        unit: "short",
        labels: ["integration", "receiver_name", "reason"],
        meaning: "Notifications that Alertmanager could not deliver.",
    },
    volumeAvailable: {
        name: "kubelet_volume_stats_available_bytes",
        type: "gauge",
        unit: "bytes",
        labels: ["namespace", "persistentvolumeclaim"],
        meaning: "Free space of a volume.",
    },
    volumeCapacity: {
        name: "kubelet_volume_stats_capacity_bytes",
        type: "gauge",
        unit: "bytes",
        labels: ["namespace", "persistentvolumeclaim"],
        meaning: "Size of a volume.",
    },
} as const satisfies Record<string, Metric>;
