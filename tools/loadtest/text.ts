import { duration, styled, table } from "../../machine/terminal";
import { barChart, timeAxis } from "./chart";
import type { Outcome } from "./outcome";
import { changes, type ReplicaSample } from "./replicas";
import type { PhaseReport, Report } from "./report";
import type { LoadRun } from "./run";
import { summarize, type Summary } from "./statistics";

/** A report and the progress towards it, as people read them. */

/** The whole report. */
export function reportText(report: Report): string {
    const parts = [
        table(facts(report)),
        summaries(report),
        phases(report),
        lengths(report),
        errors(report),
        charts(report),
        replicas(report),
        invalid(report),
    ];
    if (report.stopped) parts.push(styled("yellow", `Ended early: ${report.stopped}.`));
    return parts.filter((part) => part !== "").join("\n\n");
}

/** Figures of a whole run that are no times, with their names. */
export function facts(report: Report): [string, string][] {
    const { requests, client, targets, cost } = report;
    const rate = requests.total > 0 ? (100 * requests.errors) / requests.total : 0;
    const of = requests.planned === null ? "" : ` of ${requests.planned}`;
    const cancelled =
        requests.cancelled > 0
            ? `, ${requests.cancelled} cancelled, the longest after ${seconds(requests.longestCancelled)}, in no figure below`
            : "";
    const uncounted = report.uncounted
        ? `; of ${report.uncounted} answers the server gave no count: their pieces were counted, which may hold several tokens each`
        : "";
    const goals = [
        targets.ttft === undefined ? [] : [`first token within ${seconds(targets.ttft)}`],
        targets.itl === undefined ? [] : [`${seconds(targets.itl)} between tokens`],
    ].flat();
    const waited = client.waitedForConnection;
    const rows: [string, string][] = [
        [
            "Requests",
            `${requests.total}${of}: ${requests.ok} ok, ${requests.errors} errors (${rate.toFixed(1)} %)${cancelled}`,
        ],
        ["Wall time", duration(report.wallSeconds * 1000)],
        ["Rate", rates(report)],
        ["Tokens", `${report.tokens.prompt} of prompts, ${report.tokens.output} of answers${uncounted}`],
    ];
    if (report.goodShare !== undefined) {
        rows.push(["Within targets", `${percent(report.goodShare)} (${goals.join(", ")})`]);
    }
    if (cost) {
        const tokens =
            cost.perMillionOutputTokens === null
                ? ""
                : `, ${euros(cost.perMillionOutputTokens)} per million output tokens`;
        rows.push(["Cost", `${euros(cost.euros)} for ${cost.replicaHours.toFixed(2)} replica hours${tokens}`]);
    }
    rows.push(
        [
            "Connections",
            `${report.connections.count} opened, ${seconds(report.connections.seconds?.p50)} each at p50` +
                (waited.requests > 0 ? `; ${waited.requests} requests waited for one, which is in no time below` : ""),
        ],
        [
            "Client",
            `CPU ${percent(client.cpu)} of a core${client.processes > 1 ? ` in ${client.processes} processes` : ""}, ` +
                `event loop ${percent(client.eventLoopBusy)} busy and ${Math.round(client.eventLoopDelayMs.p99)} ms late at p99, ` +
                `machine ${percent(client.machineCpu)} busy`,
        ],
        [
            "",
            `requests sent ${Math.round(client.scheduleDelayMs.p99)} ms late at p99, first tokens read up to ` +
                `${Math.round(client.firstTokenDelayMs.p50)} ms late at p50, ${Math.round(client.firstTokenDelayMs.p99)} ms at p99`,
        ],
    );
    return rows;
}

/** Over the whole run, and over its steady parts, where it has others. */
function rates({ requestsPerSecond, outputTokensPerSecond, phases: parts, sent }: Report): string {
    const shown = (requests: number, tokens: number): string =>
        `${requests.toFixed(1)} requests/s, ${Math.round(tokens)} output tokens/s`;
    const steady = parts.filter(({ kind }) => kind === "steady");
    const mean = (value: (part: PhaseReport) => number): number =>
        steady.reduce((sum, part) => sum + value(part) * (part.to - part.from), 0) /
        steady.reduce((sum, { from, to }) => sum + to - from, 0);
    const all = shown(requestsPerSecond, outputTokensPerSecond);
    const apart = steady.length > 0 && steady.length < parts.length;
    return [
        apart
            ? `${shown(
                  mean((part) => part.requestsPerSecond),
                  mean((part) => part.outputTokensPerSecond),
              )} in the steady parts; ${all} in all`
            : all,
        ...(sent ? [`sent ${sent.achieved.toFixed(1)}/s of ${sent.asked.toFixed(1)} asked for`] : []),
    ].join("; ");
}

