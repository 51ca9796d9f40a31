/**
 * What the stubs in `resources.ts` call: Pulumi's dynamic-provider methods per resource. Loaded by package name in
 * Pulumi's provider process, so that the state holds no code but the stub.
 */
import * as appLife from "./app";
import * as authorizationLife from "./authorization";
import { OvhClient } from "./client";
import { configFiles, resolveCredentials } from "./credentials";
import * as tokenLife from "./token";

type Bag = any; // what Pulumi hands over is JSON of a shape that the resource's types tell

interface Config {
    get(key: string): string | undefined;
}

let config: Config | undefined;
let context: appLife.Context | undefined;

/**
 * Takes the stack's config. Pulumi may call methods of another resource before this has returned, so nothing here waits.
 */
function configure(request: { config: Config }): Promise<void> {
    config = request.config;
    return Promise.resolve();
}

/** The client of this process, made when it is first needed: a preview of new resources needs no credentials. */
function surroundings(): appLife.Context {
    if (!context) {
        const pollMs = positive("OVH_AI_DEPLOY_POLL_MS");
        const credentials = resolveCredentials({
            config: (key) => config?.get(key),
            env: process.env,
            files: configFiles(),
        });
        const client = new OvhClient(credentials, {
            requestsPerMinute: positive("OVH_AI_DEPLOY_REQUESTS_PER_MINUTE"),
            requestTimeoutMs: positive("OVH_AI_DEPLOY_REQUEST_TIMEOUT_MS"),
            backoffMs: pollMs,
        });
        context = { client, pollMs, progress: (line) => console.log(line) };
    }
    return context;
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

/** Errors of a partial success lack Pulumi's own property unless it is put back. */
function keepProvider(inputs: Bag): (error: Bag) => never {
    return (error) => {
        if (error?.properties) error.properties.__provider = inputs.__provider;
        throw error;
    };
}

export const app = {
    configure,
    check: async (_olds: Bag, news: Bag) => {
        const inputs = withProject(news);
        return { inputs, failures: appLife.check(inputs) };
    },
    diff: async (_id: string, olds: Bag, news: Bag) => appLife.diff(olds, withProject(news)),
    create: (inputs: Bag) => appLife.create(surroundings(), inputs).catch(keepProvider(inputs)),
    read: async (id: string, known: Bag) => {
        const found = await appLife.read(surroundings(), id, known);
        return found ? { id, props: found.outs, inputs: found.inputs } : {};
    },
    update: (id: string, _olds: Bag, news: Bag) =>
        appLife.update(surroundings(), id, withProject(news)).catch(keepProvider(news)),
    delete: (id: string, known: Bag) => appLife.remove(surroundings(), id, known),
};

export const token = {
    configure,
    check: async (_olds: Bag, news: Bag) => {
        const inputs = withProject(news);
        return { inputs, failures: tokenLife.check(inputs) };
    },
    diff: async (_id: string, olds: Bag, news: Bag) => tokenLife.diff(olds, withProject(news)),
    create: (inputs: Bag) => tokenLife.create(surroundings(), inputs),
    read: async (id: string, known: Bag) => {
        const found = await tokenLife.read(surroundings(), id, known);
        return found ? { id, props: found.outs, inputs: found.inputs } : {};
    },
    update: (id: string, olds: Bag, news: Bag) => tokenLife.update(surroundings(), id, olds, withProject(news)),
    delete: (id: string, known: Bag) => tokenLife.remove(surroundings(), id, known),
};

export const authorization = {
    configure,
    check: async (_olds: Bag, news: Bag) => {
        const inputs = withProject(news);
        return { inputs, failures: authorizationLife.check(inputs) };
    },
    diff: async (_id: string, olds: Bag, news: Bag) => authorizationLife.diff(olds, withProject(news)),
    create: (inputs: Bag) => authorizationLife.create(surroundings(), inputs),
    read: async (id: string, known: Bag) => {
        const found = await authorizationLife.read(surroundings(), known);
        return found ? { id, props: found.outs, inputs: found.inputs } : {};
    },
    update: async (_id: string, olds: Bag, news: Bag) => ({ outs: { ...olds, ...news } }),
    /** The API has no way back, and other users of the project may need it: it stays. */
    delete: async () => undefined,
};
