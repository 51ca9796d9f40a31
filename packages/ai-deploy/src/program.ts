/** The API as the program that runs may use it: with the credentials that its provider process will use. */
import * as pulumi from "@pulumi/pulumi";
import type { OvhClient } from "./api/client";
import { findCredentials, openConnection, type StackConfig } from "./api/connection";
import { configFiles, NoCredentialsError, resolveEndpoint, type Endpoint } from "./api/credentials";
import { missingProject } from "./errors/check-failure";
import { explain } from "./errors/explain";

// Not by `pulumi.Config`, which makes secrets into outputs.
const config: StackConfig = (key) => pulumi.runtime.getConfig(key);

/**
 * Throws when OVHcloud's credentials are set but cannot be used, with the setting, where it was found and what to do.
 * None at all is no fault: a preview of new resources works without. For programs that check their config before the
 * first resource; without changes Pulumi asks for no credentials, and the next change would be the first to fail.
 */
export function checkCredentials(): void {
    try {
        findCredentials(config);
    } catch (error) {
        if (!(error instanceof NoCredentialsError)) throw error;
    }
}

export interface Connection {
    client: OvhClient;
    /** The error as a person needs it, secrets masked. */
    explain: (error: unknown, doing: string) => Error;
}

/** One per program: look-ups share the rate limit. */
let connection: Connection | undefined;

/** The API as this program's credentials reach it, also for what has no look-up here. */
export function connect(): Connection {
    if (!connection) {
        const { client, secrets } = openConnection(config, (line) => void pulumi.log.info(line));
        connection = { client, explain: (error, doing) => explain(error, doing, secrets) };
    }
    return connection;
}

/** Where the API is, for what it tells everybody (`getPublic`) and for others that ask it; undefined where no endpoint is set. */
export function endpoint(): Endpoint | undefined {
    return resolveEndpoint({ config, env: process.env, files: configFiles() });
}

/** `given`, else the project of stack config or environment. Throws when there is none. */
export function projectOr(given: string | undefined): string {
    const project = given ?? config("ovh:serviceName") ?? process.env.OVH_CLOUD_PROJECT_SERVICE;
    if (!project) throw new Error(`serviceName ${missingProject()}`);
    return project;
}
