import { tokensOf } from "./tokenizer";

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

/** As the completions API has them; `offset` is the number of characters said before. */
export function textLogprobs(tokens: TokenLogprob[], offset: number): object {
    let at = offset;
    return {
        text_offset: tokens.map(({ token }) => (at += token.length) - token.length),
        token_logprobs: tokens.map(({ logprob }) => logprob),
        tokens: tokens.map(({ token }) => token),
        top_logprobs: tokens.map(({ token, logprob, top }) =>
            Object.fromEntries((top.length > 0 ? top : [{ token, logprob }]).map((one) => [one.token, one.logprob])),
        ),
    };
}
