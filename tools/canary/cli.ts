// `npm run canary`: is another image or revision of a model as good as the one that serves? (docs/canary.md)
import { createInterface } from "node:readline/promises";
import { styled } from "../../machine/terminal";
import { runCanary } from "./run";

const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
        // Whoever asks twice does not want to wait: the keeper removes the canary by itself.
        if (interruption.signal.aborted) process.exit(130);
        interruption.abort(new Error("interrupted"));
    });
}

async function asks(question: string): Promise<boolean> {
    if (!process.stdin.isTTY) throw new Error("nobody is there to be asked: give --yes");
    const asking = createInterface({ input: process.stdin, output: process.stdout });
    try {
        const answer = await asking.question(`${question} [y/N] `, { signal: interruption.signal });
        return /^y(es)?$/i.test(answer.trim());
    } finally {
        asking.close();
    }
}

runCanary(process.argv.slice(2), { signal: interruption.signal, asks, log: console.log }).then(
    (code) => process.exit(code),
    (error: Error) => {
        console.error(styled("red", `error: ${error.message}`));
        process.exit(interruption.signal.aborted ? 130 : 2);
    },
);
