// `npm run chat`: talk to the deployed model.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { styled } from "../../machine/terminal";
import { authorities, commandLine, errorText } from "../command-line";
import { Connector, servedModels, stackTarget, urlTarget } from "../loadtest";
import { awaken } from "../wake";
import { askModel, ChatError, figures, type Message } from "./chat";

const usage = `Usage: npm run chat [-- OPTIONS] ["QUESTION"]

Talks to the model of a stack: the answer as it comes, then tokens, time to the first one and rate. With a question, asks
that one and ends; a question can also come through a pipe. Without, a conversation: Ctrl-C ends an answer, Ctrl-D ends it.

  --stack NAME      stack whose outputs hold address and token (default: the selected stack)
  --model NAME      which model of the stack, when it has several; with --url: the id that requests name
  --url URL         instead of a stack: OpenAI base URL; the token is taken from OPENAI_API_KEY
  --ca FILE         also trust this certificate authority (PEM)
  --wake            wake a model that is asleep, and wait for it: that takes minutes, and is billed
  --system TEXT     what the model is told first
  --max-tokens N    per answer, default 1024

Exit code: 0, 1 (the model did not answer), 2 (could not start).`;

async function main(): Promise<number> {
    const { values: options, positionals } = commandLine({
        allowPositionals: true,
        options: {
            stack: { type: "string" },
            model: { type: "string" },
            url: { type: "string" },
            ca: { type: "string" },
            wake: { type: "boolean", default: false },
            system: { type: "string" },
            "max-tokens": { type: "string", default: "1024" },
            help: { type: "boolean", short: "h", default: false },
        },
    });
    if (options.help) {
        console.log(usage);
        return 0;
    }
    const maxTokens = Number(options["max-tokens"]);
    if (!(Number.isInteger(maxTokens) && maxTokens >= 1)) {
        throw new Error(`--max-tokens ${options["max-tokens"]}: give a whole number of at least 1`);
    }
    const target =
        options.url === undefined
            ? await stackTarget(options.stack, options.model)
            : urlTarget(options.url, options.model, undefined);
    const connector = new Connector({
        baseUrl: target.baseUrl,
        token: target.token,
        ca: authorities(options.ca),
    });
    await awaken(target.app, {
        wake: options.wake,
        knock: () => servedModels(connector),
        log: (line) => console.error(styled("dim", line)),
    });
    const [first] = await servedModels(connector);
    const model = target.model ?? first;
    const conversation: Message[] = options.system ? [{ role: "system", content: options.system }] : [];
    const ask = async (question: string, signal?: AbortSignal): Promise<void> => {
        conversation.push({ role: "user", content: question });
        try {
            const onText = (piece: string): void => void process.stdout.write(printable(piece));
            const turn = await askModel(connector, conversation, { model, maxTokens, onText, signal });
            conversation.push({ role: "assistant", content: turn.text });
            process.stdout.write("\n");
            console.error(styled("dim", figures(turn)));
        } catch (error) {
            // Asked again it would be there twice.
            conversation.pop();
            throw error;
        }
    };
    const question = positionals.join(" ") || (process.stdin.isTTY ? "" : readFileSync(0, "utf8").trim());
    if (question !== "") {
        await ask(question);
        return 0;
    }
    if (!process.stdin.isTTY) throw new Error('nothing was asked: npm run chat -- "hello"');
    console.error(styled("dim", `${model} at ${target.baseUrl}. Ctrl-D ends.`));
    await converse(ask);
    return 0;
}

/** Asks for questions until the person has none. A question that fails ends nothing. */
async function converse(ask: (question: string, signal: AbortSignal) => Promise<void>): Promise<void> {
    const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: styled("bold", "> ") });
    let answering: AbortController | undefined;
    lines.on("SIGINT", () => (answering ? answering.abort() : lines.close()));
    lines.prompt();
    for await (const line of lines) {
        if (line.trim() !== "") {
            answering = new AbortController();
            try {
                await ask(line, answering.signal);
            } catch (error) {
                if (!(error instanceof ChatError)) throw error;
                console.error(styled("red", error.message));
            }
            answering = undefined;
        }
        lines.prompt();
    }
}

/** Without the characters that a terminal obeys; line ends and tabs stay. */
function printable(text: string): string {
    return text.replace(/[^\P{Cc}\n\t]/gu, "");
}

main().then(
    (code) => process.exit(code),
    (error: Error) => {
        console.error(errorText(error));
        process.exit(error instanceof ChatError ? 1 : 2);
    },
);
