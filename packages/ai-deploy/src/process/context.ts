import type { OvhClient } from "../api/client";
import type { Poller } from "../waiting/poller";

/** What a lifecycle needs from its surroundings. */
export interface Context {
    client: OvhClient;
    poller: Poller;
    /** A line for the person who waits. */
    progress: (line: string) => void;
    run: Run;
}

/** What has been learnt in this run of Pulumi about who owns which app. */
export interface Run {
    /** Ids that came from a state: they have an owner, and no other resource takes them over or clears them away. */
    fromState: Set<string>;
    /** Ids that `create` gave to a resource: not deleted in this run in the name of an older one. */
    fromCreate: Set<string>;
    /** Apps that stay where they are, by id, and whether the change that is planned for them restarts replicas. */
    restarts: Map<string, boolean>;
    /** Adoption labels whose app this run has found in a state and deleted. */
    removed: Set<string>;
}

/** One call of Pulumi at work on one resource: what is wanted of it, until when, and the means. */
export interface Task<Inputs> extends Context {
    inputs: Inputs;
    /** In milliseconds of `performance.now()`. */
    deadline: number;
}

/** `seconds`: how long it may take. */
export function beginTask<Inputs>(context: Context, inputs: Inputs, seconds: number): Task<Inputs> {
    return { ...context, inputs, deadline: deadlineIn(seconds) };
}

export function deadlineIn(seconds: number): number {
    return performance.now() + seconds * 1000;
}
