import { tokensOf } from "./tokenizer";

/** What a simulated model says: the same for everyone, and honest about itself. */

// A whole number of tokens long, so that the text goes on evenly from one time to the next.
const words = tokensOf(
    "This answer is simulated by the sandbox: no model wrote it, no GPU was used, and only its length and its timing mean something. ",
);

/** The text of the token with this index. */
function word(index: number): string {
    return words[index % words.length];
}

export interface SimulatedText {
    /** Tokens at which the model ends by itself; with a stop string, those that were needed to say it. */
    naturalTokens: number;
    /** The stop string that ends it. */
    stopReason: string | null;
    /** The text of the token with this index, of which a stop string may have cut off a part. */
    piece(index: number): string;
}

/** An answer that would be `natural` tokens long, is cut at `most`, and ends before the first of the stop strings. */
export function simulatedText(natural: number, most: number, stop: string[], includeStop: boolean): SimulatedText {
    if (stop.length === 0) return { naturalTokens: natural, stopReason: null, piece: word };
    // Said twice over, the words hold every stop string that they will ever hold, unless it is longer than them.
    const enough = words.length * (2 + Math.ceil(Math.max(...stop.map((one) => one.length)) / words.join("").length));
    const limit = Math.min(natural, most, enough);
    let text = "";
    for (let tokens = 1; tokens <= limit; tokens++) {
        text += word(tokens - 1);
        for (const one of stop) {
            const at = text.indexOf(one);
            if (at < 0) continue;
            const end = includeStop ? at + one.length : at;
            const starts: number[] = [];
            for (let i = 0, start = 0; i < tokens; start += word(i++).length) starts.push(start);
            const piece = (index: number): string =>
                text.slice(starts[index], Math.min(end, starts[index + 1] ?? text.length));
            return { naturalTokens: tokens, stopReason: one, piece };
        }
    }
    return { naturalTokens: natural, stopReason: null, piece: word };
}

/** A text that is said to its end, unless it is cut at `most` tokens. */
export function givenText(tokens: string[]): SimulatedText {
    return { naturalTokens: tokens.length, stopReason: null, piece: (index) => tokens[index] };
}

/** Length of an answer in tokens: at least one, exponentially distributed with this mean. */
export function answerLength(random: () => number, mean: number): number {
    return Math.max(1, Math.round(-Math.log(1 - random()) * mean));
}
