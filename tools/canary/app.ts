import { setTimeout as sleep } from "node:timers/promises";
import { checkApp } from "../../packages/ai-deploy/src/app/check";
import { create as createApp } from "../../packages/ai-deploy/src/app/lifecycle";
import { pathOf } from "../../packages/ai-deploy/src/app/find";
import { downStates, type LiveApp } from "../../packages/ai-deploy/src/app/live";
import type { AppInputs } from "../../packages/ai-deploy/src/app/args";
import { mask } from "../../packages/ai-deploy/src/errors/mask";
import { namesOf } from "../../packages/ai-deploy/src/errors/setting-names";
import type { Context } from "../../packages/ai-deploy/src/process/context";
import { create as createToken } from "../../packages/ai-deploy/src/token/lifecycle";
import type { TokenInputs } from "../../packages/ai-deploy/src/token/args";
import { appArgs, tokenArgs } from "../../src/inference/app-args";
import { transformed } from "../../src/transform";
import type { ModelSettings } from "../../src/settings";
import { transforms } from "../../transforms";
import { adoptionLabelOf, canaryLabels, labelsOf, type CanaryMark } from "./marks";

/** What a canary is made of. */
export interface CanarySpec {
    projectId: string;
    huggingFaceToken: string;
    mark: CanaryMark;
    /** Of the model, with what is new in it. */
    settings: ModelSettings;
    /** As many as the first app has, so that each carries the same. */
    replicas: number;
}

/** A canary that serves. */
export interface RunningCanary {
    appId: string;
    url: string;
    token: string;
}

/**
 * The app as the program would make it, transforms.ts included, but for what makes it a canary: its labels and no others, so that no
 * token of the model opens it; a number of replicas that stays; data stores that it may only read.
 */
export function canaryInputs({ projectId, huggingFaceToken, mark, settings, replicas }: CanarySpec): AppInputs {
    const model = canarySettings(settings, mark, replicas);
    const context = { name: mark.of, projectId, huggingFaceToken, adoptionLabel: adoptionLabelOf(mark) };
    const [, args] = transformed(transforms.model?.app, mark.of, appArgs(model, context), {});
    const inputs = { ...args, labels: labelsOf(mark) } as AppInputs;
    const faults = checkApp(inputs).map(({ property, reason }) => `${property} ${reason}`);
    if (faults.length > 0) throw new Error(`the canary cannot be made:\n${faults.join("\n")}`);
    return inputs;
}

/** Within the 63 characters of a name. */
export function canaryName({ appName }: Pick<ModelSettings, "appName">): string {
    return `${appName.slice(0, 56)}-canary`;
}

function canarySettings(settings: ModelSettings, mark: CanaryMark, replicas: number): ModelSettings {
    return {
        ...settings,
        appName: canaryName(settings),
        replicas: { min: replicas, max: replicas },
        labels: labelsOf(mark),
        tokens: { ...settings.tokens, label: canaryLabels.id },
        volumes: settings.volumes.map((volume) =>
            volume.dataStore ? { ...volume, permission: "RO" as const } : { ...volume, name: undefined },
        ),
        desiredState: "RUNNING",
        adopt: undefined,
    };
}

/**
 * Makes the app and its token, and waits until it serves.
 * @throws Error for people: it does not come up, in the platform's words; whatever `signal` was aborted with
 */
export async function bringUp(context: Context, spec: CanarySpec, signal: AbortSignal): Promise<RunningCanary> {
    const inputs = canaryInputs(spec);
    signal.throwIfAborted();
    const { id: appId } = await createApp(context, inputs);
    signal.throwIfAborted();
    const { mark, settings, projectId } = spec;
    const model = canarySettings(settings, mark, spec.replicas);
    const token = tokenArgs(model, "client", { name: mark.of, projectId, adoptionLabel: adoptionLabelOf(mark) });
    const { outs } = await createToken(context, { ...(token as TokenInputs), name: model.appName });
    const url = await untilServing(context, inputs, appId, spec.replicas, signal);
    return { appId, url, token: outs.value };
}

/** How often the platform is asked: 6 of the 60 requests a minute that OVHcloud allows. */
const periodMs = 10_000;

async function untilServing(
    { client, progress }: Context,
    inputs: AppInputs,
    appId: string,
    replicas: number,
    signal: AbortSignal,
): Promise<string> {
    const path = pathOf(inputs, appId);
    const seconds = inputs.timeouts!.createSeconds!;
    const end = performance.now() + seconds * 1000;
    const pauseMs = Number(process.env.OVH_AI_DEPLOY_POLL_MS) || periodMs;
    for (let said = ""; ;) {
        const { status } = await client.get<LiveApp>(path);
        const why = `${status.state}${status.info?.message ? `: ${status.info.message}` : ""}`;
        if (why !== said) progress(`${inputs.name} (${appId}) ${why}`);
        said = why;
        if (status.state === "RUNNING" && (status.availableReplicas ?? 0) >= replicas) return status.url!;
        if (downStates.includes(status.state)) {
            throw new Error(`the canary is ${why}\n${await lastLines(client, path, inputs)}`);
        }
        if (performance.now() > end) {
            throw new Error(
                `the canary did not serve within ${seconds} s (${namesOf(inputs)("timeouts.createSeconds")} raises the bound), it is ${why}`,
            );
        }
        await sleep(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
}

/** The end of the app's log, which may repeat its variables. */
async function lastLines(client: Context["client"], path: string, { envVars = {} }: AppInputs): Promise<string> {
    try {
        const { logs = [] } = await client.get<{ logs?: { content?: string }[] }>(`${path}/log?size=10`);
        return mask(logs.map(({ content = "" }) => `    ${content}`).join("\n"), Object.values(envVars));
    } catch (error) {
        return `    (its log cannot be read: ${(error as Error).message})`;
    }
}
