import { colours, escaped } from "../tools/loadtest/html";
import { plot, ticks, type Curve } from "../tools/loadtest/plot";
import type { Result } from "./evaluate";
import { intervalSeconds } from "./fleet";
import type { Plan } from "./plan";
import type { Problem } from "./problem";
import { cost, percent, sentence } from "./text";

/** Curves that are drawn into one frame. */
export interface Panel {
    title: string;
    unit: string;
    curves: Curve[];
}

const intervalsOfDay = 86_400 / intervalSeconds;

/** The busiest day of the setting that was chosen: demand, replicas, latency against its target. `until` is in seconds. */
export function busiestDay({ intervals }: Plan, { targets }: Problem): { panels: Panel[]; until: number; day: number } {
    let [day, most] = [0, -1];
    for (let first = 0; first < intervals.length; first += intervalsOfDay) {
        const requests = intervals.slice(first, first + intervalsOfDay).reduce((sum, one) => sum + one.requests, 0);
        if (requests > most) [day, most] = [first / intervalsOfDay, requests];
    }
    const drawn = intervals.slice(day * intervalsOfDay, (day + 1) * intervalsOfDay);
    const until = drawn.length * intervalSeconds;
    const points = (value: (interval: (typeof drawn)[number]) => number | undefined, part: number): Curve["points"] =>
        drawn.map((interval, i) => ({ t: (i + part) * intervalSeconds, value: value(interval) }));
    const { timeToFirstToken } = targets;
    // What is far beyond the target is far beyond it, however far; drawn to scale it would hide the rest.
    const top = 4 * timeToFirstToken;
    const late = drawn.some(({ firstTokenP95 = 0 }) => firstTokenP95 > top);
    const panels: Panel[] = [
        {
            title: "Requests",
            unit: "/s",
            curves: [
                {
                    name: "came",
                    colour: "--blue",
                    points: points(({ requests }) => requests / intervalSeconds, 0.5),
                },
            ],
        },
        {
            title: "Replicas",
            unit: "",
            curves: [
                { name: "asked for", colour: "--orange", points: points(({ wanted }) => wanted, 1), stepped: true },
                { name: "serving", colour: "--green", points: points(({ serving }) => serving, 1), stepped: true },
            ],
        },
        {
            title: `Time to first token, p95${late ? `, cut at ${top} s` : ""}`,
            unit: "s",
            curves: [
                {
                    name: "p95",
                    colour: "--blue",
                    points: points(({ firstTokenP95: p95 }) => p95 && Math.min(top, p95), 0.5),
                },
                {
                    name: "target",
                    colour: "--red",
                    points: [0, until].map((t) => ({ t, value: timeToFirstToken })),
                },
            ],
        },
    ];
    return { panels, until, day };
}

const panelHeight = 190;
const legendHeight = 30;

