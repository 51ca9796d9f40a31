// `npm run prove-scaling`: does the stack scale up under load, recover, and scale down?
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { OvhClient } from "../../packages/ai-deploy/src/api/client";
import { duration, styled, table } from "../../machine/terminal";
import { replicaPrice } from "../../src/prices/cost";
import type { ModelSettings } from "../../src/settings";
import { authorities, checkResultFile, commandLine, errorText } from "../command-line";
import { chooseModel, readStack, stackApi, stackSettings } from "../stack";
import { drawProof } from "./drawing";
import { proveScaling, type Proof, type ProofOptions } from "./run";

const usage = `Usage: npm run prove-scaling [-- OPTIONS]

Puts a load step on the model of a stack and watches: metric over target, decision, new replica, its first token, latency
back under target; takes the load off and watches the scale-down, in which no request may be lost. Prints and draws the
timeline, and decides.
It makes the platform start replicas, which cost money: it says how much at most, and asks.

  --stack NAME        stack to try (default: the selected stack)
  --model NAME        which model of the stack, when it has several
  --workers N         of the load step (default: 1.6 times the scaling target, for each replica at least)
  --baseline N        workers before, during and after, default 2
  --baseline-seconds N   before the load, default 30
  --max-tokens N      of an answer, default 256
  --patience N        seconds for scaling up and recovering (default: boot and window times three)
  --down-patience N   seconds for scaling down (default: likewise)
  --speed N           platform seconds per second, of a sandbox (default: what .sandbox/env says, else 1)
  --ca FILE           also trust this certificate authority (PEM)
  --svg FILE          draw the timeline there
  --json FILE         write everything that was seen there
  --yes               do not ask

Exit code: 0 (scaled and recovered, no request lost), 1 (did not; the cause is named), 2 (the client was the limit), 3 (not begun).`;

/** A proof that was not begun. */
const notBegun = 3;

async function main(): Promise<number> {
    const { values: given } = commandLine({
        options: {
            stack: { type: "string" },
            model: { type: "string" },
            workers: { type: "string" },
            baseline: { type: "string" },
            "baseline-seconds": { type: "string" },
            "max-tokens": { type: "string" },
            patience: { type: "string" },
            "down-patience": { type: "string" },
            speed: { type: "string" },
            ca: { type: "string" },
            svg: { type: "string" },
            json: { type: "string" },
            yes: { type: "boolean", default: false },
            help: { type: "boolean", short: "h", default: false },
        },
    });
    if (given.help) {
        console.log(usage);
        return 0;
    }
    for (const result of ["svg", "json"] as const) checkResultFile(result, given[result]);
    const ca = authorities(given.ca);
    const stack = await readStack(given.stack);
    const [name, output] = chooseModel(stack, given.model);
    const settings = stackSettings(stack).models[name];
    const number = (
        key: "workers" | "baseline" | "baseline-seconds" | "max-tokens" | "patience" | "down-patience" | "speed",
        fallback: number,
    ): number => {
        const value = given[key] === undefined ? fallback : Number(given[key]);
        if (!(value > 0)) throw new Error(`--${key} ${given[key]}: give a number above 0`);
        if (["workers", "baseline", "max-tokens"].includes(key) && !Number.isInteger(value)) {
            throw new Error(`--${key} ${given[key]}: give a whole number`);
        }
        return value;
    };
    const speed = number("speed", Number(process.env.OVH_SANDBOX_SPEED) || 1);
    const options: ProofOptions = {
        workers: number("workers", Math.ceil(1.6 * settings.scaling.target * Math.max(1, settings.replicas.min))),
        baseline: number("baseline", 2),
        baselineSeconds: number("baseline-seconds", 30),
        maxTokens: number("max-tokens", 256),
        ...patience(settings, speed),
        speed,
        platformPeriodMs: Number(process.env.OVH_AI_DEPLOY_POLL_MS) || 5000,
    };
    options.patienceSeconds = number("patience", options.patienceSeconds);
    options.downPatienceSeconds = number("down-patience", options.downPatienceSeconds);
    const api = stackApi(
        stack,
        (credentials) => new OvhClient(credentials, { requestTimeoutMs: 10_000, requestsPerMinute: 60 * speed }),
    );
    if (typeof api === "string") throw new Error(`the replica count cannot be read: ${api}`);
    const costOfReplica = stack.outputs.cost && replicaPrice(stack.outputs.cost, name);
    if (!(await agreed(settings, costOfReplica, options, given.yes))) {
        console.error("not begun");
        return notBegun;
    }
    const endpoint = {
        baseUrl: output.openAiBaseUrl,
        token: output.clientToken,
        ca,
    };
    const proof = await proveScaling({
        model: { ...settings, name },
        served: output.model,
        appId: output.appId,
        appUrl: output.appUrl,
        endpoint,
        api,
        options,
        log: (line) => console.log(styled("dim", line)),
    });
    print(proof);
    if (given.svg !== undefined) writeFileSync(given.svg, drawProof(proof, settings));
    if (given.json !== undefined) writeFileSync(given.json, JSON.stringify(proof, null, 4) + "\n");
    return proof.verdict.code;
}

