import { commandLine } from "../command-line";

export const usage = `Usage: npm run canary -- --image IMAGE | --revision REVISION [OPTIONS]

Makes a second app beside a model's, with another image or another revision of the model, puts the same load on both, asks
both the same questions, compares with confidence intervals, and removes it again. Says first what it costs, and asks. What is
shown to be no worse can be taken over: the \`pulumi config set\` lines are printed, or set.

  --stack NAME        stack (default: the selected stack)
  --model NAME        which model of the stack, when it has several
  --image IMAGE       what would be models.NAME.image
  --revision NAME     what would be models.NAME.revision: a commit, tag or branch of the model's repository
  --workers N         that each app is asked by (default: half of scaling.target for each replica)
  --seconds N         of load, after a ramp of 10 s, default 300, at least 5
  --trace FILE        instead of workers: replay a trace (CSV of Azure or BurstGPT, JSONL of Mooncake)
  --trace-speed N     how much faster than it was, default 1
  --seed N            of everything that is drawn, default 1
  --slower SHARE      how much slower it may be and still be promoted, default 0.1
  --answers FILE      questions of your own, a line each: {"prompt": "...", "expect": "a regular expression"}
  --ca FILE           also trust this certificate authority (PEM)
  --json FILE         write everything that was found
  --yes               ask nothing: begin, and set what is promoted
  --clean-up          remove every canary of the project, whether its end has come or not, and do nothing else

Exit code: 0 (promoted), 1 (refused, or undecided), 2 (could not be told), 130 (interrupted). In every case nothing is left.`;

export interface CanaryOptions {
    stack?: string;
    model?: string;
    image?: string;
    revision?: string;
    workers?: number;
    seconds: number;
    trace?: string;
    traceSpeed: number;
    seed: number;
    slower: number;
    answers?: string;
    json?: string;
    ca?: string;
    yes: boolean;
    cleanUp: boolean;
    help: boolean;
}

/** Throws an Error for people. */
export function readOptions(args: string[]): CanaryOptions {
    const { values } = commandLine({
        args,
        options: {
            ...textOptions("stack", "model", "image", "revision", "workers", "seconds"),
            ...textOptions("trace", "trace-speed", "seed", "slower", "answers", "json", "ca"),
            yes: { type: "boolean", default: false },
            "clean-up": { type: "boolean", default: false },
            help: { type: "boolean", short: "h", default: false },
        },
    });
    const number = (
        key: "workers" | "seconds" | "trace-speed" | "seed" | "slower",
        least: number,
    ): number | undefined => {
        if (values[key] === undefined) return undefined;
        const value = Number(values[key]);
        if (!(value >= least)) throw new Error(`--${key} ${values[key]}: give a number from ${least}`);
        return value;
    };
    const { stack, model, image, revision, trace, answers, json, ca, yes, help, "clean-up": cleanUp } = values;
    if (!help && !cleanUp && image === undefined && revision === undefined) {
        throw new Error("name what is new: --image IMAGE, --revision REVISION, or both");
    }
    if (trace !== undefined && values.workers !== undefined) {
        throw new Error("--trace and --workers exclude each other");
    }
    return {
        ...{ stack, model, image, revision, trace, answers, json, ca, yes, help, cleanUp },
        workers: number("workers", 1),
        seconds: number("seconds", 5) ?? 300,
        traceSpeed: number("trace-speed", 0.001) ?? 1,
        seed: number("seed", 0) ?? 1,
        slower: number("slower", 0) ?? 0.1,
    };
}

function textOptions<Name extends string>(...names: Name[]): Record<Name, { type: "string" }> {
    return Object.fromEntries(names.map((name) => [name, { type: "string" }])) as Record<Name, { type: "string" }>;
}
