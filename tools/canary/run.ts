import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { rootCertificates } from "node:tls";
import type { Credentials } from "../../packages/ai-deploy/src/api/credentials";
import type { Context } from "../../packages/ai-deploy/src/process/context";
import { styled } from "../../machine/terminal";
import { costOf, replicaPrice } from "../../src/prices/cost";
import type { ModelSettings } from "../../src/settings";
import { imageHoles } from "../../src/vllm/advisories";
import { pricesOf } from "../prices";
import { loadConfig, LoadRun, type LoadConfig } from "../loadtest";
import {
    chooseModel,
    project,
    pulumi,
    readStack,
    stackApi,
    stackSettings,
    type ModelOutput,
    type Stack,
} from "../stack";
import { readApp, wakeCommand } from "../verify/app";
import { compareAnswers, readQuestions, type Asked } from "./answers";
import { bringUp, canaryName, type CanarySpec } from "./app";
import { startKeeper } from "./keeper";
import { measureBoth } from "./measure";
import { readOptions, usage, type CanaryOptions } from "./options";
import { canariesOf, lifecycleContext, removeCanary, removeStrayTokens } from "./remove";
import { costText, resultText } from "./text";
import { judge, type Verdict } from "./verdict";

/** Seconds for the questions and the removal, over what boot and load may take. */
const spareSeconds = 900;

export interface Surroundings {
    /** Aborted by Ctrl-C. */
    signal: AbortSignal;
    /** Whether the person says yes to this question. */
    asks: (question: string) => Promise<boolean>;
    log: (line: string) => void;
    /** Puts load on both; tests give figures of their own. */
    measure?: typeof measureBoth;
}

/** What is to be compared with what. */
interface Plan {
    options: CanaryOptions;
    stack: Stack;
    /** Name of the model in the stack. */
    name: string;
    output: ModelOutput;
    settings: ModelSettings;
    spec: CanarySpec;
    credentials: Credentials;
    context: Context;
    /** Seconds from now to the canary's end. */
    seconds: number;
}

/** `npm run canary` with these options; resolves with the exit code. Rejects with an Error for people. */
export async function runCanary(args: string[], surroundings: Surroundings): Promise<number> {
    const options = readOptions(args);
    const { log, asks, signal } = surroundings;
    if (options.help) {
        log(usage);
        return 0;
    }
    const questions = readQuestions(options.answers);
    const stack = await readStack(options.stack);
    const api = stackApi(stack, (credentials) => credentials);
    if (typeof api === "string") throw new Error(api);
    const context = lifecycleContext(api.client, log);
    await clearAway(context, api.projectId, options.cleanUp);
    if (options.cleanUp) return 0;
    const plan = await makePlan(options, stack, { context, credentials: api.client, projectId: api.projectId });
    await announce(plan, log);
    if (!options.yes && !(await asks("Begin?"))) return 2;
    signal.throwIfAborted();
    const verdict = await tryOut(plan, questions, surroundings);
    if (verdict.decision !== "promote") return 1;
    await promote(plan, surroundings);
    return 0;
}

/** Removes the canaries whose end has come, or all, and the tokens of those that are gone. */
async function clearAway(context: Context, projectId: string, all: boolean): Promise<void> {
    for (const { name, mark, appId } of await canariesOf(context, projectId)) {
        if (!all && mark.until.getTime() > Date.now()) continue;
        context.progress(`${name} (${appId}) is a canary of ${mark.of} that was left behind: it is removed`);
        await removeCanary(context, { projectId, mark, name });
    }
    await removeStrayTokens(context, projectId);
}

async function makePlan(
    options: CanaryOptions,
    stack: Stack,
    { context, credentials, projectId }: Pick<Plan, "context" | "credentials"> & { projectId: string },
): Promise<Plan> {
    const [name, output] = chooseModel(stack, options.model);
    const present = stackSettings(stack).models[name];
    const changed = stackSettings(withChanges(stack, name, options));
    const settings = changed.models[name];
    if (settings.image === present.image && settings.revision === present.revision) {
        throw new Error(`models.${name} has this image and revision already: there is nothing to compare`);
    }
    const [other] = await canariesOf(context, projectId, name);
    if (other) {
        throw new Error(
            `a canary of ${name} stands already (${other.appId}), until ${other.mark.until.toISOString()}: wait for it, or remove ` +
                "it: npm run canary -- --clean-up",
        );
    }
    const { status } = await readApp({ client: context.client, projectId }, output.appId);
    const replicas = status.availableReplicas ?? 0;
    if (replicas < 1) {
        const wake = status.state === "STANDBY" ? `it is asleep; to wake it: ${wakeCommand}` : `it is ${status.state}`;
        throw new Error(`no replica of ${name} serves that a canary could be compared with: ${wake}`);
    }
    const seconds = settings.timeouts.createSeconds + 2 * options.seconds + spareSeconds;
    const mark = { id: randomBytes(8).toString("hex"), of: name, until: new Date(Date.now() + seconds * 1000) };
    const spec = { projectId, huggingFaceToken: changed.huggingFaceToken, mark, settings, replicas };
    return { options, stack, name, output, settings, spec, credentials, context, seconds };
}

