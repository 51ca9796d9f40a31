/**
 * What the stubs in `resources.ts` call: Pulumi's dynamic-provider methods per resource. Loaded by package name in
 * Pulumi's provider process, so that the state holds no code but the stub.
 */
import * as appLife from "./app";
import { checkApp, type CheckFailure } from "./app-check";
import * as appReadyLife from "./app-ready";
import * as authorizationLife from "./authorization";
import { assertFreshBuild } from "./build";
import { endWaitsOnCancel } from "./cancellation";
import { Capabilities, type Offer } from "./capabilities";
import { defaultRequestsPerMinute, OvhClient } from "./client";
import type { Context, Run } from "./context";
import { configFiles, NoCredentialsError, resolveCredentials, secretsOf } from "./credentials";
import * as dataSyncLife from "./data-sync";
import { endWithEngine } from "./engine-watch";
import { explain } from "./failure";
import { namesOf } from "./names";
import { Poller } from "./poller";
import * as tokenLife from "./token";
import { hasUnknown } from "./unknown";
import { isMap } from "./values";

assertFreshBuild(__dirname);
endWithEngine();
endWaitsOnCancel();

type Bag = any; // what Pulumi hands over is JSON of a shape that the resource's types tell

interface Config {
    get(key: string): string | undefined;
}

let config: Config | undefined;
let surroundings: { context: Context; capabilities: Capabilities; secrets: string[] } | undefined;
let run = newRun();

function newRun(): Run {
    return { held: new Set(), given: new Set(), restarts: new Map() };
}

/**
 * Values of the variables of each app that this process was handed. An app's log, of which errors show the end, may repeat
 * them, and a wait for the app is not handed them.
 */
const variables = new Set<string>();

/**
 * Takes the stack's config. Pulumi may call methods of another resource before this has returned, so nothing here waits.
 */
function configure(request: { config: Config }): Promise<void> {
    config = request.config;
    return Promise.resolve();
}

/** What this process works with, made when it is first needed: a preview of new resources needs no credentials. */
function surround(): NonNullable<typeof surroundings> {
    if (!surroundings) {
        const pollMs = positive("OVH_AI_DEPLOY_POLL_MS");
        const requestsPerMinute = positive("OVH_AI_DEPLOY_REQUESTS_PER_MINUTE") ?? defaultRequestsPerMinute;
        const credentials = resolveCredentials({
            config: (key) => config?.get(key),
            env: process.env,
            files: configFiles(),
        });
        const client = new OvhClient(credentials, {
            requestsPerMinute,
            requestTimeoutMs: positive("OVH_AI_DEPLOY_REQUEST_TIMEOUT_MS"),
            backoffMs: pollMs,
            log: (line) => console.log(line),
        });
        surroundings = {
            context: {
                client,
                poller: new Poller({ requestsPerMinute, fixedMs: pollMs }),
                progress: (line) => console.log(line),
                // The one of the present run, whenever it is asked for.
                get run() {
                    return run;
                },
            },
            capabilities: new Capabilities(client),
            secrets: secretsOf(credentials),
        };
    }
    return surroundings;
}

const context = (): Context => surround().context;

/** The same where it is of use but not needed: `undefined` without credentials. Those that cannot be used are a fault. */
function ifPossible(): NonNullable<typeof surroundings> | undefined {
    try {
        return surround();
    } catch (error) {
        if (error instanceof NoCredentialsError) return undefined;
        throw error;
    }
}

function positive(variable: string): number | undefined {
    const text = process.env[variable];
    if (text === undefined || text === "") return undefined;
    const value = Number(text);
    if (!(value > 0)) throw new Error(`${variable} is "${text}": give a number above 0, or unset it`);
    return value;
}

/** Inputs with the project filled in, as they are kept. */
function withProject(news: Bag): Bag {
    const serviceName = news.serviceName ?? config?.get("ovh:serviceName") ?? process.env.OVH_CLOUD_PROJECT_SERVICE;
    return serviceName === undefined ? news : { ...news, serviceName };
}

/** What the platform has in the region of these inputs, as far as that can be learnt now. */
async function offerFor({ serviceName, region }: Bag): Promise<Offer> {
    const askable = [serviceName, region].every((text) => typeof text === "string" && text !== "" && !hasUnknown(text));
    return (askable && (await ifPossible()?.capabilities.offer(serviceName as string, region as string))) || {};
}

/**
 * What `check` answers. The property is part of the text, by the user's name for it: Pulumi would print the value of the
 * property beside it, which is none for a property within another, and may be a secret.
 */
function checked(inputs: Bag, failures: CheckFailure[]): { inputs: Bag; failures: CheckFailure[] } {
    const named = namesOf(inputs);
    return {
        inputs,
        failures: failures.map(({ property, reason }) => ({ property: "", reason: `${named(property)} ${reason}` })),
    };
}

/** Refuses a new selector that apps of others fit too. A token that has it already is only warned of: it may be in use. */
async function sharedSelector(olds: Bag, inputs: Bag): Promise<CheckFailure[]> {
    const { serviceName, labelSelector, app: own } = inputs;
    if (!own || !labelSelector || hasUnknown(labelSelector) || !serviceName || hasUnknown(serviceName)) return [];
    const carriers = await ifPossible()?.capabilities.appsWith(serviceName, labelSelector);
    const others = tokenLife.strangers(inputs, carriers ?? []);
    const isNew = olds?.labelSelector !== labelSelector;
    // A token of before whose app's label is not known now: the app may well be ours.
    if (others.length === 0 || (!isNew && hasUnknown(own))) return [];
    const failure = tokenLife.sharedSelector(inputs, others);
    if (isNew) return [failure];
    console.log(`${inputs.name}: ${failure.property} ${failure.reason}`);
    return [];
}