/** That day as one picture (SVG) that stands alone. */
export function drawDay(plan: Plan, problem: Problem): string {
    const { panels, until, day } = busiestDay(plan, problem);
    const chosen = plan.best ?? plan.closest;
    const title = chosen ? sentence(chosen.setting) : "No setting was found";
    const [width, top] = [1000, 58];
    const height = top + panels.length * (panelHeight + legendHeight);
    const whole = plan.intervals.length > intervalsOfDay ? `, day ${day + 1}` : "";
    const parts = panels.map(({ title: name, unit, curves }, i) => {
        const y = top + i * (panelHeight + legendHeight);
        let x = 62;
        const names = [{ name, colour: "--ink" }, ...curves].map((curve, j) => {
            const mark =
                j === 0 ? "" : `<rect x="${x}" y="${y + 8}" width="14" height="3" fill="var(${curve.colour})"/>`;
            const at = j === 0 ? x : x + 20;
            x = at + 7 * curve.name.length + 22;
            return `${mark}<text x="${at}" y="${y + 14}"${j === 0 ? ' class="head"' : ""}>${escaped(curve.name)}</text>`;
        });
        const frame = `<svg x="0" y="${y + legendHeight - 8}" width="${width}" height="${panelHeight}">`;
        return `${names.join("")}${frame}${plot(curves, { unit, until })}</svg>`;
    });
    const style = `${colours}svg{background:var(--paper);font-family:system-ui,sans-serif}text{font-size:12px;fill:var(--soft)}.head{font-weight:600;fill:var(--ink)}.title{font-size:16px;font-weight:600;fill:var(--ink)}`;
    return [
        `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
        `<style>${style}</style>`,
        `<text x="62" y="22" class="title">${escaped(plan.capacity.traffic + whole)}</text>`,
        `<text x="62" y="42">${escaped(title)}</text>`,
        ...parts,
        "</svg>\n",
    ].join("\n");
}

/** What was run to its end, cost against share within the targets: the best for their price, and the recommended one. */
export function drawCurve({ frontier, best, yardsticks }: Plan, { targets, price }: Problem): string {
    const [width, height, left, right, top, bottom] = [1000, 320, 62, 150, 16, 44];
    const average = ({ replicaHours, hours }: Result): number => replicaHours / hours;
    const marks: { result: Result; name: string; colour: string }[] = [
        ...(yardsticks.clairvoyant ? [{ result: yardsticks.clairvoyant, name: "clairvoyant", colour: "--green" }] : []),
        ...(yardsticks.fixed ? [{ result: yardsticks.fixed, name: "fixed", colour: "--orange" }] : []),
        ...(best ? [{ result: best, name: "recommended", colour: "--red" }] : []),
    ];
    const all = [...frontier, ...marks.map(({ result }) => result)];
    const xTicks = ticks(Math.max(...all.map(average)), 8);
    // The part that is of interest: from a little below the target or the best to all.
    const lowest = Math.min(targets.withinTargets, ...all.map(({ within }) => within));
    const floor = Math.max(0, Math.floor((lowest - 0.01) * 50) / 50);
    const x = (value: number): number => left + (value / xTicks.at(-1)!) * (width - left - right);
    const y = (within: number): number => top + ((1 - within) / (1 - floor)) * (height - top - bottom);
    const horizontal = (within: number, colour: string): string =>
        `<line x1="${left}" x2="${width - right}" y1="${y(within)}" y2="${y(within)}" stroke="var(${colour})"/>`;
    const yTicks = ticks(1 - floor, 5)
        .map((below) => 1 - below)
        .filter((within) => within >= floor - 1e-9);
    const perMonth = (value: number): string => cost({ ...all[0], replicaHours: value, hours: 1 }, price);
    const step = frontier.map((result, i) => `${i ? "L" : "M"}${x(average(result))} ${y(result.within)}`).join("");
    const parts = [
        ...yTicks.map(
            (within) =>
                `${horizontal(within, "--line")}<text x="${left - 8}" y="${y(within) + 4}" text-anchor="end">${percent(within, 0)}</text>`,
        ),
        ...xTicks.map(
            (value) =>
                `<text x="${x(value)}" y="${height - bottom + 18}" text-anchor="middle">${Number(value.toPrecision(3))}</text>`,
        ),
        `<text x="${left}" y="${height - 6}">replicas on average${price ? `; 1 is ${perMonth(1)}` : ""}</text>`,
        horizontal(targets.withinTargets, "--red"),
        `<text x="${width - right + 6}" y="${y(targets.withinTargets) + 4}">target</text>`,
        `<path d="${step}" fill="none" stroke="var(--blue)" stroke-width="2"/>`,
        ...frontier.map(
            (result) =>
                `<circle cx="${x(average(result))}" cy="${y(result.within)}" r="3.5" fill="var(--blue)"><title>${escaped(sentence(result.setting))}</title></circle>`,
        ),
        ...marks.map(
            ({ result, name, colour }) =>
                `<circle cx="${x(average(result))}" cy="${y(result.within)}" r="6" fill="var(${colour})"><title>${escaped(name)}</title></circle>`,
        ),
    ];
    return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="share within the targets against cost">${parts.join("")}</svg>`;
}
