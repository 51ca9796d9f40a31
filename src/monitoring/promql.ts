import type { targetLabels } from "./metrics";
import type { Metric } from "../vllm/metrics";

/**
 * PromQL out of the metric catalogue. What is taken is a metric that every supported vLLM version has, in the way its
 * type allows, and labels that it carries: anything else does not compile.
 */

/** A metric of this type that is there whatever the version. */
export type Always<Type extends Metric["type"]> = Metric & { type: Type; only?: undefined };

/** A label of the series: its own, or one that the scrape adds. */
export type Label<M extends Metric> = M["labels"][number] | (typeof targetLabels)[number];

/** What a label must be: an operator of PromQL and the text, `=vllm-ministral` or `=~stop|length`. */
export type Matcher = `${"=" | "!=" | "=~" | "!~"}${string}`;
export type Matchers<Labels extends string> = Partial<Record<Labels, Matcher>>;

/** `{job="x",replica=~"y"}`; empty without matchers. */
export function selector(matchers: Partial<Record<string, Matcher>>): string {
    const written = Object.entries(matchers).map(([label, matcher]) => {
        const [, operator, text] = /^(=~|!~|!=|=)(.*)$/s.exec(matcher!)!;
        return `${label}${operator}${JSON.stringify(text)}`;
    });
    return written.length > 0 ? `{${written.join(",")}}` : "";
}

/** The present value of a gauge. */
export function gauge<M extends Always<"gauge">>(metric: M, matchers: Matchers<Label<M>>): string {
    return `${metric.name}${selector(matchers)}`;
}

/** A gauge over a window, for functions such as `min_over_time`. */
export function gaugeOver<M extends Always<"gauge">>(metric: M, matchers: Matchers<Label<M>>, window: string): string {
    return `${gauge(metric, matchers)}[${window}]`;
}

/** A counter's growth per second. */
export function rate<M extends Always<"counter">>(metric: M, matchers: Matchers<Label<M>>, window: string): string {
    return `rate(${metric.name}${selector(matchers)}[${window}])`;
}

/** A counter's growth over the window; with `offset`, over one that ended so long ago. */
export function increase<M extends Always<"counter">>(
    metric: M,
    matchers: Matchers<Label<M>>,
    window: string,
    offset?: string,
): string {
    return `increase(${metric.name}${selector(matchers)}[${window}]${offset ? ` offset ${offset}` : ""})`;
}

/** Growth per second of a part of a histogram: of the observations (`count`), of their sum, or of each bucket. */
export function histogramRate<M extends Always<"histogram">>(
    metric: M,
    part: "bucket" | "sum" | "count",
    matchers: Matchers<Label<M> | "le">,
    window: string,
): string {
    return `rate(${metric.name}_${part}${selector(matchers)}[${window}])`;
}

/** Growth of a part of a histogram over the window. */
export function histogramIncrease<M extends Always<"histogram">>(
    metric: M,
    part: "bucket" | "sum" | "count",
    matchers: Matchers<Label<M> | "le">,
    window: string,
): string {
    return `increase(${metric.name}_${part}${selector(matchers)}[${window}])`;
}

/** A bucket's upper bound as Prometheus writes it in the label `le`. */
export function bucketLabel(bound: number): string {
    return Number.isInteger(bound) ? `${bound}.0` : String(bound);
}

/**
 * The quantile (0 to 1) of a histogram over all series selected, one result for each value of the labels `by`; no result
 * without observations, of which the quantile is NaN.
 */
export function quantile<M extends Always<"histogram">>(
    q: number,
    metric: M,
    matchers: Matchers<Label<M>>,
    window: string,
    by: Label<M>[] = [],
): string {
    const buckets = histogramRate(metric, "bucket", matchers, window);
    return `histogram_quantile(${q}, sum by (${["le", ...by].join(", ")}) (${buckets})) >= 0`;
}

/** The mean of a histogram's observations; no result without any. */
export function mean<M extends Always<"histogram">>(
    metric: M,
    matchers: Matchers<Label<M>>,
    window: string,
    by: Label<M>[] = [],
): string {
    return ratio(
        sumBy(by, histogramRate(metric, "sum", matchers, window)),
        sumBy(by, histogramRate(metric, "count", matchers, window)),
    );
}

/** The sum for each value of the labels; over everything without labels. */
export function sumBy(labels: readonly string[], expr: string): string {
    return aggregate("sum", labels, expr);
}

export function aggregate(operator: "sum" | "max" | "min" | "avg" | "count", labels: readonly string[], expr: string) {
    return labels.length > 0 ? `${operator} by (${labels.join(", ")}) (${expr})` : `${operator}(${expr})`;
}

/** A division without a result, instead of NaN or infinity, where the divisor is 0. */
export function ratio(dividend: string, divisor: string): string {
    return `${dividend} / (${divisor} > 0)`;
}
