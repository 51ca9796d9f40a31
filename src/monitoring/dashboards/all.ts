import { capacityDashboard } from "./capacity";
import { monitoringPathDashboard } from "./monitoring-path";
import { grafanaDashboard, type DashboardSpec } from "./panels";
import { vllmDashboard } from "./vllm";

/** Every dashboard, the one to open first first. */
export const dashboards: DashboardSpec[] = [vllmDashboard, capacityDashboard, monitoringPathDashboard];

/** The files of dashboards/, byte for byte, by name. */
export function dashboardJson(): Record<string, string> {
    const files = dashboards.map((spec) => {
        const others = dashboards.filter((other) => other !== spec);
        return [`${spec.uid}.json`, `${JSON.stringify(grafanaDashboard(spec, others), null, 4)}\n`];
    });
    return Object.fromEntries(files) as Record<string, string>;
}
