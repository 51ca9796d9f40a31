import { parser } from "@prometheus-io/lezer-promql";
import type { SyntaxNode } from "@lezer/common";

/** A selector in an expression: which series, with which labels, and the functions around it, the nearest first. */
export interface Selector {
    series: string;
    labels: string[];
    around: string[];
}

/** An expression as its grammar sees it. */
export interface Expression {
    selectors: Selector[];
    /** Labels after `by`, `on` and the like. */
    grouping: string[];
}

/**
 * Parses PromQL, Grafana's variables in it included.
 * @throws Error that names the place where it is none
 */
export function parsePromql(text: string): Expression {
    // Grafana puts these in before Prometheus sees the expression; those within strings can stay.
    const expr = text.replaceAll(/\[\$__(rate_)?interval\]/g, "[1m]").replaceAll("[$__range]", "[1h]");
    const tree = parser.parse(expr);
    const selectors: Selector[] = [];
    const grouping: string[] = [];
    const source = (node: SyntaxNode) => expr.slice(node.from, node.to);
    tree.iterate({
        enter({ node }) {
            if (node.type.isError) {
                throw new Error(
                    `no PromQL at character ${node.from}, before "${expr.slice(node.from, node.from + 20)}": ${expr}`,
                );
            }
            if (node.name === "VectorSelector") {
                const name = node.getChild("Identifier");
                const matchers = node.getChild("LabelMatchers")?.getChildren("UnquotedLabelMatcher") ?? [];
                const labels = matchers.map((matcher) => source(matcher.getChild("LabelName")!));
                const byName = matchers.find((_, index) => labels[index] === "__name__");
                const series = name ?? byName?.getChild("StringLiteral");
                selectors.push({
                    series: series ? source(series).replaceAll('"', "") : "",
                    labels: labels.filter((label) => label !== "__name__"),
                    around: functionsAround(node, source),
                });
            }
            if (node.name === "GroupingLabels") {
                grouping.push(...node.getChildren("LabelName").map(source));
            }
        },
    });
    if (selectors.length === 0 && !/^vector\([\d.e-]+\)$/.test(expr)) throw new Error(`nothing is selected: ${expr}`);
    return { selectors, grouping };
}

function functionsAround(node: SyntaxNode, source: (node: SyntaxNode) => string): string[] {
    const around: string[] = [];
    for (let parent = node.parent; parent; parent = parent.parent) {
        if (parent.name === "FunctionCall") around.push(source(parent.getChild("FunctionIdentifier")!));
        if (parent.name === "AggregateExpr") around.push(source(parent.getChild("AggregateOp")!));
    }
    return around;
}
