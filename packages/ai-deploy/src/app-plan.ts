import type { AppInputs } from "./args";
import { comparableInputs, comparableLive, same, type Comparable, type LiveApp } from "./app-spec";

/** Input properties that no call of the API can change in an app that exists. */
const immutable: (keyof Comparable)[] = ["name", "region", "volumes", "unsecureHttp", "partnerId", "flavorCount"];

/** Properties that the API can set, but not take away again. */
const onlySettable: (keyof Comparable)[] = ["livenessProbe", "readinessProbe", "grpcPort", "deploymentStrategy"];

/** Where a field of `Comparable` is in the inputs. */
const inputProperty: Partial<Record<keyof Comparable, string>> = {
    flavor: "resources",
    gpu: "resources",
    cpu: "resources",
    flavorCount: "resources",
};

export interface AppDiff {
    changes: boolean;
    /** Input properties that force a replacement. */
    replaces: string[];
}

/** Whether inputs hold a value that a preview cannot know yet. */
export function hasUnknown(value: unknown): boolean {
    if (typeof value === "string") return value === unknownValue;
    if (typeof value === "object" && value !== null) return Object.values(value).some(hasUnknown);
    return false;
}

/** `pulumi.runtime.unknownValue`, which stands for a value not known in preview. */
const unknownValue = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** What would change from the state's outputs to new inputs. Time-outs and credentials never count. */
export function diffApp(olds: AppInputs & { state?: string }, news: AppInputs): AppDiff {
    const before = comparableInputs(olds);
    const after = comparableInputs(news);
    const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])] as (keyof Comparable)[];
    const changed = fields.filter((field) => !same(before[field], after[field]));
    const replaces = changed
        .filter((field) => immutable.includes(field) || (onlySettable.includes(field) && after[field] === undefined))
        .map((field) => inputProperty[field] ?? field);
    if (olds.serviceName !== news.serviceName) replaces.push("serviceName");
    if (news.adopt !== undefined && news.adopt !== olds.adopt) replaces.push("adopt");
    const wantsRunning = (news.desiredState ?? "RUNNING") === "RUNNING";
    const down = ["STOPPED", "STOPPING", "FAILED", "ERROR"].includes(olds.state ?? "");
    const up = olds.state !== undefined && !down;
    const wrongState = wantsRunning ? down : up;
    return { changes: changed.length > 0 || replaces.length > 0 || wrongState, replaces: [...new Set(replaces)] };
}

/** Whether an app that exists can become what is wanted. One that cannot is an older generation, about to be replaced. */
export function canBecome(live: LiveApp, inputs: AppInputs): boolean {
    const is = comparableLive(live, inputs);
    const wanted = comparableInputs(inputs);
    return immutable.every((field) => same(is[field], wanted[field]));
}

/** One call that brings an app closer to what is wanted; `path` is below the app. */
export interface PlannedCall {
    path: string;
    body: object;
}

/**
 * The calls that turn an app, as it is now, into what is wanted; none when it is that already. Labels and scaling come
 * first, since they do not touch the containers; everything that restarts replicas goes into one last call.
 */
export function planCalls(live: LiveApp, inputs: AppInputs): PlannedCall[] {
    const is = comparableLive(live, inputs);
    const wanted = comparableInputs(inputs);
    const calls: PlannedCall[] = [];

    for (const name of new Set([...Object.keys(wanted.labels), ...Object.keys(is.labels)])) {
        if (wanted.labels[name] !== is.labels[name]) {
            calls.push({ path: "/label", body: { name, value: wanted.labels[name] ?? null } });
        }
    }
    if (!same(is.scalingStrategy, wanted.scalingStrategy)) {
        calls.push({ path: "/scalingstrategy", body: inputs.scalingStrategy ?? { fixed: { replicas: 1 } } });
    }
    const update: Record<string, unknown> = {};
    if (!same(is.image, wanted.image)) update.url = wanted.image;
    if (!same(is.command, wanted.command)) update.command = wanted.command;
    if (!same(is.defaultHttpPort, wanted.defaultHttpPort)) update.defaultHttpPort = wanted.defaultHttpPort;
    if (wanted.grpcPort !== undefined && is.grpcPort !== wanted.grpcPort) update.grpcPort = wanted.grpcPort;
    if (is.flavor !== wanted.flavor) update.flavor = wanted.flavor;
    if (wanted.gpu !== undefined && (is.gpu !== wanted.gpu || update.flavor)) update.gpu = wanted.gpu;
    if (wanted.cpu !== undefined && (is.cpu !== wanted.cpu || update.flavor)) update.cpu = wanted.cpu;
    // The probes as a whole, with defaults: a key that was taken away must not stay.
    if (wanted.livenessProbe && !same(is.livenessProbe, wanted.livenessProbe)) {
        update.livenessProbe = wanted.livenessProbe;
    }
    if (wanted.readinessProbe && !same(is.readinessProbe, wanted.readinessProbe)) update.probe = wanted.readinessProbe;
    if (wanted.deploymentStrategy && !same(is.deploymentStrategy, wanted.deploymentStrategy)) {
        update.deploymentStrategy = wanted.deploymentStrategy;
    }
    const env = [...new Set([...Object.keys(wanted.envVars), ...Object.keys(is.envVars)])]
        .filter((name) => wanted.envVars[name] !== is.envVars[name])
        .map((name) => ({ name, value: wanted.envVars[name] ?? null }));
    if (env.length > 0) update.envVars = env;
    if (Object.keys(update).length > 0) calls.push({ path: "", body: update });
    return calls;
}

/**
 * The inputs as they would read if they described the app as it is: each property that is as wanted keeps the user's
 * form, each that drifted shows the platform's.
 */
export function inputsFromLive(live: LiveApp, inputs: AppInputs): AppInputs {
    const is = comparableLive(live, inputs);
    const wanted = comparableInputs(inputs);
    const out: Record<string, unknown> = { ...inputs };
    const drifted = (field: keyof Comparable): boolean => !same(is[field], wanted[field]);
    for (const field of [
        "name",
        "region",
        "image",
        "command",
        "defaultHttpPort",
        "grpcPort",
        "unsecureHttp",
        "envVars",
        "volumes",
        "livenessProbe",
        "readinessProbe",
        "scalingStrategy",
        "deploymentStrategy",
        "partnerId",
    ] as const) {
        if (drifted(field)) out[field] = is[field];
    }
    if (drifted("flavor") || drifted("gpu") || drifted("flavorCount")) {
        out.resources = { ...inputs.resources, flavor: is.flavor, ...(is.gpu === undefined ? {} : { gpu: is.gpu }) };
    }
    if (drifted("labels")) {
        const { "pulumi-adoption-id": adoptionLabel, ...labels } = is.labels;
        out.labels = labels;
        out.adoptionLabel = adoptionLabel ?? "";
    }
    return Object.fromEntries(Object.entries(out).filter(([, value]) => value !== undefined)) as unknown as AppInputs;
}
