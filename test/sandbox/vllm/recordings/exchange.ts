import { request as send } from "node:http";
import type { Duplex } from "node:stream";

/** One request to a server, and what of its answer a real and a simulated vLLM must have in common. */

export interface RecordedRequest {
    /** Says what it is about; no two have the same. */
    name: string;
    /** Default: POST with a body, GET without one. */
    method?: string;
    path: string;
    headers?: Record<string, string>;
    /** An object is sent as JSON. */
    body?: object | string;
    /** Whether the server that asks for a key is meant. */
    keyed?: true;
    /** Whether lengths of the prompt depend on no tokenizer. */
    exact?: true;
}

/** What is left of an answer without ids, times, generated texts and what only a tokenizer knows. */
export interface Shape {
    status: number;
    headers: Record<string, string>;
    /** JSON; a stream as the list of its events, of which equal ones in a row are one; `<html>`, `<metrics>`; or the text. */
    body: unknown;
}

/** How to reach a server: a port of 127.0.0.1, or a connection that exists already. */
export type Target = number | (() => Duplex);

export async function exchange(target: Target, request: RecordedRequest): Promise<Shape> {
    const { status, headers, text } = await ask(target, request);
    return {
        status,
        headers: Object.fromEntries(
            Object.entries(headers)
                .filter(([name]) => /^(content-type|allow|location|vary|access-control-.*)$/.test(name))
                .map(([name, value]) => [name, value.replace(/^http:\/\/127\.0\.0\.1(:\d+)?/, "<origin>")]),
        ),
        body: bodyShape(headers["content-type"] ?? "", text, request),
    };
}

export interface Answer {
    status: number;
    headers: Record<string, string>;
    text: string;
}

