import type { AppInputs } from "./args";
import {
    comparableInputs,
    comparableLive,
    immutable,
    isAsWanted,
    onlySettable,
    scalingFor,
    type Comparable,
    type Field,
} from "./comparable";
import { adoptionLabelName, downStates, madeAsLabelName, wantedLabels, type AppState, type LiveApp } from "./live";
import { madeAs, madeAsNow } from "./made-as";
import { isMarked } from "./marks";
import type { AppOutputs } from "./state";
import { dropEmpty, dropUndefined, entry, same } from "../values/json";

/** Where a field of `Comparable` is in the inputs. */
const inputProperty: Partial<Record<Field, string>> = {
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

/** Body of `POST /ai/app`. */
export function createBody(inputs: AppInputs): object {
    return dropUndefined({
        name: inputs.name,
        region: inputs.region,
        image: inputs.image,
        resources: inputs.resources,
        command: inputs.command,
        defaultHttpPort: inputs.defaultHttpPort,
        grpcPort: inputs.grpcPort,
        labels: { ...wantedLabels(inputs), [madeAsLabelName]: madeAs(inputs) },
        unsecureHttp: inputs.unsecureHttp ?? false,
        envVars: Object.entries(inputs.envVars ?? {}).map(([name, value]) => ({ name, value })),
        volumes: inputs.volumes,
        livenessProbe: inputs.livenessProbe,
        probe: inputs.readinessProbe,
        scalingStrategy: inputs.scalingStrategy,
        deploymentStrategy: inputs.deploymentStrategy,
        partnerId: inputs.partnerId,
    });
}

/**
 * What would change from the state's outputs to new inputs. Time-outs and credentials never count. `state` is how the
 * app is now, if that could be seen, else as the outputs have it.
 */
export function diffApp(
    olds: AppInputs & { appId?: string; state?: string },
    news: AppInputs,
    state: string | undefined = olds.state,
): AppDiff {
    const after = comparableInputs(news);
    const changed = changedFields(olds, news);
    const replaces = changed
        .filter((field) => immutable.includes(field) || (onlySettable.includes(field) && after[field] === undefined))
        .map((field) => inputProperty[field] ?? field);
    if (olds.serviceName !== news.serviceName) replaces.push("serviceName");
    if (news.adopt !== undefined && news.adopt !== olds.adopt && news.adopt !== olds.appId) replaces.push("adopt");
    const changes = changed.length > 0 || replaces.length > 0 || isInWrongState(news, state, olds);
    return { changes, replaces: [...new Set(replaces)] };
}

/** What the API changes in an app while its replicas go on. */
const withoutRestart: Field[] = ["labels", "scalingStrategy"];

/**
 * Whether replicas start anew, or start at all, by a change that leaves the app in place.
 *
 * @param drifted fields that are not as the state has them
 * @param state how the app is now
 */
export function restartsReplicas(olds: AppInputs, news: AppInputs, drifted: Field[], state: string): boolean {
    const fields = [...changedFields(olds, news), ...drifted];
    return fields.some((field) => !withoutRestart.includes(field)) || isInWrongState(news, state, olds);
}

function changedFields(olds: AppInputs, news: AppInputs): Field[] {
    const before = comparableInputs(olds);
    const after = comparableInputs(news);
    const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])] as Field[];
    return fields.filter((field) => !same(before[field], after[field]));
}

/**
 * Whether an app is down because somebody else keeps it so, who may. `before`: what the state holds of it; one that was
 * to be stopped, and no longer is, is to be started.
 */
export function isHeldDown(
    { desiredState, mayBeStoppedBy }: Pick<AppInputs, "desiredState" | "mayBeStoppedBy">,
    state: string | undefined,
    before?: Pick<AppInputs, "desiredState">,
): boolean {
    if (mayBeStoppedBy === undefined || desiredState === "STOPPED" || before?.desiredState === "STOPPED") return false;
    return state === "STOPPED" || state === "STOPPING";
}

function isInWrongState(inputs: AppInputs, state: string | undefined, before: AppInputs): boolean {
    const { desiredState = "RUNNING" } = inputs;
    if (isHeldDown(inputs, state, before)) return false;
    const down = downStates.includes(state as AppState);
    return desiredState === "RUNNING" ? down : state !== undefined && !down;
}

