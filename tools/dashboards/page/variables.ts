import type { VariableJson } from "./grafana";
import type { Prometheus } from "./prometheus";

/** How addresses write the choice of all values. */
export const all = "$__all";

/** A choice at the top of the dashboard. */
export interface Variable {
    json: VariableJson;
    /** The values that there are. */
    options: string[];
    /** Values, or `all` alone. */
    chosen: string[];
}

/** Variables with what the address chooses of them, in `var-NAME`; all of each without. */
export function variablesOf(list: VariableJson[], address: URLSearchParams): Variable[] {
    return list
        .filter(({ type }) => type === "query")
        .map((json) => {
            const given = address.getAll(`var-${json.name}`).filter(Boolean);
            const chosen = given.length === 0 || given.includes(all) || json.hide === 2 ? [all] : given;
            return { json, options: [], chosen };
        });
}

/** Asks for the values of each variable in turn, since each may use those before it. Returns what stands for each in expressions. */
export async function readVariables(
    variables: Variable[],
    ask: (values: Record<string, string>) => Prometheus,
): Promise<Record<string, string>> {
    const values: Record<string, string> = {};
    for (const variable of variables) {
        const { query } = variable.json;
        const text = typeof query === "string" ? query : query.query;
        const [, series, label] = /^label_values\((.*),\s*(\w+)\)$/.exec(text) ?? [];
        if (series === undefined) throw new Error(`variable ${variable.json.name}: ${text} is not understood here`);
        variable.options = await ask(values).labelValues(series, label);
        values[variable.json.name] = valueOf(variable);
    }
    return values;
}

/** What stands for a variable in an expression. */
export function valueOf({ json, options, chosen }: Variable): string {
    // One that cannot be chosen is part of an address: the first value.
    if (json.hide === 2) return options[0] ?? "";
    if (chosen.includes(all) && json.allValue !== undefined) return json.allValue;
    const values = (chosen.includes(all) ? options : chosen).map(escapeRegex);
    return values.length > 1 ? `(${values.join("|")})` : (values[0] ?? "");
}

/** For a regular expression in quotes, as Grafana does: the backslash itself needs another one there. */
export function escapeRegex(text: string): string {
    return text
        .replaceAll("\\", "\\\\\\\\")
        .replaceAll(/[$^*{}[\]'+?.()|]/g, "\\\\$&")
        .replaceAll('"', '\\"');
}
