import { parse } from "yaml";

/** Where the value of a custom metric stands in what its URL answers, as KEDA's metrics-api scaler reads it. */

export type MetricFormat = "PROMETHEUS" | "JSON" | "YAML" | "XML";

/** The value at this location. Throws an Error that says what was found instead. */
export function valueAt(text: string, format: MetricFormat, location: string): number {
    switch (format) {
        case "PROMETHEUS":
            return onPage(text, location);
        case "JSON":
            return asNumber(under(parsed(text, "JSON", JSON.parse), location), location);
        case "YAML":
            return asNumber(under(parsed(text, "YAML", parse), location), location);
        case "XML":
            throw new Error("the sandbox does not read XML: use PROMETHEUS, JSON or YAML");
    }
}

/** `name` or `name{label="value", ...}`; the first series that has these labels. */
function onPage(page: string, location: string): number {
    const [, name, matchers = ""] = /^\s*([a-zA-Z_:][\w:]*)\s*(?:\{(.*)\})?\s*$/s.exec(location) ?? [];
    if (name === undefined) throw new Error(`${location} is not a metric name with or without labels`);
    const wanted = [...matchers.matchAll(/([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"/g)].map(([, l, v]) => `${l}="${v}"`);
    for (const line of page.split("\n")) {
        if (!line.startsWith(name) || !/^[\s{]/.test(line.slice(name.length))) continue;
        const [, labels = "", value] = /^(?:\{(.*)\})?\s+(\S+)/.exec(line.slice(name.length)) ?? [];
        if (wanted.every((label) => `,${labels},`.includes(`,${label},`))) return asNumber(value, location);
    }
    throw new Error(`${location} is not on the page`);
}

/** A path of keys and list positions joined by dots; a dot that belongs to a key is written `\.`. */
function under(value: unknown, path: string): unknown {
    const keys = path.match(/(?:[^.\\]|\\.)+/g)?.map((key) => key.replace(/\\(.)/g, "$1")) ?? [];
    let found = value;
    for (const key of keys) {
        const holder = found as Record<string, unknown> | null | undefined;
        if (typeof holder !== "object" || holder === null || !Object.hasOwn(holder, key)) {
            throw new Error(`${path} is not in the answer: there is no "${key}"`);
        }
        found = holder[key];
    }
    return found;
}

function parsed(text: string, format: string, how: (text: string) => unknown): unknown {
    try {
        return how(text);
    } catch {
        throw new Error(`the answer is not ${format}`);
    }
}

function asNumber(value: unknown, location: string): number {
    const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
    if (typeof number !== "number" || !Number.isFinite(number)) {
        throw new Error(`${location} is ${JSON.stringify(value)}, not a number`);
    }
    return number;
}