const heads = ["mean", "min", "max", "p50", "p95", "p99"];

/** The times of a whole run, the client's and the server's, with a heading. */
export function timesTable(report: Report): string[][] {
    const row = (title: string, summary: Summary | null): string[] => [
        title,
        seconds(summary?.mean),
        seconds(summary?.min),
        ...(["max", "p50", "p95", "p99"] as const).map((name) => figure(summary, name)),
    ];
    const { server } = report;
    const own = (title: string, value: { mean: number; p50: number; p95: number; p99: number } | null): string[] => [
        title,
        ...[value?.mean, undefined, undefined, value?.p50, value?.p95, value?.p99].map(seconds),
    ];
    return [
        ["", ...heads],
        row("Latency", report.latencySeconds),
        row("Time to first token", report.ttftSeconds),
        row("Between tokens", report.interTokenSeconds),
        row("... mean of an answer", report.tpotSeconds),
        ...(server
            ? [
                  own("vLLM's own: latency", server.latencySeconds),
                  own("vLLM's own: first token", server.ttftSeconds),
                  own("vLLM's own: between tokens", server.interTokenSeconds),
              ]
            : []),
    ];
}

function summaries(report: Report): string {
    const unknown = report.latencySeconds?.unknown;
    const note = unknown
        ? `\n${unknown} requests got no whole answer: the percentiles count them as longer than any other ("> 5 s": at least that).`
        : "";
    return table(timesTable(report)) + note;
}

/** Seconds. What ended in a part that is shorter, such as a tail of a millisecond, makes no rate. */
const leastForRate = 0.1;