/** Three times what boot and windows let one expect: a replica that takes longer is as good as none. */
function patience({ probes, scaling, timeouts }: ModelSettings, speed: number) {
    const boot = Math.max(probes.readiness.initialDelaySeconds, timeouts.createSeconds / 3);
    const up = (scaling.scaleUpStabilizationSeconds ?? 0) + boot;
    const down = (scaling.scaleDownStabilizationSeconds ?? 300) + 60;
    // Requests take their real time whatever the speed of the platform.
    return { patienceSeconds: 60 + (3 * up) / speed, downPatienceSeconds: 30 + (3 * down) / speed };
}

/** Says what it can cost at most, and asks unless it has been told. */
async function agreed(
    { replicas }: ModelSettings,
    costOfReplica: number | undefined,
    options: ProofOptions,
    yes: boolean,
): Promise<boolean> {
    const seconds = options.baselineSeconds + options.patienceSeconds + options.downPatienceSeconds;
    const hours = (seconds * options.speed) / 3600;
    const added = replicas.max - Math.max(1, replicas.min);
    const cost =
        costOfReplica === undefined
            ? `what ${added} more replica(s) cost in that time (the stack's output \`cost\` has no price of them in euros)`
            : `${(added * costOfReplica * hours).toFixed(2)} euros more than without it`;
    console.log(
        `${options.workers} workers, up to ${replicas.max} replicas for at most ${duration(seconds * 1000)}. It can cost ${cost}.`,
    );
    if (yes) return true;
    if (!process.stdin.isTTY) throw new Error("nobody is there to be asked: give --yes");
    const asking = createInterface({ input: process.stdin, output: process.stdout });
    const answer = await asking.question("Begin? [y/N] ");
    asking.close();
    return /^y(es)?$/i.test(answer.trim());
}

function print({ parts, verdict, lost, requests }: Proof): void {
    const seconds = (value: number): string => `${value.toFixed(1)} s`;
    if (parts.length > 0) {
        const rows = parts.map(({ name, from, to, share, expected }) => [
            name,
            seconds(to - from),
            `${Math.round(share * 100)} %`,
            expected ? `${seconds(expected.seconds)}: ${expected.because}` : "",
        ]);
        console.log(`\n${table([["", "took", "share", "configured"], ...rows])}`);
    }
    console.log(
        `\n${requests.length} requests; lost while it scaled up: ${lost.up}, while it scaled down: ${lost.down}`,
    );
    const said =
        verdict.code === 0 ? styled("green", verdict.words) : styled("red", `${verdict.cause}: ${verdict.words}`);
    console.log(`\n${said}`);
}

main().then(
    (code) => process.exit(code),
    (error: Error) => {
        console.error(errorText(error));
        process.exit(notBegun);
    },
);
