import type { ModelSettings } from "../../src/settings";
import type { Proof } from "./run";
import { firstTokenP95, scalingValue, type Moments, type Points } from "./timeline";

/** The proof as one picture (SVG): replicas, metric and time to first token over time, and the moments between. */

const width = 1000;
const left = 70;
const right = 20;
const panelHeight = 120;
const gap = 34;
const top = 133;

const marks: { key: keyof Moments; label: string; colour: string }[] = [
    { key: "loadOn", label: "load on", colour: "#57606a" },
    { key: "metricOver", label: "over target", colour: "#bf8700" },
    { key: "decided", label: "decided", colour: "#8250df" },
    { key: "serving", label: "replica ready", colour: "#0969da" },
    { key: "firstToken", label: "first token", colour: "#0969da" },
    { key: "recovered", label: "recovered", colour: "#1a7f37" },
    { key: "loadOff", label: "load off", colour: "#57606a" },
    { key: "down", label: "scaled down", colour: "#1a7f37" },
];

interface Panel {
    title: string;
    points: Points;
    /** Drawn dashed. */
    limit?: { value: number; label: string };
    colour: string;
    stepped?: boolean;
}

export function drawProof(proof: Proof, model: Pick<ModelSettings, "scaling" | "replicas" | "targets">): string {
    const { seen, requests, seconds, moments, verdict } = proof;
    const panels: Panel[] = [
        {
            title: "replicas that take requests",
            points: seen.platform.map(({ t, ready }) => [t, ready]),
            limit: { value: model.replicas.max, label: `maximum ${model.replicas.max}` },
            colour: "#0969da",
            stepped: true,
        },
        {
            title: `${model.scaling.metric} (${model.scaling.aggregation})`,
            points: scalingValue(seen, model),
            limit: { value: model.scaling.target, label: `target ${model.scaling.target}` },
            colour: "#bf8700",
        },
        {
            title: "p95 of the time to first token, s",
            points: firstTokenP95(requests, seconds),
            limit: { value: model.targets.timeToFirstToken, label: `target ${model.targets.timeToFirstToken} s` },
            colour: "#cf222e",
        },
    ];
    const height = top + panels.length * (panelHeight + gap) + 20;
    const x = (t: number): number => left + (t / Math.max(seconds, 1)) * (width - left - right);
    const parts = [
        `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">`,
        `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
        `<text x="${left}" y="24" font-size="16" font-weight="600" fill="#1f2328">${escape(titleOf(proof))}</text>`,
        `<text x="${left}" y="44" fill="#57606a">${escape(verdict.words.slice(0, 150))}</text>`,
        ...drawMarks(moments, x, height),
        ...panels.flatMap((panel, index) => drawPanel(panel, top + index * (panelHeight + gap), x)),
        ...axis(seconds, moments.loadOn, x, height - 16),
        "</svg>",
    ];
    return parts.join("\n") + "\n";
}

function titleOf({ verdict, moments }: Proof): string {
    if (verdict.cause === "requests lost") return "Scaled and recovered, and lost requests";
    if (verdict.code !== 0) return `Not scaled and recovered: ${verdict.cause ?? "see below"}`;
    return `Scaled and recovered in ${(moments.recovered! - moments.loadOn).toFixed(0)} s`;
}

/** Each label beside its moment, right of it or else left, in the first line that has room: moments may be close to each other. */
function drawMarks(moments: Moments, x: (t: number) => number, height: number): string[] {
    const taken: { line: number; start: number; end: number }[] = [];
    return marks
        .filter(({ key }) => moments[key] !== undefined)
        .sort((a, b) => moments[a.key]! - moments[b.key]!)
        .map(({ key, label, colour }) => {
            const at = x(moments[key]!);
            const text = `${label} ${(moments[key]! - moments.loadOn).toFixed(0)} s`;
            const length = text.length * 6.4 + 8;
            const places = [at, at - length].flatMap((start) =>
                [0, 1, 2, 3].map((line) => ({ line, start, end: start + length })),
            );
            const free = places.find(
                ({ line, start, end }) =>
                    end <= width && !taken.some((one) => one.line === line && one.start < end && start < one.end),
            );
            const place = free ?? places[places.length - 1];
            taken.push(place);
            return (
                `<line x1="${at.toFixed(1)}" x2="${at.toFixed(1)}" y1="${top - 8}" y2="${height - 30}" stroke="${colour}" stroke-dasharray="2 3"/>` +
                `<text x="${(place.start + 3).toFixed(1)}" y="${64 + place.line * 15}" fill="${colour}">${escape(text)}</text>`
            );
        });
}

function drawPanel({ title, points, limit, colour, stepped }: Panel, y: number, x: (t: number) => number): string[] {
    const most = Math.max(...points.map(([, value]) => value), limit?.value ?? 0, 1e-9) * 1.1;
    const height = (value: number): number => y + panelHeight - (value / most) * panelHeight;
    const line = points
        .flatMap(([t, value], index) => {
            const at = `${x(t).toFixed(1)},${height(value).toFixed(1)}`;
            return stepped && index > 0 ? [`${x(t).toFixed(1)},${height(points[index - 1][1]).toFixed(1)}`, at] : [at];
        })
        .join(" ");
    const dashed = limit
        ? `<line x1="${left}" x2="${width - right}" y1="${height(limit.value).toFixed(1)}" y2="${height(limit.value).toFixed(1)}" stroke="#57606a" stroke-dasharray="6 4"/>` +
          `<text x="${width - right}" y="${(height(limit.value) - 4).toFixed(1)}" text-anchor="end" fill="#57606a">${escape(limit.label)}</text>`
        : "";
    return [
        `<line x1="${left}" x2="${width - right}" y1="${y + panelHeight}" y2="${y + panelHeight}" stroke="#d0d7de"/>`,
        `<line x1="${left}" x2="${left}" y1="${y}" y2="${y + panelHeight}" stroke="#d0d7de"/>`,
        `<text x="${left + 4}" y="${y - 4}" font-weight="600" fill="#1f2328">${escape(title)}</text>`,
        `<text x="${left - 6}" y="${y + panelHeight}" text-anchor="end" fill="#57606a">0</text>`,
        `<text x="${left - 6}" y="${y + 10}" text-anchor="end" fill="#57606a">${Number(most.toPrecision(2))}</text>`,
        dashed,
        `<polyline points="${line}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    ];
}

/** Seconds from the load, at round steps. */
function axis(seconds: number, loadOn: number, x: (t: number) => number, y: number): string[] {
    const step = [5, 10, 20, 30, 60, 120, 300, 600, 1800].find((one) => seconds / one <= 14) ?? 3600;
    const labels: string[] = [];
    for (let t = Math.ceil(-loadOn / step) * step; t <= seconds - loadOn; t += step) {
        labels.push(`<text x="${x(t + loadOn).toFixed(1)}" y="${y}" text-anchor="middle" fill="#57606a">${t} s</text>`);
    }
    return labels;
}

function escape(text: string): string {
    return text.replace(/[&<>]/g, (character) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[character]!);
}
