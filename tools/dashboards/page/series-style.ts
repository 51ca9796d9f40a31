import type { PanelJson } from "./grafana";
import type { Line } from "./panel";

export interface SeriesStyle {
    color: string;
    /** Of what lies under the line. */
    fill?: string;
    /** Pixels drawn and left out. */
    dash?: number[];
    width: number;
}

/** Colours of lines in dashboard.css, `--series-1` and so on. */
const colors = 9;

/** The computed value of a custom property of the page. */
export function colour(name: string, otherwise?: string): string {
    const style = getComputedStyle(document.documentElement);
    return style.getPropertyValue(name).trim() || (otherwise === undefined ? "gray" : colour(otherwise));
}

/** How each line is drawn: as the panel says, and as it says for the query that the line comes from. */
export function seriesStyle({ fieldConfig }: PanelJson, lines: Line[]): SeriesStyle[] {
    const { custom } = fieldConfig!.defaults;
    let next = 0;
    return lines.map(({ refId }) => {
        const given = Object.fromEntries(
            (fieldConfig!.overrides ?? [])
                .filter(({ matcher }) => matcher.id === "byFrameRefID" && matcher.options === refId)
                .flatMap(({ properties }) => properties.map(({ id, value }) => [id, value])),
        ) as {
            color?: { fixedColor: string };
            "custom.lineStyle"?: { dash: number[] };
            "custom.fillOpacity"?: number;
        };
        const color = given.color ? colour(`--${given.color.fixedColor}`) : colour(`--series-${(next++ % colors) + 1}`);
        const opacity = given["custom.fillOpacity"] ?? custom?.fillOpacity ?? 0;
        return {
            color,
            fill: opacity > 0 ? color + hexByte(opacity / 100) : undefined,
            dash: given["custom.lineStyle"]?.dash,
            // One pixel is too thin to tell colours apart.
            width: Math.max(1.5, custom?.lineWidth ?? 1),
        };
    });
}

function hexByte(share: number): string {
    return Math.round(share * 255)
        .toString(16)
        .padStart(2, "0");
}