/** Sends a request and reads its whole answer. */
export function ask(target: Target, { method, path, headers, body }: Omit<RecordedRequest, "name">): Promise<Answer> {
    const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
    const given = {
        host: "127.0.0.1",
        ...(text === undefined
            ? {}
            : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
        ...headers,
    };
    const where =
        typeof target === "number"
            ? { port: target, agent: false as const }
            : { createConnection: target as () => never };
    return new Promise((resolve, reject) => {
        const outgoing = send({
            ...where,
            host: "127.0.0.1",
            method: method ?? (text === undefined ? "GET" : "POST"),
            path,
            headers: given,
        });
        outgoing.on("error", reject);
        outgoing.on("response", (incoming) => {
            const parts: Buffer[] = [];
            incoming.on("error", reject);
            incoming.on("data", (part: Buffer) => parts.push(part));
            incoming.on("end", () =>
                resolve({
                    status: incoming.statusCode!,
                    headers: incoming.headers as Record<string, string>,
                    text: Buffer.concat(parts).toString(),
                }),
            );
        });
        outgoing.end(text);
    });
}

function bodyShape(type: string, text: string, { exact = false }: { exact?: boolean }): unknown {
    if (type.startsWith("text/html")) return "<html>";
    if (text.startsWith("# HELP")) return "<metrics>";
    if (type.startsWith("text/event-stream")) {
        return streamShape(text.split("\n\n").filter(Boolean), exact);
    }
    if (!type.startsWith("application/json") || text === "") return text;
    const body = JSON.parse(text) as Record<string, unknown>;
    if (typeof body.openapi === "string") {
        const paths = Object.entries(body.paths as Record<string, object>);
        return { paths: Object.fromEntries(paths.map(([path, methods]) => [path, Object.keys(methods)])) };
    }
    return shapeOf(text.includes('"finish_reason":"stop"') ? ended(body) : body, "", exact);
}

/** How many tokens an answer has that ended by itself depends on the tokenizer, too. */
function ended(body: Record<string, unknown>): Record<string, unknown> {
    return { ...body, usage: { ...(body.usage as object), completion_tokens: "<tokens>", total_tokens: "<tokens>" } };
}

/**
 * Of a stream: how many tokens come at once, and which of several answers comes first, is a matter of time. So the parts
 * of each answer are put together, and equal ones in a row are one.
 */
function streamShape(lines: string[], exact = false): unknown[] {
    const rank = (event: unknown): number => {
        const { choices } = event as { choices?: { index: number; delta?: object }[] };
        if (!choices?.length) return Infinity;
        return choices[0].index + ("role" in (choices[0].delta ?? {}) ? 0 : 1000);
    };
    const events = lines
        .map((line) => line.replace(/^data: /, ""))
        .map((line) => (line.startsWith("{") ? (JSON.parse(line) as unknown) : line))
        .sort((one, other) => rank(one) - rank(other) || 0)
        .map((event) => shapeOf(event, "", exact, rank(event) < Infinity));
    return events.filter((event, i) => i === 0 || JSON.stringify(event) !== JSON.stringify(events[i - 1]));
}

const ofTokenizer = new Set(["prompt_tokens", "total_tokens", "count"]);
const said = new Set(["content", "text", "arguments", "token", "decoded_token", "prompt"]);
const perToken = new Set(["token_ids", "text_offset", "token_logprobs"]);

/** @param part whether the value is of a part of a stream, where it is chance how many tokens come together */
function shapeOf(value: unknown, key: string, exact: boolean, part = false): unknown {
    const shapeIn = (one: unknown, name: string): unknown => shapeOf(one, name, exact, part);
    if (Array.isArray(value)) {
        const tokens = perToken.has(key) || (key === "tokens" && typeof value[0] === "string");
        if (tokens || (key === "prompt_token_ids" && exact)) return part ? "<some>" : `<${value.length} tokens>`;
        if (["bytes", "tokens", "token_strs", "prompt_token_ids"].includes(key)) return "<list>";
        if (part && (key === "content" || key === "top_logprobs")) return ["<some>"];
        const items = value.map((one) => shapeIn(one, key === "top_logprobs" ? "top" : key));
        return key === "prompt_logprobs" && !exact ? [...new Set(items.map((item) => JSON.stringify(item)))] : items;
    }
    if (typeof value === "object" && value !== null) {
        // Of tokens and their probabilities: as many as were asked for, or one more when another one was drawn.
        if (key === "prompt_logprobs" || (key === "top" && !("logprob" in value))) return "<entries>";
        // A stream begins with a text of no length; others may happen to be empty.
        const opening = "role" in value && !("refusal" in value);
        const entries = Object.entries(value).map(([name, one]): [string, unknown] => {
            const text = said.has(name) && typeof one === "string" && !(opening && one === "");
            return [name, text ? "<text>" : shapeIn(one, name)];
        });
        return Object.fromEntries(entries);
    }
    if (typeof value === "string") {
        if (key === "message") return messageShape(value, exact);
        if (key === "root") return "<model>";
        return key === "id" ? value.replace(/[0-9a-f]{16,}$/, "<id>") : value;
    }
    if (typeof value === "number") {
        if (key === "created") return "<time>";
        if (key === "logprob") return "<number>";
        if (ofTokenizer.has(key) && !exact) return "<tokens>";
        if (part && (key === "completion_tokens" || key === "total_tokens")) return "<some>";
    }
    return value;
}

/** An error's text. Of pydantic's faults the places and the words, which is what a client can act upon. */
function messageShape(message: string, exact = false): unknown {
    const faults = [
        ...message.matchAll(/'loc': (\((?:'[^']*'|[^')])*\)), 'msg': ('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")/g),
    ];
    // Each is told twice.
    if (faults.length > 0) {
        const told = faults.map(([, place, words]) => {
            // Which member of a union complains about what is of no use to anybody.
            const message = /^\('body', 'messages', \d+/.exec(place);
            return message
                ? `${message[0]}) <no message>`
                : `${place.replace("'function-wrap[__log_extra_fields__()]', ", "")} ${words.slice(1, -1)}`;
        });
        return [...new Set(told)];
    }
    const ofContent = /^\d+ validation errors? for [\w[\]()-]+/.exec(message);
    if (ofContent) return ofContent[0].replace(/^\d+ validation errors?/, "faults");
    message = message
        .replace(/^\S+(?= is not a multimodal model)/, "<model>")
        .replace(/^Grammar error: .*/s, "Grammar error")
        .replace(/(Vocabulary size:|Requested \w+ logprobs of) \d{3,}/, "$1 <size>");
    return exact
        ? message
        : message.replace(/\d+ input tokens/, "<tokens> input tokens").replace(/- \d+\)/, "- <tokens>)");
}

/** Answers by the name of their request, as they are written to a file: those that are equal to an earlier one name it. */
export function written(answers: [string, Shape][]): Record<string, Shape | string> {
    const first = new Map<string, string>();
    return Object.fromEntries(
        answers.map(([name, shape]) => {
            const text = JSON.stringify(shape);
            const same = first.get(text);
            if (same === undefined) first.set(text, name);
            return [name, same === undefined ? shape : `as ${same}`];
        }),
    );
}

/** The reverse of `written`. */
export function read(answers: Record<string, Shape | string>): Record<string, Shape> {
    const whole = (shape: Shape | string): Shape =>
        typeof shape === "string" ? whole(answers[shape.slice(3)]) : shape;
    return Object.fromEntries(Object.entries(answers).map(([name, shape]) => [name, whole(shape)]));
}
