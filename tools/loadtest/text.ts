import { duration, styled, table } from "../../machine/terminal";
import { barChart, timeAxis } from "./chart";
import type { Load } from "./load";
import type { ReplicaSample } from "./replicas";
import type { Report } from "./report";
import { summarize, type Summary } from "./statistics";

/** A report and the progress towards it, as people read them. */

/** The whole report. */
export function reportText(report: Report): string {
    const { requests, client } = report;
    const rate = requests.total > 0 ? (100 * requests.errors) / requests.total : 0;
    const cancelled = requests.cancelled > 0 ? `, ${requests.cancelled} cancelled` : "";
    const parts = [
        table([
            [
                "Requests",
                `${requests.total} of ${requests.planned}: ${requests.ok} ok, ${requests.errors} errors (${rate.toFixed(1)} %)${cancelled}`,
            ],
            ["Wall time", duration(report.wallSeconds * 1000)],
            [
                "Rate",
                `${report.requestsPerSecond.toFixed(1)} requests/s, ${Math.round(report.outputTokensPerSecond)} output tokens/s`,
            ],
            ["Tokens", `${report.tokens.prompt} of prompts, ${report.tokens.output} of answers`],
            [
                "Connections",
                `${report.connections.count} opened, ${seconds(report.connections.seconds?.p50)} each at p50`,
            ],
            [
                "Client",
                `CPU ${percent(client.cpu)} of a core, event loop ${percent(client.eventLoopBusy)} busy and ` +
                    `${Math.round(client.eventLoopDelayMs.p99)} ms late at p99`,
            ],
            [
                "",
                `requests sent ${Math.round(client.scheduleDelayMs.p99)} ms late at p99, machine ${percent(client.machineCpu)} busy`,
            ],
        ]),
        summaries(report),
        errors(report),
        charts(report),
        replicas(report),
    ];
    if (report.clientLimits.length > 0) {
        parts.push(
            styled("yellow", `The client may have been the limit: ${report.clientLimits.join("; ")}. `) +
                "Then the times above are its own: use fewer workers, or another machine.",
        );
    }
    if (report.stopped) parts.push(styled("yellow", `Ended early: ${report.stopped}.`));
    return parts.filter((part) => part !== "").join("\n\n");
}

function summaries(report: Report): string {
    const row = (title: string, summary: Summary | null): string[] => {
        const { mean, min, max, p50, p95, p99 } = summary ?? {};
        return [title, ...[mean, min, max, p50, p95, p99].map(seconds)];
    };
    return table([
        ["", "mean", "min", "max", "p50", "p95", "p99"],
        row("Latency", report.latencySeconds),
        row("Time to first token", report.ttftSeconds),
        row("Between tokens", report.interTokenSeconds),
    ]);
}

function errors({ errorsByKind, errorDetails }: Report): string {
    const rows = Object.entries(errorsByKind).map(([kind, count]) => [String(count), kind, errorDetails[kind]]);
    return rows.length === 0 ? "" : styled("red", "Errors") + "\n" + table(rows);
}

function charts({ timeline }: Report): string {
    if (timeline.length < 2) return "";
    const width = timeline[1].t - timeline[0].t;
    const inSeconds = (value: number): string => seconds(value);
    const drawn = [
        barChart({
            title: "ready replicas",
            values: timeline.map(({ replicas }) => replicas),
            height: 3,
            format: String,
        }),
        barChart({
            title: "latency p50 of the requests that ended then",
            values: timeline.map(({ latencyP50 }) => latencyP50),
            height: 6,
            format: inSeconds,
        }),
        barChart({
            title: "output tokens/s",
            values: timeline.map(({ outputTokensPerSecond }) => outputTokensPerSecond),
            height: 4,
            format: (value) => String(Math.round(value)),
        }),
        timeAxis(timeline.length, width),
    ];
    return drawn.filter((chart) => chart !== "").join("\n");
}

function replicas({ byReplicas, replicas: samples, replicasUnknown }: Report): string {
    const lines: string[] = [];
    if (samples.length > 0) lines.push(`Ready replicas: ${changes(samples)}`);
    if (byReplicas.length > 0) {
        lines.push(
            "With all workers at work:",
            table([
                ["replicas", "requests", "latency p50", "p95", "first token p50", "p95"],
                ...byReplicas.map(({ ready, requests, latencySeconds, ttftSeconds }) => [
                    String(ready),
                    String(requests),
                    seconds(latencySeconds.p50),
                    seconds(latencySeconds.p95),
                    seconds(ttftSeconds.p50),
                    seconds(ttftSeconds.p95),
                ]),
            ]),
        );
    }
    if (replicasUnknown) lines.push(styled("yellow", `The replica count could not be read: ${replicasUnknown}`));
    return lines.join("\n");
}

/** How far a run is, in three lines; rates and times are those of the last ten seconds. */
export function progressLines(load: Load, ready: ReplicaSample[]): string[] {
    const now = load.now();
    let from = load.outcomes.length;
    while (from > 0 && load.outcomes[from - 1].end > now - 10) from--;
    const recent = load.outcomes.slice(from).filter(({ failure }) => !failure);
    const window = Math.min(10, Math.max(now, 0.001));
    const tokens = recent.reduce((sum, { outputTokens }) => sum + outputTokens, 0);
    const latency = summarize(recent.map(({ seconds: latencySeconds }) => latencySeconds));
    const ttft = summarize(recent.flatMap(({ ttft: first }) => (first === undefined ? [] : [first])));
    const done = load.outcomes.length;
    return [
        [`${done}/${load.planned} done`, duration(now * 1000), `${load.running} running`, `${load.errors} errors`],
        [`latency p50 ${seconds(latency?.p50)} p95 ${seconds(latency?.p95)}`, `first token p50 ${seconds(ttft?.p50)}`],
        [
            `${(recent.length / window).toFixed(1)} requests/s`,
            `${Math.round(tokens / window)} output tokens/s`,
            ...(ready.length > 0 ? [`ready replicas: ${changes(ready)}`] : []),
        ],
    ].map((parts) => parts.join(" · "));
}

/** "1 -> 3 at 42 s" */
function changes(samples: ReplicaSample[]): string {
    return samples
        .filter((sample, i) => i === 0 || sample.ready !== samples[i - 1].ready)
        .map(({ t, ready }, i) => (i === 0 ? String(ready) : `${ready} at ${duration(t * 1000)}`))
        .join(" -> ");
}

/** Three figures, with the unit that suits. */
function seconds(value: number | undefined): string {
    if (value === undefined) return "-";
    if (value === 0) return "0 s";
    return value < 1 ? `${Number((value * 1000).toPrecision(3))} ms` : `${Number(value.toPrecision(3))} s`;
}

function percent(share: number): string {
    return `${Math.round(share * 100)} %`;
}
