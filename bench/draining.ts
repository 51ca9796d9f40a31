// Streams without a pause while replicas go: by a scale-down, then by the rollout of an image. How many were cut?
// `npm run bench -- draining` has simulated engines, `npm run bench -- draining --vllm VLLM --model FOLDER` real ones.
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { containerCommand } from "../src/vllm/command-line";
import { appBody, startTestCloud, type TestCloud } from "../test/sandbox/ovhcloud/cloud";

const help = `usage: npm run bench -- draining [OPTIONS] [-- FLAGS OF VLLM]

  --vllm VLLM --model FOLDER  replicas are processes of this vLLM with this model; default: simulated ones
  --change NAME               scale-down or rollout alone; default: both, one after the other
  --streams N (50)            at once, all the time
  --tokens N (400)            of each answer
  --late                      make the change first, and begin the streams once the new engine of a rollout has loaded
                              its model: for machines on which it would not come up beside the load of the old one
  --without                   the command line without the drain, for comparison`;

const changeNames = ["scale-down", "rollout"] as const;
type Change = (typeof changeNames)[number];

interface Options {
    changes: readonly Change[];
    vllm?: string;
    model?: string;
    flags: string[];
    streams: number;
    tokens: number;
    drain: boolean;
    late: boolean;
}

function readOptions(args: string[]): Options {
    const text = { type: "string" } as const;
    const { values, positionals } = parseArgs({
        args,
        allowPositionals: true,
        options: {
            ...{ vllm: text, model: text, change: text, streams: text, tokens: text },
            ...{ without: { type: "boolean" }, late: { type: "boolean" } },
        },
    });
    const { vllm, model, change, streams = "50", tokens = "400", without, late = false } = values;
    if ((vllm === undefined) !== (model === undefined)) throw new Error("give both of --vllm and --model, or none");
    const changes = change === undefined ? changeNames : changeNames.filter((name) => name === change);
    if (changes.length === 0) throw new Error(`--change ${change}: give ${changeNames.join(" or ")}`);
    for (const [name, value] of Object.entries({ streams, tokens })) {
        if (!/^[1-9]\d*$/.test(value)) throw new Error(`--${name} ${value}: not a whole number above 0`);
    }
    const counts = { streams: Number(streams), tokens: Number(tokens) };
    return { changes, vllm, model, flags: positionals, ...counts, drain: without !== true, late };
}

const image = "vllm/vllm-openai:v0.13.0";
const served = "Qwen/Qwen3-14B";

interface Subject {
    cloud: TestCloud;
    id: string;
    token: string;
    /** By Ctrl-C: what is cut from then on is no result. */
    ended: AbortSignal;
}

/** An app with replicas that serve: two, of which a scale-down takes one. */
async function start({ changes, vllm, model, flags, drain }: Options): Promise<Subject> {
    const realEngine = vllm === undefined ? undefined : { command: vllm, model, dir: "/nowhere/but-a-mark" };
    const cloud = await startTestCloud({ realEngine, speed: 60, balancing: "round-robin" });
    const ending = new AbortController();
    const { signal: ended } = ending;
    const end = (): void => ending.abort(new Error("ended before it was done"));
    process.once("SIGINT", end).once("SIGTERM", end);
    const count = changes.includes("scale-down") ? 2 : 1;
    const server = { model: served, image, port: 8000, gpus: 1, drain, vllm: { extraArgs: flags } };
    const { id } = await cloud.api("POST", "/ai/app", {
        ...appBody({ command: containerCommand(server), image }),
        deploymentStrategy: { terminationGracePeriodSeconds: 120 },
        scalingStrategy: { fixed: { replicas: count } },
    });
    const { status } = await cloud.api("POST", "/ai/token", { name: "t", region: "GRA", role: "ai_training_read" });
    const subject = { cloud, id, token: status.value as string, ended };
    await until(subject, `${count} serve`, () => cloud.app(id).availableReplicas === count).catch(
        async (error: Error) => {
            await cloud.close();
            throw error;
        },
    );
    return subject;
}