/** Seconds from the start of a run; whole ones, once it has lasted. */
function moment(value: number): string {
    return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} s`;
}

/** A row for each part of a run, with a heading. */
export function phasesTable({ phases: parts }: Report): string[][] {
    const good = parts.some(({ goodShare }) => goodShare !== undefined);
    return [
        [
            "part",
            "from",
            "to",
            "requests",
            "errors",
            "requests/s",
            "tokens/s",
            ...(good ? ["within targets"] : []),
            "first token p50",
            "p95",
            "between p50",
            "latency p50",
            "p95",
        ],
        ...parts.map((part: PhaseReport) => [
            part.name,
            moment(part.from),
            moment(part.to),
            String(part.requests),
            String(part.errors),
            ...(part.to - part.from < leastForRate
                ? ["-", "-"]
                : [part.requestsPerSecond.toFixed(1), String(Math.round(part.outputTokensPerSecond))]),
            ...(good ? [part.goodShare === undefined ? "-" : percent(part.goodShare)] : []),
            figure(part.ttftSeconds, "p50"),
            figure(part.ttftSeconds, "p95"),
            seconds((part.interTokenSeconds ?? part.tpotSeconds)?.p50),
            figure(part.latencySeconds, "p50"),
            figure(part.latencySeconds, "p95"),
        ]),
    ];
}

function phases(report: Report): string {
    return report.phases.length < 2 ? "" : "Parts of the run\n" + table(phasesTable(report));
}

/** A row for each length of prompt, with a heading. */
export function lengthsTable({ byLength }: Report): string[][] {
    return [
        ["prompts", "requests", "tokens of an answer", "first token p50", "p95", "between p50", "latency p50", "p95"],
        ...byLength.map(({ lengthClass, requests, ok, tokens, ttftSeconds, interTokenSeconds, latencySeconds }) => [
            lengthClass,
            String(requests),
            ok > 0 ? String(Math.round(tokens.output / ok)) : "-",
            figure(ttftSeconds, "p50"),
            figure(ttftSeconds, "p95"),
            seconds(interTokenSeconds?.p50),
            figure(latencySeconds, "p50"),
            figure(latencySeconds, "p95"),
        ]),
    ];
}

function lengths(report: Report): string {
    return report.byLength.length < 2 ? "" : table(lengthsTable(report));
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

/** A row for each number of replicas, with a heading. */
export function replicasTable({ byReplicas }: Report): string[][] {
    return [
        ["replicas", "requests", "latency p50", "p95", "first token p50", "p95"],
        ...byReplicas.map(({ ready, requests, latencySeconds, ttftSeconds }) => [
            String(ready),
            String(requests),
            figure(latencySeconds, "p50"),
            figure(latencySeconds, "p95"),
            figure(ttftSeconds, "p50"),
            figure(ttftSeconds, "p95"),
        ]),
    ];
}

function replicas(report: Report): string {
    const lines: string[] = [];
    if (report.replicas.length > 0) lines.push(`Ready replicas: ${replicaChanges(report.replicas)}`);
    if (report.byReplicas.length > 0) lines.push("In the steady parts:", table(replicasTable(report)));
    if (report.replicasUnknown) {
        lines.push(styled("yellow", `The replica count could not be read: ${report.replicasUnknown}`));
    }
    return lines.join("\n");
}

function invalid({ clientLimits }: Report): string {
    if (clientLimits.length === 0) return "";
    return (
        styled("red", `Not valid: the client or its machine was the limit. ${sentence(clientLimits.join("; "))}. `) +
        "The times above are partly its own: use fewer workers, more processes, or another machine."
    );
}

/** With a capital in front. */
export function sentence(text: string): string {
    return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The last ten seconds of outcomes, which come in the order in which they ended. */
export function recentOutcomes({ results }: LoadRun, now: number): Outcome[] {
    const recent: Outcome[] = [];
    for (let i = results.outcomes.length - 1; i >= 0; i--) {
        const outcome = results.outcomes.at(i);
        // Several processes report in turns: one that is a little old ends nothing.
        if (outcome.end < now - 12) break;
        if (outcome.end > now - 10) recent.push(outcome);
    }
    return recent;
}

/** How far a run is, in three lines; rates and times are those of the last ten seconds. */
export function progressLines(run: LoadRun, ready: ReplicaSample[]): string[] {
    const now = run.now();
    const recent = recentOutcomes(run, now).filter(({ failure }) => !failure);
    const window = Math.min(10, Math.max(now, 0.001));
    const tokens = recent.reduce((sum, { outputTokens }) => sum + outputTokens, 0);
    const latency = summarize(recent.map(({ seconds: latencySeconds }) => latencySeconds));
    const ttft = summarize(recent.flatMap(({ ttft: first }) => (first === undefined ? [] : [first])));
    const done = run.results.outcomes.length;
    const part = run.phases.findLast(({ from }) => now >= from);
    return [
        [
            `${done}${run.planned === undefined ? "" : `/${run.planned}`} done`,
            duration(now * 1000),
            `${run.running} running`,
            `${run.results.errors} errors`,
            ...(run.phases.length > 2 && part ? [part.name] : []),
        ],
        [`latency p50 ${seconds(latency?.p50)} p95 ${seconds(latency?.p95)}`, `first token p50 ${seconds(ttft?.p50)}`],
        [
            `${(recent.length / window).toFixed(1)} requests/s`,
            `${Math.round(tokens / window)} output tokens/s`,
            ...(ready.length > 0 ? [`ready replicas: ${replicaChanges(ready)}`] : []),
        ],
    ].map((parts) => parts.join(" · "));
}

/** "1 -> 3 at 42 s" */
function replicaChanges(samples: ReplicaSample[]): string {
    return changes(samples)
        .map(({ t, ready }, i) => (i === 0 ? String(ready) : `${ready} at ${duration(t * 1000)}`))
        .join(" -> ");
}

/** A figure of a summary; of one that is only known to be longer, with ">". */
function figure(summary: Summary | null, name: "p50" | "p95" | "p99" | "max"): string {
    return (summary?.atLeast?.includes(name) ? "> " : "") + seconds(summary?.[name]);
}

/** Three figures, with the unit that suits. */
export function seconds(value: number | undefined): string {
    if (value === undefined) return "-";
    if (value === 0) return "0 s";
    return value < 1 ? `${Number((value * 1000).toPrecision(3))} ms` : `${Number(value.toPrecision(3))} s`;
}

export function percent(share: number): string {
    return `${Math.round(share * 100)} %`;
}

function euros(value: number): string {
    return `${value.toFixed(2)} EUR`;
}
