import { randomBytes } from "node:crypto";
import { instance } from "./json-instance";

/** Calls of tools by a model that does not think: which one, and arguments that its schema allows. */

export interface Tool {
    name: string;
    /** JSON schema of the arguments. */
    parameters: Record<string, unknown>;
}

export type ToolChoice = { mode: "none" | "auto" | "required" } | { mode: "named"; name: string };

export interface ToolCall {
    /** Returns one that no other call has. */
    id: () => string;
    name: string;
    /** JSON. */
    arguments: string;
}

/**
 * The call that answers the conversation, if any. `auto` calls the first tool whose name shares a word with what the
 * user said last (`get_weather` and "weather"), and only in answer to a user; `required` does so, else takes the first.
 */
export function toolCall(
    choice: ToolChoice,
    tools: Tool[],
    lastRole: string,
    lastText: string,
    mistral: boolean,
): ToolCall | undefined {
    const call = (tool: Tool): ToolCall => {
        const given = JSON.stringify(instance(tool.parameters) ?? {});
        return { id: mistral ? mistralId : plainId, name: tool.name, arguments: given };
    };
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

const mistralId = (): string => randomBytes(16).toString("base64url").replace(/[-_]/g, "0").slice(0, 9);
const plainId = (): string => `chatcmpl-tool-${randomBytes(8).toString("hex")}`;
