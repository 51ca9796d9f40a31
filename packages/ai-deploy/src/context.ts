import type { OvhClient } from "./client";
import type { Poller } from "./poller";

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
    held: Set<string>;
    /** Ids that `create` gave to a resource: not deleted in this run in the name of an older one. */
    given: Set<string>;
    /** Apps that stay where they are, by id, and whether the change that is planned for them restarts replicas. */
    restarts: Map<string, boolean>;
}
