import { element, fill } from "./element";
import type { PanelJson } from "./grafana";
import type { Line } from "./panel";
import { formatValue } from "./units";

/** The present value of each series, large, in the colour that its thresholds give it. */
export function drawStat({ fieldConfig, options }: PanelJson, body: HTMLElement, { lines }: { lines: Line[] }): void {
    const { unit, thresholds, mappings } = fieldConfig!.defaults;
    fill(
        body,
        ...lines.map(({ label, values }) => {
            const value = values.findLast((one) => one !== null)!;
            const step = thresholds?.steps.findLast(({ value: from }) => from === null || value >= from);
            const judged = options?.colorMode === "value" && step ? ` ${step.color}` : "";
            const word = mappings?.find(({ type, options: words }) => type === "value" && words[String(value)]);
            const text = word?.options[String(value)].text ?? formatValue(value, unit);
            // "12.3 ms", "€2.5", "3.13 K tokens/s": the figure large, what follows it small.
            const [, figure, rest] = /^(\S+)(?: (.+))?$/.exec(text)!;
            return element(
                "p",
                { class: `value${judged}` },
                lines.length > 1 && element("small", { class: "of" }, label),
                figure,
                rest !== undefined && element("small", {}, ` ${rest}`),
            );
        }),
    );
}
