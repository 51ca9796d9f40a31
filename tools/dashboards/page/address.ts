import type { Dashboard } from "./grafana";
import { all, type Variable } from "./variables";
import { secondsOf, spanOf, type TimeRange } from "./time-range";

/** What is shown, as the page's address says it: an address of Grafana's means the same here. */
export interface View {
    range: TimeRange;
    /** Seconds between two looks; 0: none by itself. */
    refresh: number;
    /** Names of the annotations that are not shown. */
    hidden: Set<string>;
}

/** The uid of an address `/d/UID/SLUG`. */
export function uidOf(path: string): string | undefined {
    return /^\/d\/([\w-]+)(\/|$)/.exec(path)?.[1];
}

/** The view of an address; what it does not say is as the dashboard says. `fault` names what is not understood. */
export function viewOf(dashboard: Dashboard, address: URLSearchParams): View & { fault?: string } {
    const asked = { from: address.get("from") ?? dashboard.time.from, to: address.get("to") ?? dashboard.time.to };
    const understood = spanOf(asked, Date.now() / 1000) !== undefined;
    const refresh = address.get("refresh") ?? dashboard.refresh;
    const hidden = dashboard.annotations.list
        .filter(
            ({ name, enable }) =>
                !(address.has(`annotation-${name}`) ? address.get(`annotation-${name}`) === "true" : enable),
        )
        .map(({ name }) => name);
    return {
        range: understood ? asked : dashboard.time,
        refresh: secondsOf(refresh) ?? 0,
        hidden: new Set(hidden),
        ...(!understood && { fault: `from=${asked.from}, to=${asked.to} is no time range that is understood here` }),
    };
}

/** The parameters that say this view of a dashboard and no more than differs from what the dashboard says. */
export function parametersOf(dashboard: Dashboard, view: View, variables: Variable[], kiosk: boolean): URLSearchParams {
    const parameters = new URLSearchParams();
    if (view.range.from !== dashboard.time.from || view.range.to !== dashboard.time.to) {
        parameters.set("from", view.range.from);
        parameters.set("to", view.range.to);
    }
    if (view.refresh !== (secondsOf(dashboard.refresh) ?? 0)) {
        parameters.set("refresh", view.refresh === 0 ? "" : `${view.refresh}s`);
    }
    for (const { json, chosen } of variables) {
        if (!chosen.includes(all)) for (const value of chosen) parameters.append(`var-${json.name}`, value);
    }
    for (const { name, enable } of dashboard.annotations.list) {
        if (enable === view.hidden.has(name)) parameters.set(`annotation-${name}`, String(!enable));
    }
    if (kiosk) parameters.set("kiosk", "");
    return parameters;
}
