import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { configFiles, resolveCredentials } from "../../packages/ai-deploy/src/api/credentials";
import { defaultModel } from "../../src/settings/defaults";
import type { Targets } from "./measures";
import type { AppAddress } from "./replicas";

/** What the load goes to. */
export interface Target {
    /** OpenAI base URL, with `/v1` and without a slash at the end. */
    baseUrl: string;
    token?: string;
    /** What requests name as their model; undefined: whatever the app serves. */
    model?: string;
    /** Where the platform tells how many replicas are ready; a text says why that cannot be asked. */
    app: AppAddress | string;
    /** What the stack's config says of the model, where it does: see `Targets`. */
    targets?: Targets;
    /** Euros per hour of a replica. */
    replicaPrice?: number;
}

interface ServedModel {
    model: string;
    appId: string;
    openAiBaseUrl: string;
    clientToken: string;
}

/** A whole stack's config and outputs, with secrets: they stay in memory. */
interface Stack {
    outputs: { models?: Record<string, ServedModel> };
    config: Record<string, { value: string }>;
}

const project = "ovhcloud-llm-serving";

/**
 * The target in the outputs of a stack of this project; undefined: the selected stack. `model` is the model's name in the
 * stack config, needed when there are several. Throws an Error for people.
 */
export async function stackTarget(stackName: string | undefined, model: string | undefined): Promise<Target> {
    const stack = await readStack(stackName);
    const models = stack.outputs.models ?? {};
    const names = Object.keys(models);
    if (names.length === 0) throw new Error("the stack has no output `models`: run `pulumi up` first");
    const name = model ?? (names.length === 1 ? names[0] : undefined);
    if (name === undefined || !Object.hasOwn(models, name)) {
        const found = model === undefined ? "the stack has several models" : `the stack has no model "${model}"`;
        throw new Error(`${found}: choose one with --model ${names.join(" or --model ")}`);
    }
    const served = models[name];
    return {
        baseUrl: served.openAiBaseUrl,
        token: served.clientToken,
        model: served.model,
        app: appAddress((key) => stack.config[key]?.value, served.appId),
        ...modelConfig(stack.config[`${project}:models`]?.value, name),
    };
}

interface ModelConfig {
    targets: { timeToFirstToken: number; interTokenLatency: number };
    replicaPrice?: number;
}

/** Targets and price of a model, by the stack's config or by default. */
function modelConfig(models = "{}", name: string): Pick<Target, "targets" | "replicaPrice"> {
    const config = (JSON.parse(models) as Record<string, Partial<ModelConfig> | null>)[name];
    const { targets } = defaultModel(name) as unknown as ModelConfig;
    const { timeToFirstToken, interTokenLatency } = { ...targets, ...config?.targets };
    return {
        targets: { ttft: timeToFirstToken, itl: interTokenLatency },
        replicaPrice: config?.replicaPrice,
    };
}

/** A target that is in no stack: an URL with or without `/v1`, the token of `OPENAI_API_KEY`, and the app's id if known. */
export function urlTarget(url: string, model: string | undefined, appId: string | undefined): Target {
    let parsed: URL;
    try {
        parsed = new URL(url);
    } catch {
        throw new Error(`--url ${url} is not a URL: give the OpenAI base URL, such as https://HOST/v1`);
    }
    if (!/^https?:$/.test(parsed.protocol)) throw new Error(`--url ${url}: begin it with https:// or http://`);
    const path = parsed.pathname.replace(/\/+$/, "");
    return {
        baseUrl: parsed.origin + (path.endsWith("/v1") ? path : `${path}/v1`),
        token: process.env.OPENAI_API_KEY || undefined,
        model,
        app: appId === undefined ? "the app's id is not known (--app)" : appAddress(() => undefined, appId),
    };
}

/** The app as its provider reaches it, or why that is impossible. The load test itself needs no rights on the API. */
function appAddress(config: (key: string) => string | undefined, appId: string): AppAddress | string {
    const projectId = config(`${project}:projectId`) || process.env.OVH_CLOUD_PROJECT_SERVICE;
    if (!projectId) return "the project is not known: set OVH_CLOUD_PROJECT_SERVICE";
    try {
        const credentials = resolveCredentials({ config, env: process.env, files: configFiles() });
        return { credentials, projectId, appId };
    } catch (error) {
        return (error as Error).message;
    }
}

async function readStack(name: string | undefined): Promise<Stack> {
    const stack = name === undefined ? [] : ["--stack", name];
    // One after the other: each may ask for the stack's lock.
    const outputs = await pulumi(["stack", "output", "--json", "--show-secrets", ...stack]);
    const config = await pulumi(["config", "--json", "--show-secrets", ...stack]);
    return { outputs: JSON.parse(outputs), config: JSON.parse(config) };
}

async function pulumi(args: string[]): Promise<string> {
    const sandboxHint = 'for the sandbox, "source .sandbox/env" first';
    try {
        const { stdout } = await promisify(execFile)("pulumi", [...args, "--non-interactive", "--color", "never"], {
            cwd: resolve(__dirname, "../.."),
            maxBuffer: 64 * 1024 * 1024,
        });
        return stdout;
    } catch (error) {
        const { code, stderr } = error as { code?: string | number; stderr?: string };
        if (code === "ENOENT") throw new Error(`pulumi is not on the PATH: install it, or give --url; ${sandboxHint}`);
        // Not the error's message, which would repeat what was run; not stdout, which may hold secrets.
        throw new Error(`pulumi ${args[0]} failed (${sandboxHint}):\n${(stderr ?? "").trim()}`);
    }
}
