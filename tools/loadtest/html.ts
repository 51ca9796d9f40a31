import { written } from "./config";
import { plot, type Curve } from "./plot";
import type { Report } from "./report";
import { facts, lengthsTable, phasesTable, replicasTable, sentence, timesTable } from "./text";

/** The report as one page that needs nothing from anywhere: no script, no font, no picture from outside. */

/** The colours that `plot` draws with. */
export const colours = `
:root { --ink: #1f2933; --soft: #616e7c; --line: #d9dfe5; --paper: #fff; --blue: #2563a8; --orange: #c2610c; --red: #c0272d; --green: #2b7a4b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --soft: #9aa5b1; --line: #38424d; --paper: #161b21; --blue: #6ba6e8; --orange: #f0a35e; --red: #f2777c; --green: #74c69d; } }
`;

const style = `${colours}body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto; max-width: 1160px; padding: 24px 20px 48px; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 32px 0 8px; }
p { margin: 4px 0; } .soft { color: var(--soft); }
.verdict { border-left: 4px solid var(--green); padding: 8px 14px; margin: 16px 0; background: color-mix(in srgb, var(--green) 8%, transparent); }
.verdict.bad { border-color: var(--red); background: color-mix(in srgb, var(--red) 8%, transparent); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13.5px; }
th, td { text-align: right; padding: 4px 16px 4px 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: normal; color: var(--soft); } th:first-child, td:first-child, .facts td { text-align: left; }
.facts td { white-space: normal; } .facts td:first-child { color: var(--soft); white-space: nowrap; }
svg { display: block; width: 100%; height: auto; } svg text { font-size: 12px; fill: var(--soft); } .wide svg { min-width: 800px; }
.legend { font-size: 13px; color: var(--soft); } .legend i { display: inline-block; width: 14px; height: 3px; margin: 0 6px 0 14px; vertical-align: middle; }
li { margin: 2px 0; }
`;

export function reportPage(report: Report): string {
    const { target, startedAt, wallSeconds, requests } = report;
    const sections = [
        `<h1>Load test of ${escaped(target.model)}</h1>`,
        `<p class="soft">${escaped(target.baseUrl)}, ${startedAt.slice(0, 19).replace("T", " ")} UTC, ${wallSeconds.toFixed(0)} s</p>`,
        verdict(report),
        factsTable(report),
        section("Times", wide(timesTable(report)) + censored(report)),
        section("Over the run", curves(report)),
        report.phases.length > 1 ? section("Parts of the run", wide(phasesTable(report))) : "",
        report.byReplicas.length > 0
            ? section("By ready replicas, in the steady parts", wide(replicasTable(report)))
            : "",
        report.byLength.length > 1 ? section("By length of the prompt", wide(lengthsTable(report))) : "",
        requests.errors > 0 ? section("Errors", wide(errorsTable(report))) : "",
        section("What this rests on", assumptions(report)),
    ];
    return page(`Load test of ${target.model}`, sections);
}

/** A page of these sections, of which empty ones are left out. */
export function page(title: string, sections: string[]): string {
    return (
        `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">` +
        `<title>${escaped(title)}</title><style>${style}</style></head>\n<body>\n${sections.filter(Boolean).join("\n")}\n</body></html>\n`
    );
}

function verdict({ valid, clientLimits, stopped, requests }: Report): string {
    const bad = [
        ...(valid ? [] : [`Not valid: the client or its machine was the limit. ${sentence(clientLimits.join("; "))}.`]),
        ...(stopped ? [`Ended early: ${stopped}.`] : []),
        ...(requests.ok === 0 ? ["No request succeeded."] : []),
    ];
    const text = bad.length > 0 ? bad.join(" ") : "The client kept up: the figures are the model's.";
    return `<p class="verdict${bad.length > 0 ? " bad" : ""}">${escaped(text)}</p>`;
}

function factsTable(report: Report): string {
    const rows = facts(report).map(([name, value]) => `<tr><td>${name}</td><td>${escaped(value)}</td></tr>`);
    return `<table class="facts">${rows.join("")}</table>`;
}

