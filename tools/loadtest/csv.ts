import type { Outcome } from "./outcome";
import { readyAt, type ReplicaSample } from "./replicas";
import type { LoadRun } from "./run";

/** A line for each request, with a heading. Times in seconds; empty: there is none. */
export function requestsCsv({ results, phases }: LoadRun, replicas: ReplicaSample[]): string {
    const columns: [string, (outcome: Outcome) => string | number | undefined][] = [
        ["start", ({ start }) => start],
        ["part", ({ phase }) => phases[phase].name],
        ["worker", ({ worker }) => worker],
        ["prompt", ({ lengthClass }) => lengthClass],
        ["latency", ({ seconds }) => seconds],
        ["first_token", ({ ttft }) => ttft],
        ["between_tokens", ({ tpot }) => tpot],
        ["prompt_tokens", ({ promptTokens }) => promptTokens],
        ["output_tokens", ({ outputTokens }) => outputTokens],
        ["schedule_delay", ({ scheduleDelay }) => scheduleDelay],
        ["connecting", ({ connectSeconds }) => connectSeconds],
        ["client_delay", ({ clientDelay }) => clientDelay],
        ["ready_replicas", ({ start }) => readyAt(replicas, start)],
        ["error", ({ failure }) => failure?.kind],
        ["question", ({ question }) => question],
    ];
    const asked = [...results.outcomes].some(({ question }) => question !== undefined);
    const shown = asked ? columns : columns.slice(0, -1);
    const lines = [...results.outcomes].map((outcome) => shown.map(([, value]) => cell(value(outcome))).join(","));
    return [shown.map(([name]) => name).join(","), ...lines].join("\n") + "\n";
}

function cell(value: string | number | undefined): string {
    if (value === undefined) return "";
    if (typeof value === "number") return String(Number(value.toPrecision(7)));
    return /[",\n]/.test(value) ? `"${value.replace(/"/g, '""')}"` : value;
}
