/**
 * What the stubs in `resources.ts` call: Pulumi's dynamic-provider methods per resource. Loaded by package name in
 * Pulumi's provider process, so that the state holds no code but the stub.
 */
import { findOffer, type Offer } from "./api/offer";
import { checkApp } from "./app/check";
import { importApp } from "./app/import";
import * as appLeftoversLife from "./app/leftovers";
import * as appLife from "./app/lifecycle";
import { listApps } from "./app/list";
import type { LiveApp } from "./app/live";
import * as appReadyLife from "./app/ready";
import * as authorizationLife from "./authorization/lifecycle";
import * as dataSyncLife from "./data-sync/lifecycle";
import type { CheckFailure } from "./errors/check-failure";
import { explain } from "./errors/explain";
import { namesOf } from "./errors/setting-names";
import { endWithEngine } from "./process/engine-watch";
import { assertFreshBuild } from "./process/fresh-build";
import { say } from "./process/say";
import { configure, configuredProject, configureRun, context, ifPossible, sessionSecrets } from "./process/session";
import * as tokenCheck from "./token/check";
import * as tokenLife from "./token/lifecycle";
import { isMap } from "./values/json";
import { hasUnknown } from "./values/unknown";
import { endWaitsOnCancel } from "./waiting/cancellation";

assertFreshBuild(__dirname);
endWithEngine();
endWaitsOnCancel();

type Bag = any; // what Pulumi hands over is JSON of a shape that the resource's types tell

/**
 * Values of the variables of each app that this process was handed. An app's log, of which errors show the end, may repeat
 * them, and a wait for the app is not handed them.
 */
const variables = new Set<string>();

/** Inputs with the project filled in, as they are kept. */
function withProject(news: Bag): Bag {
    const serviceName = news.serviceName ?? configuredProject();
    return serviceName === undefined ? news : { ...news, serviceName };
}

/** What the platform has in the region of these inputs, as far as that can be learnt now. */
async function offerFor({ serviceName, region }: Bag): Promise<Offer> {
    const askable = [serviceName, region].every((text) => typeof text === "string" && text !== "" && !hasUnknown(text));
    const glances = askable ? ifPossible()?.glances : undefined;
    return glances ? findOffer(glances, serviceName as string, region as string) : {};
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

/** The failure of a selector that apps of others fit too, or a warning where that is no reason to refuse it. */
async function selectorFailures(olds: Bag, inputs: Bag): Promise<CheckFailure[]> {
    const shared = await tokenCheck.checkSelector(olds, inputs, async (serviceName, selector) => {
        const possible = ifPossible();
        if (!possible) return undefined;
        const { glances, context: means } = possible;
        const list = (): Promise<LiveApp[]> => listApps((path) => means.client.glance(path), serviceName, selector);
        return glances.once(`apps of ${serviceName} with ${selector}`, list);
    });
    if (!shared) return [];
    const { failure, refused } = shared;
    if (refused) return [failure];
    say(`${inputs.name}: ${failure.property} ${failure.reason}`);
    return [];
}

/** Whether nothing is known but an id, by which `pulumi import` or `get` asks; a dynamic resource is never asked so. */
function isImport(known: Bag): boolean {
    return Object.keys(known).length === 0;
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
                const explained = explain(error, name, [...sessionSecrets(), ...variables]) as Bag;
                // Pulumi adds it to every answer but that of a partial success.
                if (explained.properties) explained.properties.__provider = args[args.length - 1].__provider;
                throw explained;
            }
        },
    ]);
    return Object.fromEntries(wrapped) as T;
}

export const app = withErrors({
    configure: configureRun,
    check: async (_olds: Bag, news: Bag) => {
        const inputs = withProject(news);
        return checked(inputs, checkApp(inputs, await offerFor(inputs)));
    },
    diff: (id: string, olds: Bag, news: Bag) => appLife.diff(ifPossible()?.context, id, olds, withProject(news)),
    create: (inputs: Bag) => appLife.create(context(), inputs),
    read: async (id: string, known: Bag) => {
        const found = isImport(known)
            ? await importApp(context(), id, configuredProject())
            : await appLife.read(context(), id, known);
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
    diff: async (_id: string, olds: Bag, news: Bag) =>
        appReadyLife.diff(olds, withProject(news), ifPossible()?.context.run.restarts),
    create: (inputs: Bag) => appReadyLife.create(context(), inputs),
    read: async (id: string, known: Bag) => {
        if (isImport(known)) {
            throw new Error("a wait cannot be imported: declare the AppReady, it waits and makes nothing");
        }
        return { id, props: known };
    },
    update: (_id: string, _olds: Bag, news: Bag) => appReadyLife.update(context(), withProject(news)),
    /** There is nothing to delete. */
    delete: async (_id: string, _known: Bag) => undefined,
});

export const appLeftovers = withErrors({
    configure,
    check: async (_olds: Bag, news: Bag) => {
        const inputs = withProject(news);
        return checked(inputs, appLeftoversLife.check(inputs));
    },
    diff: async (_id: string, olds: Bag, news: Bag) => appLeftoversLife.diff(olds, withProject(news)),
    create: async (inputs: Bag) => ({ id: inputs.adoptionLabel as string, outs: inputs }),
    read: async (id: string, known: Bag) => {
        if (isImport(known)) {
            throw new Error("leftovers cannot be imported: declare the AppLeftovers, it makes nothing");
        }
        return { id, props: known };
    },
    // What is no longer given goes, or it would show as a change for ever.
    update: async (_id: string, _olds: Bag, news: Bag) => ({ outs: withProject(news) }),
    delete: (_id: string, known: Bag) => appLeftoversLife.remove(context(), known),
});

export const token = withErrors({
    configure,
    check: async (olds: Bag, news: Bag) => {
        const inputs = withProject(news);
        const failures = tokenCheck.check(inputs, (await offerFor(inputs)).regions);
        return checked(inputs, [...failures, ...(await selectorFailures(olds, inputs))]);
    },
    diff: async (_id: string, olds: Bag, news: Bag) => tokenLife.diff(olds, withProject(news), say),
    create: (inputs: Bag) => tokenLife.create(context(), inputs),
    read: async (id: string, known: Bag) => {
        if (isImport(known)) {
            throw new Error(
                "a token cannot be imported: OVHcloud shows its value only once. Declare a new Token in its place",
            );
        }
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
        const found = await authorizationLife.read(context(), isImport(known) ? { serviceName: id } : known);
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
        if (isImport(known)) {
            throw new Error("a synchronization that was run cannot be imported: declare a DataSync to run another");
        }
        const found = await dataSyncLife.read(context(), known);
        return found ? { id, props: found } : {};
    },
    update: async (_id: string, olds: Bag, news: Bag) => ({ outs: { ...olds, ...news } }),
    /** A synchronization that was run cannot be undone. */
    delete: async (_id: string, _known: Bag) => undefined,
});