function curves({ timeline, wallSeconds, replicas }: Report): string {
    if (timeline.length < 2) return "<p>Too short to draw.</p>";
    const width = timeline[1].t - timeline[0].t;
    // The middle of each bucket; the last one ends with the run.
    const points = (value: (bucket: (typeof timeline)[number]) => number | undefined): Curve["points"] =>
        timeline.map((bucket) => ({ t: Math.min(bucket.t + width / 2, wallSeconds), value: value(bucket) }));
    const draw = (title: string, unit: string, drawn: Curve[]): string =>
        `${legend(title, drawn)}<div class="wide">${plot(drawn, { unit, until: wallSeconds })}</div>`;
    const counts = replicas.map(({ t, ready }) => ({ t, value: ready }));
    const parts = [
        draw("Latency", "s", [
            { name: "p50", colour: "--blue", points: points(({ latencyP50 }) => latencyP50) },
            { name: "p95", colour: "--orange", points: points(({ latencyP95 }) => latencyP95) },
        ]),
        draw("Time to first token", "s", [
            { name: "p50", colour: "--blue", points: points(({ ttftP50 }) => ttftP50) },
            { name: "p95", colour: "--orange", points: points(({ ttftP95 }) => ttftP95) },
        ]),
        ...(counts.length > 0
            ? [draw("Ready replicas", "", [{ name: "ready", colour: "--green", points: counts, stepped: true }])]
            : []),
        draw("Output tokens", "/s", [
            { name: "tokens/s", colour: "--blue", points: points((bucket) => bucket.outputTokensPerSecond) },
        ]),
        draw("Requests", "/s", [
            { name: "ok", colour: "--green", points: points(({ ok }) => ok / width) },
            { name: "errors", colour: "--red", points: points(({ errors }) => errors / width) },
        ]),
    ];
    return parts.join("\n");
}

/** What is above a plot. */
export function legend(title: string, drawn: Curve[]): string {
    const names = drawn.map(({ name, colour }) => `<i style="background:var(${colour})"></i>${name}`);
    return `<p class="legend"><b>${title}</b>${names.join("")}</p>`;
}

function censored({ latencySeconds }: Report): string {
    const unknown = latencySeconds?.unknown;
    if (!unknown) return "";
    return `<p class="soft">${unknown} requests got no whole answer. The percentiles count them as longer than any other; "&gt; 5 s" is at least that.</p>`;
}

function errorsTable({ errorsByKind, errorDetails }: Report): string[][] {
    return [
        ["kind", "requests", "an example"],
        ...Object.entries(errorsByKind).map(([kind, count]) => [kind, String(count), errorDetails[kind]]),
    ];
}

function assumptions(report: Report): string {
    const { settings, client, server, replicasUnknown, targets } = report;
    const load = Object.entries(settings)
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => `${key} ${written(value)}`);
    const lines = [
        `Load: ${load.join(", ")}.`,
        "Times run from the sending over an open connection; waiting for a connection is told apart.",
        "A first token is the first piece with text, reasoning or a tool call in it. Tokens are those that the server counts; several in one piece are 0 apart.",
        "Percentiles are of all requests, interpolated as numpy does; those between tokens come from a histogram and are exact to 0.25 %.",
        "Rates of a part are of what ended in it; its times are of what was sent in it. The tail is where the load ended.",
        settings.rate || settings.trace
            ? "Open loop: requests were sent when they were due, whatever the answers did."
            : "Closed loop: a worker asks again when it has its answer, so that a slow model was asked less often than real users would.",
        ...(targets.ttft === undefined && targets.itl === undefined
            ? ["No targets are known: nothing is said of good answers."]
            : []),
        ...(server
            ? [
                  `vLLM's own times are of ${server.requests} requests on ${server.replicas} replicas, from its histograms: without the network and the gateway, and only as fine as its buckets.`,
              ]
            : ["The app gave no metrics of its own."]),
        ...(replicasUnknown ? [`The replica count could not be read: ${replicasUnknown}.`] : []),
        `The client: ${client.processes} process${client.processes > 1 ? "es" : ""}, at most ${client.sockets} connections, ${Math.round(client.memoryMb)} MB.`,
    ];
    return `<ul>${lines.map((line) => `<li>${escaped(line)}</li>`).join("")}</ul>`;
}

export function section(title: string, body: string): string {
    return `<h2>${title}</h2>\n${body}`;
}

export function wide([heads, ...rows]: string[][]): string {
    const cells = (tag: string, row: string[]): string =>
        row.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join("");
    return `<div class="wide"><table><tr>${cells("th", heads)}</tr>${rows.map((row) => `<tr>${cells("td", row)}</tr>`).join("")}</table></div>`;
}

export function escaped(text: string): string {
    return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}