/** The stack as it would be configured. */
function withChanges(stack: Stack, name: string, { image, revision }: CanaryOptions): Stack {
    const key = `${project}:models`;
    const models = JSON.parse(stack.config[key]?.value ?? "{}") as Record<string, object | undefined>;
    const changes = { ...(image !== undefined && { image }), ...(revision !== undefined && { revision }) };
    const value = JSON.stringify({ ...models, [name]: { ...models[name], ...changes } });
    return { ...stack, config: { ...stack.config, [key]: { ...stack.config[key], value } } };
}

async function announce({ name, settings, spec, stack, seconds, options }: Plan, log: (line: string) => void) {
    const holes = imageHoles(name, settings.image);
    if (holes && options.image !== undefined) log(styled("yellow", `${holes.what}. To mend them: ${holes.fix}`));
    const planned = stackSettings(stack);
    const prices = await pricesOf(planned.prices, stack.config);
    const price = replicaPrice(costOf(planned, prices), name);
    const what = [settings.image, settings.revision].filter((part) => part !== undefined).join(", revision ");
    log(`a canary of ${name} with ${what}`);
    log(costText(spec.replicas, `${settings.gpus} x ${settings.flavor}`, price, seconds));
}

/** Makes the canary, compares, and removes it, whatever comes. */
async function tryOut(
    plan: Plan,
    questions: ReturnType<typeof readQuestions>,
    { signal, log, measure = measureBoth }: Surroundings,
): Promise<Verdict> {
    const { spec, settings, output, credentials, context, options } = plan;
    const { projectId, mark } = spec;
    const name = canaryName(settings);
    const { deleteSeconds } = settings.timeouts;
    const keeper = await startKeeper({ credentials, canary: { projectId, mark, name, deleteSeconds } });
    try {
        const canary = await bringUp(context, spec, signal);
        const ca = options.ca === undefined ? undefined : [...rootCertificates, readFileSync(options.ca, "utf8")];
        const first: Asked = { baseUrl: output.openAiBaseUrl, token: output.clientToken, model: output.model, ca };
        const second: Asked = { ...first, baseUrl: `${canary.url}/v1`, token: canary.token };
        log(`${questions.length} questions to both, then the load for ${options.seconds} s`);
        const answers = await compareAnswers(first, second, questions, signal);
        const config = loadOf(plan);
        const run = ({ model, ...endpoint }: Asked): LoadRun => new LoadRun(config, model, endpoint);
        const load = await measure({ first: run(first), canary: run(second) }, signal);
        const verdict = judge(load, answers, { slower: options.slower, failing: settings.targets.errorBudget });
        await checkReplicas(plan, verdict);
        log(`\n${resultText(load, answers, verdict)}\n`);
        if (options.json !== undefined) {
            writeFileSync(options.json, JSON.stringify({ ...verdict, answers, ...load }, null, 4) + "\n");
        }
        return verdict;
    } finally {
        await keeper.end();
    }
}

/** The same load for both: as much to each replica as a busy hour brings, but not so much that the first scales. */
function loadOf({ options, settings, spec }: Plan): LoadConfig {
    const { trace, traceSpeed, seed, seconds } = options;
    if (trace !== undefined) return loadConfig({ trace, traceSpeed, seed });
    const { metric, target } = settings.scaling;
    const each = metric === "vllm:num_requests_running" ? Math.max(1, Math.floor(target / 2)) : 8;
    const workers = options.workers ?? Math.min(1000, each * spec.replicas);
    return loadConfig({ workers: [workers], duration: seconds, ramp: Math.min(10, seconds / 2), seed });
}

/** With another number of replicas than the canary, the first carried less or more to each. */
async function checkReplicas({ context, spec, output }: Plan, verdict: Verdict): Promise<void> {
    const { status } = await readApp({ client: context.client, projectId: spec.projectId }, output.appId);
    if (status.availableReplicas === spec.replicas) return;
    const why = `the first had ${status.availableReplicas ?? 0} at the end, the canary ${spec.replicas}: give fewer --workers`;
    verdict.findings.push({ what: "replicas", level: "unsure", why });
    if (verdict.decision === "promote") verdict.decision = "undecided";
}

/** Takes over what is new: by config alone, the next `pulumi up` rolls it out. */
async function promote({ name, options, stack }: Plan, { asks, log, signal }: Surroundings): Promise<void> {
    const { image, revision } = options;
    const values = Object.entries({ image, revision }).filter(([, value]) => value !== undefined) as [string, string][];
    const which = stack.name === undefined ? "" : ` --stack ${stack.name}`;
    for (const [key, value] of values) log(`pulumi config set${which} --path models.${name}.${key} ${value}`);
    log(`pulumi up${which}`);
    signal.throwIfAborted();
    if (!options.yes && !(await asks("Set this in the stack's config?"))) return;
    for (const [key, value] of values) {
        await pulumi(["config", "set", "--path", `${project}:models.${name}.${key}`, value], stack.name);
    }
    log("It is set; pulumi up rolls it out.");
}
