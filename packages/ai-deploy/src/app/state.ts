/** What the state keeps of an app, and the errors that bring it into the state. */
import type { AppState, LiveApp } from "./live";
import type { AppInputs } from "./args";
import type { Task } from "../process/context";
import { dropUndefined } from "../values/json";

/** What the state keeps of an app. `__provider` is Pulumi's, and must survive errors too. */
export interface AppOutputs extends AppInputs {
    /** Empty while a creation has had no clear answer. */
    appId: string;
    url: string;
    monitoringUrl: string;
    /** UNKNOWN while a creation has had no clear answer. */
    state: AppState | "UNKNOWN";
    availableReplicas: number;
    /** Goes up with each call that restarts replicas; absent in states of 0.1. */
    revision?: number;
    /** How the platform writes each field while all is as wanted; absent in states of 0.1, and after a failure. */
    marks?: Record<string, string>;
    /** The app was being brought up when something failed: the next update goes on waiting. */
    unsettled?: boolean;
    /** Only while UNKNOWN: apps that had an owner when the creation was tried, so none of them came of it. */
    owned?: string[];
    __provider?: string;
}

/** Pulumi's contract for "it exists, but is not well": the engine saves `id` and `properties`, and shows `reasons`. */
export interface InitError extends Error {
    id: string;
    properties: AppOutputs;
    reasons: string[];
}

/** What an app as it is adds to the inputs. `kept`: what the state holds besides. */
export function outputs(
    live: LiveApp,
    inputs: AppInputs,
    kept: Pick<AppOutputs, "revision" | "marks" | "unsettled" | "__provider"> = {},
): AppOutputs {
    return {
        ...inputs,
        ...dropUndefined(kept),
        appId: live.id,
        url: live.status.url ?? "",
        monitoringUrl: live.status.monitoringUrl ?? "",
        state: live.status.state,
        availableReplicas: live.status.availableReplicas ?? 0,
    };
}

export function inputsOf(known: AppOutputs): AppInputs {
    const {
        appId: _id,
        url: _url,
        monitoringUrl: _monitoring,
        state: _state,
        availableReplicas: _replicas,
        revision: _revision,
        marks: _marks,
        unsettled: _unsettled,
        owned: _owned,
        __provider: _provider,
        ...inputs
    } = known;
    // Written by versions between 0.1 and 0.2.
    delete (inputs as { fingerprint?: string }).fingerprint;
    return inputs;
}

/** The platform's id. The resource's id differs when the creation had no clear answer at first. */
export function appIdOf(id: string, known: Pick<AppOutputs, "appId">): string {
    return known.appId ?? id;
}

export function secretsOf(inputs: AppInputs): string[] {
    return Object.values(inputs.envVars ?? {});
}

/** Runs what comes after an app is known to exist: its failure must not lose the app. */
export async function asInitError<T>(
    { inputs }: Pick<Task<AppInputs>, "inputs">,
    live: LiveApp,
    work: () => Promise<T>,
    kept?: Pick<AppOutputs, "revision" | "unsettled">,
): Promise<T> {
    try {
        return await work();
    } catch (error) {
        throw initError(live, inputs, error as Error, kept);
    }
}

/** An error that brings the app into the state. `unsettled` says that it has not come up yet. */
export function initError(
    live: LiveApp,
    inputs: AppInputs,
    error: Error,
    kept: Pick<AppOutputs, "revision" | "unsettled"> = { revision: 1, unsettled: true },
): Error {
    return "id" in error ? error : Object.assign(error, { id: live.id, properties: outputs(live, inputs, kept) });
}

/** A creation whose outcome cannot be learnt now. It is kept in the state, so that the next command looks again. */
export function unresolved({ run, inputs }: Task<AppInputs>, error: Error): Error {
    const properties: AppOutputs = {
        ...inputs,
        appId: "",
        url: "",
        monitoringUrl: "",
        state: "UNKNOWN",
        availableReplicas: 0,
        owned: [...run.fromState],
    };
    return Object.assign(error, { id: `unresolved-${inputs.adoptionLabel}`, properties });
}
