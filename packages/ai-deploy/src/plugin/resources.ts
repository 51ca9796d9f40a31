/** The resources of the plugin: the lifecycles of the dynamic provider, and what only a plugin is asked for. */
import { keepLabel } from "../app/adoption-label";
import { ifPossible } from "../process/session";
import * as lifecycles from "../provider";
import { isRotated, type TokenOutputs } from "../token/lifecycle";
import type { TokenInputs } from "../token/args";
import { unknownValue } from "../values/unknown";
import { pluginName } from "./identity";
import type { Properties } from "./messages";

interface Lifecycle {
    check(olds: Properties, news: Properties): Promise<{ inputs: Properties; failures: { reason: string }[] }>;
    diff(id: string, olds: Properties, news: Properties): Promise<{ changes: boolean; replaces: string[] }>;
    create(inputs: Properties): Promise<{ id: string; outs: object }>;
    read(id: string, known: Properties): Promise<{ id?: string; props?: object; inputs?: object }>;
    update(id: string, olds: Properties, news: Properties): Promise<{ outs: object }>;
    delete(id: string, known: Properties): Promise<unknown>;
}

export interface PluginResource {
    lifecycle: Lifecycle;
    /** What the platform adds to the inputs: unknown until the resource is made. */
    outputs: string[];
    /** Names of inputs and outputs that are secret. */
    secrets: string[];
    /** Inputs as the resource of this URN keeps them. */
    prepare?: (news: Properties, olds: Properties, urn: string) => Properties;
    /** Outputs that a change leaves as they are, for a preview. Default: none. */
    kept?: (olds: Properties, news: Properties) => string[];
    /** Whether a replacement deletes the old one first. */
    deleteBeforeReplace?: (news: Properties) => boolean;
}

const resources: Record<string, PluginResource> = {
    App: {
        lifecycle: lifecycles.app,
        outputs: ["appId", "url", "monitoringUrl", "state", "availableReplicas", "revision"],
        secrets: ["envVars"],
        prepare: (news, olds, urn) => ({
            ...news,
            adoptionLabel: keepLabel(news.adoptionLabel, urn, olds.adoptionLabel),
        }),
        kept: ({ appId, url }) => {
            // A creation without a clear answer may still become another app, one without an address gets one.
            if (!appId || !url) return [];
            const restarts = ifPossible()?.context.run.restarts.get(appId as string);
            return ["appId", "url", "monitoringUrl", ...(restarts === false ? ["revision"] : [])];
        },
        deleteBeforeReplace: ({ replaceFirst }) => replaceFirst !== true,
    },
    AppReady: {
        lifecycle: lifecycles.appReady,
        outputs: ["state"],
        secrets: [],
    },
    AppLeftovers: {
        lifecycle: lifecycles.appLeftovers,
        outputs: [],
        secrets: [],
        // That of the app with the same name and parent.
        prepare: (news, olds, urn) => ({
            ...news,
            adoptionLabel: keepLabel(news.adoptionLabel, urn.replace(":AppLeftovers::", ":App::"), olds.adoptionLabel),
        }),
    },
    Token: {
        lifecycle: lifecycles.token,
        outputs: ["value", "tokenId", "version", "previous"],
        secrets: ["value"],
        kept: (olds, news) =>
            isRotated(olds as unknown as TokenOutputs, news as unknown as TokenInputs)
                ? []
                : ["value", "tokenId", "version"],
    },
    Authorization: {
        lifecycle: lifecycles.authorization,
        outputs: ["authorized"],
        secrets: [],
        kept: () => ["authorized"],
    },
    DataSync: {
        lifecycle: lifecycles.dataSync,
        outputs: ["syncId", "state"],
        secrets: [],
        kept: () => ["syncId", "state"],
    },
};

/** `ovh-ai-deploy:index:App` of `urn:pulumi:STACK::PROJECT::PARENT$ovh-ai-deploy:index:App::NAME`. */
export function resourceOf(urn: string): PluginResource {
    const type = urn.split("::")[2].split("$").pop()!;
    const [name, , kind] = type.split(":");
    if (name === pluginName && Object.hasOwn(resources, kind)) return resources[kind];
    throw new Error(`${pluginName} has no resource ${type}: there are ${Object.keys(resources).join(", ")}`);
}

/** What a preview knows of a resource: its inputs, and those of its outputs that stay as they are. */
export function foreseen(resource: PluginResource, news: Properties, olds?: Properties): Properties {
    const kept = (olds && resource.kept?.(olds, news)) ?? [];
    const outputs = resource.outputs.map((name) => [name, kept.includes(name) ? olds![name] : unknownValue]);
    return { ...news, ...Object.fromEntries(outputs) };
}
