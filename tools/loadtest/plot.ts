/** Curves over the time of a run, as SVG in a page's own colours. */

export interface Curve {
    name: string;
    /** A custom property of the page's style. */
    colour: string;
    /** Undefined values leave a gap. */
    points: { t: number; value: number | undefined }[];
    /** A value lasts to the next. */
    stepped?: boolean;
}

const size = { width: 1000, height: 190, left: 62, right: 10, top: 8, bottom: 24 };

/**
 * Curves from zero to their largest value, over time from zero to `until` seconds; `unit` is written at the axis. From three
 * hours on, the time is written in hours.
 */
export function plot(curves: Curve[], { unit, until }: { unit: string; until: number }): string {
    const { width, height, left, right, top, bottom } = size;
    const known = curves.flatMap(({ points }) => points.flatMap(({ value }) => value ?? []));
    const marks = ticks(Math.max(...known, 0) || 1, 4);
    const most = marks.at(-1)!;
    const x = (t: number): number => left + (Math.min(t, until) / until) * (width - left - right);
    const y = (value: number): number => height - bottom - (value / most) * (height - top - bottom);
    const grid = marks.map(
        (mark) =>
            `<line x1="${left}" x2="${width - right}" y1="${y(mark)}" y2="${y(mark)}" stroke="var(--line)"/>` +
            `<text x="${left - 8}" y="${y(mark) + 4}" text-anchor="end">${figure(mark)}${unit === "s" ? " s" : unit}</text>`,
    );
    const times = timeTicks(until).map(([t, text]) => {
        const anchor = t > 0.97 * until ? "end" : "middle";
        return `<text x="${x(t)}" y="${height - 6}" text-anchor="${anchor}">${text}</text>`;
    });
    const lines = curves.map((curve) => {
        const d = path(curve, until, x, y);
        return `<path d="${d}" fill="none" stroke="var(${curve.colour})" stroke-width="2" stroke-linejoin="round" stroke-linecap="round"/>`;
    });
    const label = curves.map(({ name }) => name).join(", ");
    return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}">${[...grid, ...times, ...lines].join("")}</svg>`;
}

function timeTicks(until: number): [t: number, text: string][] {
    const hours = until / 3600;
    if (hours < 3) {
        return ticks(until, 8)
            .filter((t) => t <= until)
            .map((t) => [t, `${figure(t)} s`]);
    }
    const step = [1, 2, 3, 6, 12, 24].find((one) => hours / one <= 14) ?? 24 * Math.ceil(hours / 24 / 14);
    return Array.from({ length: Math.floor(hours / step + 1e-9) + 1 }, (_, i) => [3600 * i * step, `${i * step} h`]);
}

function path(
    { points, stepped }: Curve,
    until: number,
    x: (t: number) => number,
    y: (value: number) => number,
): string {
    let d = "";
    let gap = true;
    for (const [i, { t, value }] of points.entries()) {
        if (value === undefined) {
            gap = true;
            continue;
        }
        const at = `${x(t).toFixed(1)} ${y(value).toFixed(1)}`;
        d += `${gap ? "M" : "L"}${at}`;
        // A point between two gaps would be no line at all: the round ends of one of no length show it.
        if (gap && !stepped) d += `L${at}`;
        if (stepped) d += `H${x(points[i + 1]?.t ?? until).toFixed(1)}`;
        gap = false;
    }
    return d;
}

/** Round numbers from 0 to the first that is not below `most`, about `count` of them. */
export function ticks(most: number, count: number): number[] {
    const rough = most / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((width) => width >= rough)!;
    return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, i) => i * step);
}

function figure(value: number): string {
    return String(Number(value.toPrecision(4)));
}