async function until({ cloud, id, ended }: Subject, what: string, holds: () => boolean): Promise<void> {
    console.error(`until ${what}`);
    while (!holds()) {
        ended.throwIfAborted();
        const { state, message } = cloud.app(id);
        if (state === "FAILED") throw new Error(`the app has failed: ${message}`);
        await sleep(100);
    }
}

/** How streams ended, each end with its number. */
type Ends = Record<string, number>;

/** Keeps so many streams running until `over`, and for as long as those take that have begun. */
async function stream({ cloud, id, token }: Subject, options: Options, over: () => boolean): Promise<Ends> {
    const ends: Ends = {};
    const messages = [{ role: "user", content: "hello" }];
    const length = { max_tokens: options.tokens, ignore_eos: true };
    const body = { model: served, messages, ...length, stream: true, stream_options: { include_usage: true } };
    const one = async (): Promise<string> => {
        const answer = await cloud.ask(cloud.app(id), "/v1/chat/completions", { token, body });
        if (answer.status !== 200) return `status ${answer.status}`;
        if (!answer.body.trimEnd().endsWith("data: [DONE]")) return "cut";
        const [, tokens] = /"completion_tokens":\s*(\d+)/.exec(answer.body) ?? [];
        return `whole, ${tokens} tokens`;
    };
    const client = async (): Promise<void> => {
        while (!over()) {
            const end = await one().catch((error: Error) => `cut (${error.message})`);
            ends[end] = (ends[end] ?? 0) + 1;
        }
    };
    await Promise.all(Array.from({ length: options.streams }, client));
    return ends;
}

/** Streams while the change is made, until the replicas are as they are to be, and have been for a second. */
async function change(
    subject: Subject,
    options: Options,
    make: () => Promise<unknown>,
    isMade: () => boolean,
): Promise<{ ends: Ends; underWay: number }> {
    const { cloud, id } = subject;
    let done = false;
    let underWay = 0;
    if (options.late) {
        const [old] = cloud.app(id).replicas;
        await make();
        const loaded = ["warming-up", "serving"];
        await until(subject, "the new engine has loaded its model", () =>
            cloud.app(id).replicas.some(({ index, phase }) => index > old.index && loaded.includes(phase)),
        );
    }
    const streaming = stream(subject, options, () => done);
    const wanted = 0.8 * options.streams;
    await until(
        subject,
        "the streams run",
        () => sum(cloud.app(id).replicas.map(({ requests }) => requests)) >= wanted,
    );
    if (!options.late) await make();
    await until(subject, "the change is made", () => {
        const going = cloud.app(id).replicas.filter(({ phase }) => phase === "draining");
        underWay = Math.max(underWay, sum(going.map(({ requests }) => requests)));
        return isMade();
    });
    await sleep(1000);
    done = true;
    return { ends: await streaming, underWay };
}

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);

async function main(): Promise<number> {
    let options: Options;
    try {
        options = readOptions(process.argv.slice(2));
    } catch (error) {
        console.error(`${(error as Error).message}\n${help}`);
        return 2;
    }
    const subject = await start(options);
    const { cloud, id } = subject;
    const replicas = () => cloud.app(id).replicas;
    try {
        const path = `/ai/app/${id}`;
        const [newest] = replicas().slice(-1);
        const changes: Record<Change, { make: () => Promise<unknown>; isMade: () => boolean }> = {
            "scale-down": {
                make: () => cloud.api("PUT", `${path}/scalingstrategy`, { fixed: { replicas: 1 } }),
                isMade: () => replicas().length === 1,
            },
            rollout: {
                make: () => cloud.api("PUT", path, { url: `${image}-next` }),
                isMade: () => replicas().length === 1 && replicas()[0].index > newest.index,
            },
        };
        for (const name of options.changes) {
            const { make, isMade } = changes[name];
            const { ends, underWay } = await change(subject, options, make, isMade);
            console.log(`${name}: ${underWay} under way at the replica that went; ${JSON.stringify(ends)}`);
        }
    } finally {
        await cloud.close();
    }
    return 0;
}

void main()
    .catch((error: Error) => {
        console.error(error.message);
        return 1;
    })
    // Streams that are under way would keep it.
    .then((code) => process.exit(code));
