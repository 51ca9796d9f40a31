import type { AnnotationJson } from "./grafana";
import { legendOf, type Prometheus, type Series } from "./prometheus";
import { gridOf, secondsOf } from "./time-range";

/** Something that was so for a time, or a moment when both are equal; Unix seconds. */
export interface Mark {
    from: number;
    to: number;
    title: string;
    /** `red`, `blue` */
    color: string;
}

/** Points that a query of marks has at most. */
const mostPoints = 11_000;

export async function readMarks(annotations: AnnotationJson[], prometheus: Prometheus): Promise<Mark[]> {
    const found = await Promise.all(
        annotations.map(async ({ expr, step, titleFormat, iconColor }) => {
            const { from, to } = prometheus.span;
            const seconds = Math.max(secondsOf(step) ?? 60, Math.ceil((to - from) / mostPoints));
            const times = gridOf(prometheus.span, seconds);
            const series = await prometheus.range(expr, times, seconds);
            const marks = series.flatMap((one) => marksOf(one, times, seconds, titleFormat, iconColor));
            // What was so at the last of these moments is taken to be so still.
            return marks.map((mark) => (mark.to === times.at(-1) ? { ...mark, to } : mark));
        }),
    );
    return found.flat().sort((a, b) => a.from - b.from);
}

/** Moments with a value above 0, those that follow each other as one. */
export function marksOf(
    { labels, values }: Series,
    times: number[],
    step: number,
    titleFormat: string,
    color: string,
): Mark[] {
    const marks: Mark[] = [];
    for (const [index, t] of times.entries()) {
        if ((values[index] ?? 0) <= 0) continue;
        const last = marks.at(-1);
        if (last && last.to + step >= t) last.to = t;
        else marks.push({ from: t, to: t, title: legendOf(titleFormat, labels), color });
    }
    return marks;
}
