import type { MonitoringSettings } from "../settings";

/**
 * Whether a model has a relay: to tell replicas apart, to leave one that sleeps alone, or to ask for completions, without
 * which an engine that hangs looks well.
 * @param replicas fewest and most at any hour, `replicaRange` of its settings
 */
export function isRelayed(
    { replicaMetrics, completionProbe }: Pick<MonitoringSettings, "replicaMetrics" | "completionProbe">,
    replicas: { min: number; max: number },
): boolean {
    return replicaMetrics === "relay" && (completionProbe || replicas.max > 1 || replicas.min === 0);
}
