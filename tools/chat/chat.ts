import { createParser } from "eventsource-parser";
import { StringDecoder } from "node:string_decoder";
import { Connection, type Connector } from "../loadtest";

/** One turn of a conversation. */
export interface Message {
    role: "user" | "assistant" | "system";
    content: string;
}

/** What an answer took. Seconds from the sending of the question. */
export interface Turn {
    text: string;
    /** To the first piece of text; undefined for an empty answer. */
    firstTokenSeconds?: number;
    seconds: number;
    promptTokens: number;
    outputTokens: number;
    /** Why it ended, as the server says: `stop`, `length` and others. */
    finishReason?: string;
}

export interface ChatOptions {
    model: string;
    maxTokens: number;
    /** Called with each piece of the answer as it comes. */
    onText: (piece: string) => void;
    /** Ends the answer; what came until then is kept. */
    signal?: AbortSignal;
}

/** A refusal or a loss, in words for the person who asked. */
export class ChatError extends Error {}

/** Asks for one answer and reads it as it comes. Throws a ChatError that says what to do. */
export async function askModel(connector: Connector, messages: Message[], options: ChatOptions): Promise<Turn> {
    const { model, maxTokens, onText, signal } = options;
    const began = performance.now();
    const since = (): number => (performance.now() - began) / 1000;
    const turn: Turn = { text: "", seconds: 0, promptTokens: 0, outputTokens: 0 };
    let done = false;
    let broken: string | undefined;
    const parser = createParser({
        onEvent: ({ data }) => {
            if (data === "[DONE]") return void (done = true);
            let chunk: any;
            try {
                chunk = JSON.parse(data);
            } catch {
                return void (broken ??= `it sent what is no JSON: ${data.slice(0, 100)}`);
            }
            if (chunk.error) return void (broken = String(chunk.error.message));
            if (chunk.usage) {
                turn.promptTokens = chunk.usage.prompt_tokens;
                turn.outputTokens = chunk.usage.completion_tokens;
            }
            const [choice] = chunk.choices ?? [];
            turn.finishReason = choice?.finish_reason ?? turn.finishReason;
            // vLLM wrote reasoning as reasoning_content before it wrote it as reasoning.
            const { reasoning_content, reasoning, content } = choice?.delta ?? {};
            const piece = `${reasoning_content ?? reasoning ?? ""}${content ?? ""}`;
            if (piece === "") return;
            turn.firstTokenSeconds ??= since();
            turn.text += piece;
            onText(piece);
        },
    });
    const body = JSON.stringify({
        model,
        messages,
        max_tokens: maxTokens,
        stream: true,
        stream_options: { include_usage: true },
    });
    const connection = new Connection(connector, Infinity);
    const stop = (): void => connection.close(new Error("stopped"));
    signal?.addEventListener("abort", stop);
    try {
        await connection.open();
        const status = await exchange(connection, connector.request("POST", "/chat/completions", body), (text) =>
            parser.feed(text),
        );
        if (status.code !== 200) throw new ChatError(refusal(status.code, connector.shown(status.text)));
    } catch (error) {
        if (error instanceof ChatError) throw error;
        if (signal?.aborted) return { ...turn, seconds: since(), finishReason: "stopped by you" };
        const { message } = error as Error;
        const lost =
            turn.text === "" ? "the app does not answer" : "the connection was lost in the middle of the answer";
        throw new ChatError(`${lost}: ${connector.shown(message)}. Is it running? npm run verify tells`);
    } finally {
        signal?.removeEventListener("abort", stop);
        connection.close();
    }
    if (broken !== undefined) throw new ChatError(`the server broke off: ${connector.shown(broken)}`);
    if (!done) throw new ChatError("the answer broke off before its end: its replica went away. Ask again");
    return { ...turn, seconds: since() };
}

/** Sends a request and hands on the text of a successful answer as it comes; that of another one is given back. */
function exchange(
    connection: Connection,
    request: string,
    onText: (text: string) => void,
): Promise<{ code: number; text: string }> {
    const decoder = new StringDecoder("utf8");
    let code = 0;
    let refused = "";
    return new Promise((resolve, reject) => {
        connection.send(request, {
            came: () => undefined,
            head: ({ status }) => (code = status),
            body: (bytes) => {
                const text = decoder.write(bytes);
                if (code === 200) onText(text);
                else refused += text;
            },
            end: () => resolve({ code, text: refused }),
            failed: reject,
        });
    });
}

/** What a status means, and what to do. */
export function refusal(status: number, said: string): string {
    const words: Record<number, string> = {
        401: "the token is missing, wrong or revoked: pulumi refresh, then pulumi up makes another",
        403: "the token does not open this app: its selector does not match the app's labels",
        404: "the app serves no such model, or is gone: npm run verify tells",
        502: "the replica failed: its log tells (npm run verify)",
        503: "no replica is ready: it boots, is asleep or is stopped; npm run verify tells which",
        504: "the replica is silent: it may hang (docs/operations/VllmReplicaStuck.md)",
    };
    return `${status}: ${words[status] ?? "the server refuses"} (${said})`;
}

/** "12 tokens in, 34 out, first token after 0.12 s, 81.5 tokens/s" */
export function figures({ promptTokens, outputTokens, firstTokenSeconds, seconds, finishReason }: Turn): string {
    const flow = seconds - (firstTokenSeconds ?? seconds);
    // Of the tokens after the first: its time is that of the prompt.
    const rate = outputTokens > 1 && flow > 0 ? (outputTokens - 1) / flow : undefined;
    return [
        `${promptTokens} tokens in, ${outputTokens} out`,
        firstTokenSeconds === undefined ? "no text" : `first token after ${firstTokenSeconds.toFixed(2)} s`,
        ...(rate === undefined ? [] : [`${rate.toFixed(1)} tokens/s`]),
        `${seconds.toFixed(1)} s in all`,
        ...(finishReason === "length"
            ? ["cut at --max-tokens"]
            : finishReason === "stop"
              ? []
              : [finishReason ?? "no end"]),
    ].join(", ");
}
