import type { AppInputs } from "./args";
import {
    adoptionLabelName,
    comparableInputs,
    comparableLive,
    dropEmpty,
    same,
    type AppState,
    type Comparable,
    type LiveApp,
} from "./app-spec";

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

/** States in which nothing of an app runs, and nothing will by itself. */
export const downStates: AppState[] = ["STOPPED", "STOPPING", "FAILED", "ERROR"];

/**
 * What would change from the state's outputs to new inputs. Time-outs and credentials never count. `state` is how the
 * app is now, if that could be seen, else as the outputs have it.
 */
export function diffApp(
    olds: AppInputs & { appId?: string; state?: string },
    news: AppInputs,
    state: string | undefined = olds.state,
): AppDiff {
    const before = comparableInputs(olds);
    const after = comparableInputs(news);
    const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])] as (keyof Comparable)[];
    const changed = fields.filter((field) => !same(before[field], after[field]));
    const replaces = changed
        .filter((field) => immutable.includes(field) || (onlySettable.includes(field) && after[field] === undefined))
        .map((field) => inputProperty[field] ?? field);
    if (olds.serviceName !== news.serviceName) replaces.push("serviceName");
    if (news.adopt !== undefined && news.adopt !== olds.adopt && news.adopt !== olds.appId) replaces.push("adopt");
    const wantsRunning = (news.desiredState ?? "RUNNING") === "RUNNING";
    const down = downStates.includes(state as AppState);
    const wrongState = wantsRunning ? down : state !== undefined && !down;
    return { changes: changed.length > 0 || replaces.length > 0 || wrongState, replaces: [...new Set(replaces)] };
}

/** Whether calls of the API can turn an app into what is wanted. */
export function canBecome(live: LiveApp, inputs: AppInputs): boolean {
    const is = comparableLive(live, inputs);
    const wanted = comparableInputs(inputs);
    return (
        immutable.every((field) => same(is[field], wanted[field])) &&
        !(live.spec.livenessProbe && !inputs.livenessProbe) &&
        !(live.spec.probe && !inputs.readinessProbe) &&
        !(live.spec.grpcPort && !inputs.grpcPort)
    );
}

/** One call that brings an app closer to what is wanted; `path` is below the app. */
export interface PlannedCall {
    path: string;
    body: object;
}

/**
 * The calls that turn an app, as it is now, into what is wanted; none when it is that already. A field also counts as
 * different when `before`, what the state holds, is: what was looked at may be older than the last write.
 *
 * In the order that leaves no gap if a later call fails: labels that are added (a token may already rely on them), the
 * fields, which are what the platform may refuse, the scaling, which may rely on a port or metric of the new fields, and
 * last the labels that go.
 */
export function planCalls(live: LiveApp, inputs: AppInputs, before?: AppInputs): PlannedCall[] {
    const wanted = comparableInputs(inputs);
    const others = [comparableLive(live, inputs), ...(before ? [comparableInputs(before)] : [])];
    const differs = (field: keyof Comparable): boolean => others.some((other) => !same(other[field], wanted[field]));
    /** Names in one of the maps under which something is not as wanted, with the value wanted, if any. */
    const entries = (field: "labels" | "envVars"): { name: string; value: string | undefined }[] => {
        const names = new Set([wanted, ...others].flatMap((one) => Object.keys(one[field])));
        return [...names]
            .filter((name) => others.some((other) => other[field][name] !== wanted[field][name]))
            .map((name) => ({ name, value: wanted[field][name] }));
    };

    const update: Record<string, unknown> = {};
    if (differs("image")) update.url = wanted.image;
    if (differs("command")) update.command = wanted.command;
    if (differs("defaultHttpPort")) update.defaultHttpPort = wanted.defaultHttpPort;
    if (wanted.grpcPort !== undefined && differs("grpcPort")) update.grpcPort = wanted.grpcPort;
    if (differs("flavor")) update.flavor = wanted.flavor;
    // A flavor and its number of units belong together.
    if (wanted.gpu !== undefined && (differs("gpu") || update.flavor)) update.gpu = wanted.gpu;
    if (wanted.cpu !== undefined && (differs("cpu") || update.flavor)) update.cpu = wanted.cpu;
    // The probes as a whole, with defaults: a key that was taken away must not stay.
    if (wanted.livenessProbe && differs("livenessProbe")) update.livenessProbe = wanted.livenessProbe;
    if (wanted.readinessProbe && differs("readinessProbe")) update.probe = wanted.readinessProbe;
    if (wanted.deploymentStrategy && differs("deploymentStrategy")) {
        update.deploymentStrategy = wanted.deploymentStrategy;
    }
    const variables = entries("envVars").map(({ name, value }) => ({ name, value: value ?? null }));
    if (variables.length > 0) update.envVars = variables;

    const labels = entries("labels");
    return [
        ...labels.filter(({ value }) => value !== undefined).map((body) => ({ path: "/label", body })),
        ...(Object.keys(update).length > 0 ? [{ path: "", body: update }] : []),
        ...(differs("scalingStrategy")
            ? [{ path: "/scalingstrategy", body: inputs.scalingStrategy ?? { fixed: { replicas: 1 } } }]
            : []),
        ...labels
            .filter(({ value }) => value === undefined)
            .map(({ name }) => ({ path: "/label", body: { name, value: null } })),
    ];
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
        const { flavor, gpu, flavorCount } = is;
        out.resources = { ...inputs.resources, ...dropEmpty({ flavor, gpu, flavorCount }) };
    }
    if (drifted("labels")) {
        const { [adoptionLabelName]: adoptionLabel, ...labels } = is.labels;
        out.labels = labels;
        out.adoptionLabel = adoptionLabel ?? "";
    }
    return Object.fromEntries(Object.entries(out).filter(([, value]) => value !== undefined)) as unknown as AppInputs;
}
