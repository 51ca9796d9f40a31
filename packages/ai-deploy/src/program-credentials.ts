import * as pulumi from "@pulumi/pulumi";
import { configFiles, NoCredentialsError, resolveCredentials, type Credentials } from "./credentials";

/** The credentials of the program that runs: those that its provider process will use. */
export function programCredentials(): Credentials {
    return resolveCredentials({
        // Not by `pulumi.Config`, which makes secrets into outputs.
        config: (key) => pulumi.runtime.getConfig(key),
        env: process.env,
        files: configFiles(),
    });
}

/**
 * Throws when OVHcloud's credentials are set but cannot be used, with the setting, where it was found and what to do.
 * None at all is no fault: a preview of new resources works without. For programs that check their config before the
 * first resource; without changes Pulumi asks for no credentials, and the next change would be the first to fail.
 */
export function checkCredentials(): void {
    try {
        programCredentials();
    } catch (error) {
        if (!(error instanceof NoCredentialsError)) throw error;
    }
}
