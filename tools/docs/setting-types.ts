import { z } from "zod";
import { settingsSchema } from "../../src/settings/schema";

/** A setting, or a group of them, as the schema has it. */
export interface Setting {
    /** `models.NAME.replicas.max`; `NAME` and `N` stand for any, ` (slack)` at the end for the kind that has it. */
    path: string;
    /** What it takes, in words; of a group nothing. */
    type?: string;
}

type Schema = z.core.JSONSchema.JSONSchema;

/** Every setting and group in the order of the schema. */
export function readSettings(): Setting[] {
    return insideOf(z.toJSONSchema(settingsSchema), "", "");
}

function insideOf({ properties = {}, oneOf }: Schema, path: string, kind: string): Setting[] {
    if (oneOf) return oneOf.flatMap((one) => insideOf(one, path, ` (${kindOf(one)})`));
    return Object.entries(properties as Record<string, Schema>).flatMap(([name, schema]) =>
        settingsAt(schema, path ? `${path}.${name}` : name, kind),
    );
}

function settingsAt(schema: Schema, path: string, kind: string): Setting[] {
    const [inner, step] = schema.items
        ? [schema.items as Schema, "[N]"]
        : schema.propertyNames
          ? [schema.additionalProperties as Schema, ".NAME"]
          : [schema, ""];
    if (!inner.properties && !inner.oneOf) return [{ path: path + kind, type: typeOf(schema) }];
    return [{ path: path + kind }, ...insideOf(inner, path + step, kind)];
}

/** Of one of several kinds of receivers, which. */
function kindOf({ properties }: Schema): string {
    return (properties!.type as { const: string }).const;
}

function typeOf(schema: Schema): string {
    if (schema.enum) return alternatives(schema.enum as string[]);
    if (schema.const !== undefined) return alternatives([String(schema.const)]);
    switch (schema.type) {
        case "integer":
            return ["whole number", ...rangeOf(schema)].join(" ");
        case "number":
            return ["number", ...rangeOf(schema)].join(" ");
        case "boolean":
            return "`true` or `false`";
        case "array":
            return `list of ${typeOf(schema.items as Schema)}`;
        case "object":
            return `map of ${typeOf(schema.additionalProperties as Schema)}`;
        case "string":
            return "text";
        default:
            return "anything";
    }
}

function rangeOf({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Schema): string[] {
    const bounds: [string, unknown][] = [
        ["from", minimum],
        ["above", exclusiveMinimum],
        [minimum === undefined ? "and at most" : "to", maximum],
        ["and below", exclusiveMaximum],
    ];
    return bounds.flatMap(([word, bound]) =>
        // A whole number has bounds of its own, those of JavaScript.
        typeof bound === "number" && Math.abs(bound) < Number.MAX_SAFE_INTEGER ? [`${word} ${bound}`] : [],
    );
}

function alternatives(values: string[]): string {
    const quoted = values.map((value) => `\`${value}\``);
    return quoted.length === 1 ? quoted[0] : `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
}
