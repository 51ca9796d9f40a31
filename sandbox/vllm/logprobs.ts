import type { Prompt } from "./prompt";
import { tokenId, tokensOf } from "./tokenizer";

/** Log probabilities of simulated tokens: well formed (the most probable first, together below 1), and made up. */

export interface TokenLogprob {
    token: string;
    logprob: number;
    top: { token: string; logprob: number }[];
}

const others = tokensOf("one two or a few more that were not said");

/** Of one token that came out, with so many of the most probable ones, itself included. */
export function simulatedLogprob(token: string, top: number, random: () => number): TokenLogprob {
    let left = 1;
    const drawn = (): number => {
        const share = left * (0.5 + 0.49 * random());
        left -= share;
        return Math.log(share);
    };
    const logprob = drawn();
    const alternatives = others.filter((other) => other !== token);
    const rest = Array.from({ length: Math.max(0, top - 1) }, (_, i) => ({
        token: alternatives[i % alternatives.length] + "'".repeat(Math.floor(i / alternatives.length)),
        logprob: drawn(),
    }));
    return { token, logprob, top: top === 0 ? [] : [{ token, logprob }, ...rest] };
}

/** As the chat API has them: `choices[].logprobs.content`. */
export function chatLogprobs(tokens: TokenLogprob[]): object {
    const one = ({ token, logprob }: { token: string; logprob: number }): object => ({
        token,
        logprob,
        bytes: [...Buffer.from(token)],
    });
    return { content: tokens.map((token) => ({ ...one(token), top_logprobs: token.top.map(one) })) };
}

/**
 * As the completions API has them.
 * @param echoed of the prompt's tokens, when the answer begins with them: the first one has none
 * @param offset the number of characters said before
 */
export function textLogprobs(echoed: TokenLogprob[], said: TokenLogprob[], offset: number): object {
    let at = offset;
    const tokens = [...echoed, ...said];
    const known = <T>(index: number, value: T): T | null => (index === 0 && echoed.length > 0 ? null : value);
    return {
        text_offset: tokens.map(({ token }) => (at += token.length) - token.length),
        token_logprobs: tokens.map(({ logprob }, i) => known(i, logprob)),
        tokens: tokens.map(({ token }) => token),
        top_logprobs: tokens.map(({ token, logprob, top }, i) =>
            known(
                i,
                Object.fromEntries(
                    (top.length > 0 ? top : [{ token, logprob }]).map((one) => [one.token, one.logprob]),
                ),
            ),
        ),
    };
}

/** Of each token of a prompt, by token id; the first one has none. Null when they were not asked for. */
export function promptLogprobs(prompt: Prompt, top: number | undefined, random: () => number): object[] | null {
    if (top === undefined) return null;
    return prompt.texts.map((text, i) => {
        if (i === 0) return null;
        const { top: tops } = simulatedLogprob(text, Math.max(1, top), random);
        const entries = tops.map(({ token, logprob }, rank) => [
            tokenId(token),
            { logprob, rank: rank + 1, decoded_token: token },
        ]);
        return Object.fromEntries(entries) as object;
    }) as object[];
}
