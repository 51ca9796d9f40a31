import { createHash } from "node:crypto";
import { imageTokens } from "./images";
import type { Message, ToolParam } from "./request-schema";
import { bad } from "./refusal";
import { tokenId, tokenOfId, tokensOf, vocabularySize } from "./tokenizer";

/** What a model is given: tokens, made of texts, token ids or a conversation. */

export interface Prompt {
    /** How many. */
    tokens: number;
    /** One hash for each whole block of the KV cache; a hash stands for everything before it, too. */
    blocks: string[];
    /** The text of each token. */
    texts: string[];
    ids: number[];
}

export function promptOf(texts: string[], blockSize: number, ids = texts.map(tokenId)): Prompt {
    const blocks: string[] = [];
    let hash = "";
    for (let from = 0; from + blockSize <= texts.length; from += blockSize) {
        hash = createHash("sha1")
            .update(hash)
            .update("\0")
            .update(texts.slice(from, from + blockSize).join("\0"))
            .digest("base64");
        blocks.push(hash);
    }
    return { tokens: texts.length, blocks, texts, ids };
}

/** Throws a Refusal for an id that is out of the vocabulary. */
export function promptOfIds(ids: number[], blockSize: number): Prompt {
    const strange = ids.find((id) => id < 0 || id >= vocabularySize);
    if (strange !== undefined) throw bad(`Token id ${strange} is out of vocabulary`);
    return promptOf(ids.map((id) => tokenOfId(id) ?? `<${id}>`), blockSize, ids); // prettier-ignore
}

/** Of a conversation, as a chat template makes one text of it. Throws a Refusal. */
export function promptOfChat(messages: Message[], tools: ToolParam[] | undefined, blockSize: number): Prompt {
    if (messages.length === 0) throw bad("list index out of range list index out of range");
    const offered = tools && tools.length > 0 ? [`[tools]${JSON.stringify(tools)}\n`] : [];
    const texts = messages.flatMap((message, i) => {
        const calls = (message.tool_calls ?? []) as { function?: { arguments?: unknown } }[];
        for (const call of calls) checkArguments(call?.function?.arguments);
        const begin = `${i > 0 ? "\n" : ""}[${message.role}]`;
        const parts = contentOf(message).map((part) => (typeof part === "string" ? tokensOf(part) : part.tokens));
        return [...tokensOf(begin), ...parts.flat(), ...(calls.length > 0 ? tokensOf(JSON.stringify(calls)) : [])];
    });
    const all = [...offered.flatMap(tokensOf), ...texts];
    return promptOf(all, blockSize);
}

/** The text of a message, without its images. */
export function contentText(message: Message): string {
    return contentOf(message)
        .filter((part) => typeof part === "string")
        .join("\n");
}

/** A model is given the arguments of earlier calls as values. */
function checkArguments(text: unknown): void {
    if (typeof text !== "string" || text === "") return;
    try {
        JSON.parse(text);
    } catch {
        const what = text.trim() === "{" ? "Expecting property name enclosed in double quotes" : "Expecting value";
        throw bad(`${what}: line 1 column ${text.length + 1} (char ${text.length}) None`);
    }
}

interface Part {
    type?: unknown;
    text?: unknown;
    refusal?: unknown;
    image_url?: { url?: unknown };
}

function contentOf({ content }: Message): (string | { tokens: string[] })[] {
    if (typeof content === "string") return [content];
    if (!Array.isArray(content)) return [];
    return (content as (Part | null)[]).map((part, i) => {
        switch (part?.type) {
            case "text":
                if (typeof part.text === "string") return part.text;
                break;
            case "refusal":
                if (typeof part.refusal === "string") return part.refusal;
                break;
            case "image_url": {
                const url = part.image_url?.url;
                if (typeof url !== "string") break;
                const { tokens, digest } = imageTokens(url);
                return { tokens: Array.from({ length: tokens }, () => `image ${digest}`) };
            }
            case "input_audio":
            case "audio_url":
                throw bad("At most 0 audio(s) may be provided in one prompt. None");
            case "video_url":
                throw bad("At most 0 video(s) may be provided in one prompt. None");
        }
        throw bad(
            `1 validation error for ValidatorIterator\n${i}\n  Input should be a valid part of a message's content ` +
                `[type=dict_type, input_value=${JSON.stringify(part)}]`,
        );
    });
}