/** The methods with errors made for people: secrets of this process masked, no stack, and Pulumi's own property kept. */
function withErrors<T extends Record<string, (...args: any[]) => Promise<any>>>(methods: T): T {
    const wrapped = Object.entries(methods).map(([name, method]) => [
        name,
        async (...args: Bag[]) => {
            for (const { envVars } of args.filter(isMap)) {
                for (const value of Object.values(isMap(envVars) ? envVars : {})) variables.add(String(value));
            }
            try {
                return await method(...args);
            } catch (error) {
                const told = explain(error, name, [...(surroundings?.secrets ?? []), ...variables]) as Bag;
                // Pulumi adds it to every answer but that of a partial success.
                if (told.properties) told.properties.__provider = args[args.length - 1].__provider;
                throw told;
            }
        },
    ]);
    return Object.fromEntries(wrapped) as T;
}

export const app = withErrors({
    /** Pulumi calls this once per process for each resource type, so a run begins here. */
    configure: (request: { config: Config }) => {
        run = newRun();
        return configure(request);
    },
    check: async (_olds: Bag, news: Bag) => {
        const inputs = withProject(news);
        return checked(inputs, checkApp(inputs, await offerFor(inputs)));
    },
    diff: (id: string, olds: Bag, news: Bag) => appLife.diff(ifPossible()?.context, id, olds, withProject(news)),
    create: (inputs: Bag) => appLife.create(context(), inputs),
    read: async (id: string, known: Bag) => {
        const found = await appLife.read(context(), id, known);
        return found ? { id: found.id, props: found.outs, inputs: found.inputs } : {};
    },
    update: (id: string, olds: Bag, news: Bag) => appLife.update(context(), id, olds, withProject(news)),
    delete: (id: string, known: Bag) => appLife.remove(context(), id, known),
});

export const appReady = withErrors({
    configure,
    check: async (_olds: Bag, news: Bag) => {
        const inputs = withProject(news);
        return checked(inputs, appReadyLife.check(inputs));
    },
    diff: async (_id: string, olds: Bag, news: Bag) => appReadyLife.diff(olds, withProject(news), run.restarts),
    create: (inputs: Bag) => appReadyLife.create(context(), inputs),
    read: async (id: string, known: Bag) => ({ id, props: known }),
    update: (_id: string, _olds: Bag, news: Bag) => appReadyLife.update(context(), withProject(news)),
    /** There is nothing to delete. */
    delete: async (_id: string, _known: Bag) => undefined,
});

export const token = withErrors({
    configure,
    check: async (olds: Bag, news: Bag) => {
        const inputs = withProject(news);
        const failures = tokenLife.check(inputs, (await offerFor(inputs)).regions);
        return checked(inputs, [...failures, ...(await sharedSelector(olds, inputs))]);
    },
    diff: async (_id: string, olds: Bag, news: Bag) =>
        tokenLife.diff(olds, withProject(news), (line) => console.log(line)),
    create: (inputs: Bag) => tokenLife.create(context(), inputs),
    read: async (id: string, known: Bag) => {
        const found = await tokenLife.read(context(), id, known);
        return found ? { id, props: found.outs, inputs: found.inputs } : {};
    },
    update: (id: string, olds: Bag, news: Bag) => tokenLife.update(context(), id, olds, withProject(news)),
    delete: (id: string, known: Bag) => tokenLife.remove(context(), id, known),
});

export const authorization = withErrors({
    configure,
    check: async (_olds: Bag, news: Bag) => {
        const inputs = withProject(news);
        return checked(inputs, authorizationLife.check(inputs));
    },
    diff: async (_id: string, olds: Bag, news: Bag) => authorizationLife.diff(olds, withProject(news)),
    create: (inputs: Bag) => authorizationLife.create(context(), inputs),
    read: async (id: string, known: Bag) => {
        const found = await authorizationLife.read(context(), known);
        return found ? { id, props: found.outs, inputs: found.inputs } : {};
    },
    update: async (_id: string, olds: Bag, news: Bag) => ({ outs: { ...olds, ...news } }),
    /** The API has no way back, and other users of the project may need it: it stays. */
    delete: async (_id: string, _known: Bag) => undefined,
});

export const dataSync = withErrors({
    configure,
    check: async (_olds: Bag, news: Bag) => {
        const inputs = withProject(news);
        return checked(inputs, dataSyncLife.check(inputs));
    },
    diff: async (_id: string, olds: Bag, news: Bag) => dataSyncLife.diff(olds, withProject(news)),
    create: (inputs: Bag) => dataSyncLife.create(context(), inputs),
    read: async (id: string, known: Bag) => {
        const found = await dataSyncLife.read(context(), known);
        return found ? { id, props: found } : {};
    },
    update: async (_id: string, olds: Bag, news: Bag) => ({ outs: { ...olds, ...news } }),
    /** A synchronization that was run cannot be undone. */
    delete: async (_id: string, _known: Bag) => undefined,
});
