import { OvhClient } from "./client";
import { configFiles, resolveCredentials, secretsOf, type Credentials } from "./credentials";

/** A value of the stack's config by its full key, such as `ovh:endpoint`. */
export type StackConfig = (key: string) => string | undefined;

/** The API as one credential. */
export interface Connection {
    client: OvhClient;
    /** The values that must appear nowhere. */
    secrets: string[];
}

/**
 * The API as whom stack config, environment or `ovh.conf` name. `log`: a line for the person who waits.
 * @throws what `pace` and `findCredentials` throw.
 */
export function openConnection(config: StackConfig, log: (line: string) => void): Connection {
    const { requestsPerMinute, requestTimeoutMs, pollMs } = pace();
    const credentials = findCredentials(config);
    return {
        client: new OvhClient(credentials, { requestsPerMinute, requestTimeoutMs, backoffMs: pollMs, log }),
        secrets: secretsOf(credentials),
    };
}

/** The credentials that this process is to use. Throws as `resolveCredentials`. */
export function findCredentials(config: StackConfig): Credentials {
    return resolveCredentials({ config, env: process.env, files: configFiles() });
}

/** How fast this process may ask, as the environment has it. Throws for what is no number. */
export function pace(): { requestsPerMinute?: number; requestTimeoutMs?: number; pollMs?: number } {
    return {
        requestsPerMinute: positive("OVH_AI_DEPLOY_REQUESTS_PER_MINUTE"),
        requestTimeoutMs: positive("OVH_AI_DEPLOY_REQUEST_TIMEOUT_MS"),
        pollMs: positive("OVH_AI_DEPLOY_POLL_MS"),
    };
}

function positive(variable: string): number | undefined {
    const text = process.env[variable];
    if (text === undefined || text === "") return undefined;
    const value = Number(text);
    if (!(value > 0)) throw new Error(`${variable} is "${text}": give a number above 0, or unset it`);
    return value;
}
