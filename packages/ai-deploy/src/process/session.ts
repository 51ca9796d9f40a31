/** What Pulumi's provider process keeps from one call to the next. */
import { defaultRequestsPerMinute } from "../api/client";
import { openConnection, pace } from "../api/connection";
import { NoCredentialsError } from "../api/credentials";
import { Glances } from "../api/glances";
import { configKey } from "../errors/setting-names";
import { Poller } from "../waiting/poller";
import type { Context, Run } from "./context";
import { say } from "./say";

export interface ConfigureRequest {
    config: { get(key: string): string | undefined };
}

interface Surroundings {
    context: Context;
    glances: Glances;
    secrets: string[];
}

let config: ConfigureRequest["config"] | undefined;
let surroundings: Surroundings | undefined;
let run = beginRun();

function beginRun(): Run {
    return { fromState: new Set(), fromCreate: new Set(), restarts: new Map(), removed: new Set() };
}

/** Takes the stack's config. Pulumi may call methods of a resource before this has returned, so nothing here waits. */
export function configure(request: ConfigureRequest): Promise<void> {
    config = request.config;
    return Promise.resolve();
}

/** Pulumi configures each resource type once per process, so with that of the app a run begins. */
export function configureRun(request: ConfigureRequest): Promise<void> {
    run = beginRun();
    return configure(request);
}

/** The project of stack config or environment. */
export function configuredProject(): string | undefined {
    return config?.get(configKey("serviceName")) ?? process.env.OVH_CLOUD_PROJECT_SERVICE;
}

/** What this process works with, made when it is first needed: a preview of new resources needs no credentials. */
function surround(): Surroundings {
    if (!surroundings) {
        const { client, secrets } = openConnection((key) => config?.get(key), say);
        const { requestsPerMinute = defaultRequestsPerMinute, pollMs } = pace();
        surroundings = {
            context: {
                client,
                poller: new Poller({ requestsPerMinute, fixedMs: pollMs }),
                progress: say,
                // The one of the present run, whenever it is asked for.
                get run() {
                    return run;
                },
            },
            glances: new Glances(client),
            secrets,
        };
    }
    return surroundings;
}

export function context(): Context {
    return surround().context;
}

/** The same where it is of use but not needed: `undefined` without credentials. Those that cannot be used are a fault. */
export function ifPossible(): Pick<Surroundings, "context" | "glances"> | undefined {
    try {
        return surround();
    } catch (error) {
        if (error instanceof NoCredentialsError) return undefined;
        throw error;
    }
}

/** Secrets of what was made so far. */
export function sessionSecrets(): string[] {
    return surroundings?.secrets ?? [];
}
