import { replicaPrice } from "../../src/prices/cost";
import { defaultModel } from "../../src/settings/defaults";
import { chooseModel, credentialsOf, project, projectIdOf, readStack, stackSettings } from "../stack";
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
    /** The stack's own cluster, and the monitoring's namespace in it. Throws an Error for people when there is none. */
    cluster?: () => { kubeconfig: string; namespace: string };
}

/**
 * The target in the outputs of a stack of this project; undefined: the selected stack. `model` is the model's name in the
 * stack config, needed when there are several. Throws an Error for people.
 */
export async function stackTarget(stackName: string | undefined, model: string | undefined): Promise<Target> {
    const stack = await readStack(stackName);
    const [name, served] = chooseModel(stack, model);
    return {
        baseUrl: served.openAiBaseUrl,
        token: served.clientToken,
        model: served.model,
        app: appAddress((key) => stack.config[key]?.value, served.appId),
        targets: targetsOf(stack.config[`${project}:models`]?.value, name),
        replicaPrice: stack.outputs.cost && replicaPrice(stack.outputs.cost, name),
        cluster: () => {
            const { kubeconfig } = stack.outputs;
            if (kubeconfig === undefined) {
                throw new Error("the stack has no output `kubeconfig`: run `pulumi up` first");
            }
            return { kubeconfig, namespace: stackSettings(stack).monitoring.namespace };
        },
    };
}

interface ModelConfig {
    targets: { timeToFirstToken: number; interTokenLatency: number };
}

/** Targets of a model, by the stack's config or by default. */
function targetsOf(models = "{}", name: string): Targets {
    const config = (JSON.parse(models) as Record<string, Partial<ModelConfig> | null>)[name];
    const { targets } = defaultModel(name) as unknown as ModelConfig;
    const { timeToFirstToken, interTokenLatency } = { ...targets, ...config?.targets };
    return { ttft: timeToFirstToken, itl: interTokenLatency };
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
    // Without the URL, which may hold a password.
    if (parsed.username || parsed.password || parsed.search) {
        throw new Error("--url: leave out what is before @ and after ?; the token is taken from OPENAI_API_KEY");
    }
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
    const projectId = projectIdOf(config);
    if (!projectId) return "the project is not known: set OVH_CLOUD_PROJECT_SERVICE";
    try {
        return { credentials: credentialsOf(config), projectId, appId };
    } catch (error) {
        return (error as Error).message;
    }
}