/**
 * The fields that are not as wanted in an app, of those that a call can change. `known`: what the state holds of it. A
 * field that the platform writes as it did when the state was last well is as the state says, in whatever form.
 */
export function driftedFields(live: LiveApp, wanted: AppInputs, known: Pick<AppOutputs, "marks">): Field[] {
    const actual = comparableLive(live, wanted);
    const asked = comparableInputs(wanted);
    return (Object.keys(asked) as Field[]).filter(
        (field) =>
            !immutable.includes(field) &&
            !(known.marks && isMarked(field, live, known.marks, wanted)) &&
            !isAsWanted(field, actual, asked),
    );
}

/** One call that brings an app closer to what is wanted; `path` is below the app. */
export interface PlannedCall {
    path: string;
    body: object;
}

/**
 * The calls that turn an app, as it is now, into what is wanted; none when it is that already. A field also counts as
 * different when `before`, what the state holds, is: what was looked at may be older than the last write. Once the calls
 * were `sent`, only what the app still lacks counts.
 *
 * In the order that leaves no gap if a later call fails: labels that are added (a token may already rely on them), the
 * fields, which are what the platform may refuse, the scaling, which may rely on a port or metric of the new fields, and
 * last the labels that go.
 */
export function planCalls(
    live: LiveApp,
    inputs: AppInputs,
    before?: AppInputs & Pick<AppOutputs, "marks">,
    sent = false,
): PlannedCall[] {
    const wanted = comparableInputs(inputs);
    const actual = comparableLive(live, inputs);
    const known = before && comparableInputs(before);
    const drifted = before ? driftedFields(live, before, before) : [];
    const changed = (field: Field): boolean => known !== undefined && !same(known[field], wanted[field]);
    // What the platform writes as it did is as the state says; only the rest is taken from the app itself.
    const shows = (field: Field): boolean => !before?.marks || drifted.includes(field) || (sent && changed(field));
    const differs = (field: Field): boolean =>
        (!sent && changed(field)) || (shows(field) && !isAsWanted(field, actual, wanted));
    /** Names in one of the maps under which something is not as wanted, with the value wanted, if any. */
    const entries = (field: "labels" | "envVars"): { name: string; value: string | undefined }[] => {
        const others = [...(known && !sent ? [known] : []), ...(shows(field) ? [actual] : [])];
        const names = new Set([wanted, ...others].flatMap((app) => Object.keys(app[field])));
        return [...names]
            .filter((name) => others.some((other) => entry(other[field], name) !== entry(wanted[field], name)))
            .map((name) => ({ name, value: entry(wanted[field], name) }));
    };

    const update: Record<string, unknown> = {};
    if (differs("image")) update.url = inputs.image;
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
    const made = madeAsNow(live, inputs);
    if (made !== undefined && made !== live.spec.labels?.[madeAsLabelName]) {
        labels.push({ name: madeAsLabelName, value: made });
    }
    return [
        ...labels.filter(({ value }) => value !== undefined).map((body) => ({ path: "/label", body })),
        ...(Object.keys(update).length > 0 ? [{ path: "", body: update }] : []),
        ...(differs("scalingStrategy") ? [{ path: "/scalingstrategy", body: scalingFor(live, inputs) }] : []),
        ...labels
            .filter(({ value }) => value === undefined)
            .map(({ name }) => ({ path: "/label", body: { name, value: null } })),
    ];
}

/**
 * The inputs as they would read if they described the app as it is: each property that drifted shows the platform's
 * value, all others keep the user's form. What no call can change cannot have drifted in an app that is still the same.
 */
export function inputsFromLive(live: LiveApp, inputs: AppInputs, known: Pick<AppOutputs, "marks"> = {}): AppInputs {
    const actual: Partial<Comparable> = comparableLive(live, inputs);
    const out: Record<string, unknown> = { ...inputs };
    for (const field of driftedFields(live, inputs, known)) {
        if (inputProperty[field] === "resources") {
            const { flavor, gpu } = actual;
            out.resources = { ...inputs.resources, ...dropEmpty({ flavor, gpu }) };
        } else if (field === "labels") {
            const { [adoptionLabelName]: adoptionLabel, ...labels } = actual.labels!;
            out.labels = labels;
            out.adoptionLabel = adoptionLabel ?? "";
        } else {
            out[field] = actual[field];
        }
    }
    return dropUndefined(out) as unknown as AppInputs;
}
