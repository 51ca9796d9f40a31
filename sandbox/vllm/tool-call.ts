import { randomBytes } from "node:crypto";

/** Calls of tools by a model that does not think: which one, and arguments that its schema allows. */

export interface Tool {
    name: string;
    /** JSON schema of the arguments. */
    parameters: Record<string, unknown>;
}

export type ToolChoice = { mode: "none" | "auto" | "required" } | { mode: "named"; name: string };

export interface ToolCall {
    id: string;
    name: string;
    /** JSON. */
    arguments: string;
}

/**
 * The call that answers the conversation, if any. `auto` calls the first tool whose name shares a word with what the
 * user said last (`get_weather` and "weather"), and only in answer to a user; `required` does so, else takes the first.
 */
export function toolCall(choice: ToolChoice, tools: Tool[], lastRole: string, lastText: string): ToolCall | undefined {
    if (choice.mode === "none") return undefined;
    if (choice.mode === "named") return call(tools.find(({ name }) => name === choice.name)!);
    const said = new Set(lastText.toLowerCase().match(/[\p{L}\p{N}]+/gu));
    const words = (name: string): string[] =>
        name
            .replace(/([a-z])([A-Z])/g, "$1 $2")
            .toLowerCase()
            .match(/[\p{L}\p{N}]{3,}/gu) ?? [];
    const meant = tools.find(({ name }) => words(name).some((word) => !verbs.has(word) && said.has(word)));
    if (choice.mode === "required") return call(meant ?? tools[0]);
    return meant && lastRole === "user" ? call(meant) : undefined;
}

/** Words of a tool's name that say nothing of what it is about. */
const verbs = new Set(["get", "set", "the", "and", "for", "make", "list", "find", "call", "run", "tool", "function"]);

function call(tool: Tool): ToolCall {
    const id = randomBytes(16).toString("base64url").replace(/[-_]/g, "0").slice(0, 9);
    return { id, name: tool.name, arguments: JSON.stringify(instance(tool.parameters) ?? {}) };
}

/** A value that the schema allows, as small as it may be; keywords other than these are not looked at. */
function instance(schema: Record<string, unknown>): unknown {
    const list = (name: string): unknown[] => (Array.isArray(schema[name]) ? (schema[name] as unknown[]) : []);
    if ("const" in schema) return schema.const;
    if ("default" in schema) return schema.default;
    for (const name of ["enum", "examples"]) if (list(name).length > 0) return list(name)[0];
    for (const name of ["anyOf", "oneOf", "allOf"]) {
        if (list(name).length > 0) return instance(list(name)[0] as Record<string, unknown>);
    }
    const type = Array.isArray(schema.type) ? (schema.type as unknown[])[0] : schema.type;
    const properties = schema.properties as Record<string, Record<string, unknown>> | undefined;
    switch (type ?? (properties ? "object" : "string")) {
        case "object": {
            const required = list("required") as string[];
            const names = required.length > 0 ? required : Object.keys(properties ?? {});
            return Object.fromEntries(names.map((name) => [name, instance(properties?.[name] ?? {})]));
        }
        case "array":
            return Number(schema.minItems ?? 1) > 0 ? [instance((schema.items as Record<string, unknown>) ?? {})] : [];
        case "integer":
        case "number":
            return Number(schema.minimum ?? 1);
        case "boolean":
            return true;
        case "null":
            return null;
        default:
            return "simulated";
    }
}
