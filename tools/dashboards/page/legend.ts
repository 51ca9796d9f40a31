import { element } from "./element";
import type { Line } from "./panel";
import type { SeriesStyle } from "./series-style";
import { formatValue } from "./units";

/** Columns of a legend, by Grafana's name. */
const columns: Record<string, { title: string; of: (values: number[]) => number }> = {
    lastNotNull: { title: "last", of: (values) => values.at(-1)! },
    max: { title: "max", of: (values) => Math.max(...values) },
};

/** A row for each line, with what the panel asks for. */
export function legendRows(lines: Line[], styles: SeriesStyle[], unit: string, calcs: string[]): HTMLElement[] {
    const shown = calcs.map((calc) => columns[calc]).filter(Boolean);
    const head = element("tr", {}, element("td"), ...shown.map(({ title }) => element("th", { scope: "col" }, title)));
    const rows = lines.map(({ label, values }, index) => {
        const there = values.filter((value) => value !== null);
        return element(
            "tr",
            {},
            element("th", { scope: "row" }, key(styles[index]), label),
            ...shown.map(({ of }) => element("td", {}, formatValue(of(there), unit))),
        );
    });
    return [element("thead", {}, head), element("tbody", {}, ...rows)];
}

/** A short piece of the line. An image of it, since the page's security policy forbids attributes of style. */
function key({ color, dash }: SeriesStyle): Element {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    const attributes = { x1: "0", x2: "16", y1: "2", y2: "2", stroke: color, "stroke-width": "3" };
    for (const [name, value] of Object.entries(attributes)) line.setAttribute(name, value);
    if (dash) line.setAttribute("stroke-dasharray", "4 2");
    svg.setAttribute("viewBox", "0 0 16 4");
    svg.setAttribute("class", "key");
    svg.append(line);
    return svg;
}
