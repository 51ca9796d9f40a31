import * as pulumi from "@pulumi/pulumi";
import { checkCredentials } from "pulumi-ovh-ai-deploy";
import { readStackFile } from "./stack-file";
import { parseSettings, SettingsError, type RawConfig } from "./parse";
import type { SettingsChecks } from "./checks/config";
import type { Settings } from "./schema";
import { settingsWarnings } from "./warnings";

/** The settings of the stack, secrets marked. */
export interface StackSettings extends Omit<
    Settings,
    "huggingFaceToken" | "grafanaTlsKey" | "appReaderKey" | "clientKeys" | "frontDoorTlsKey" | "controllerClientSecret"
> {
    huggingFaceToken: pulumi.Output<string>;
    grafanaTlsKey?: pulumi.Output<string>;
    appReaderKey?: pulumi.Output<string>;
    clientKeys?: pulumi.Output<Record<string, string>>;
    frontDoorTlsKey?: pulumi.Output<string>;
    controllerClientSecret?: pulumi.Output<string>;
    /** True when a value inside `models` is encrypted; which one is not told, so all their variables are then secret. */
    modelsHoldSecrets: boolean;
    /** The same of `monitoring`; the chart's values are then secret. */
    monitoringHoldsSecrets: boolean;
}

/**
 * Reads and checks this project's stack config, and whether OVHcloud's credentials can be used: a preview without changes
 * would not need them, and the next `up` would be the first to fail.
 * @param checks what the parts of the program that use the settings know of them
 * @throws pulumi.RunError that lists every fault; Pulumi shows it as it is, without a stack trace.
 */
export function loadSettings(...checks: SettingsChecks[]): StackSettings {
    const config = readStackConfig(pulumi.getProject());
    const unusable = credentialsFault();
    try {
        const parsed = parseSettings(config, pulumi.getProject(), checks);
        const { huggingFaceToken, grafanaTlsKey, appReaderKey, controllerClientSecret, ...rest } = parsed;
        const { clientKeys, frontDoorTlsKey, ...settings } = rest;
        if (unusable) throw new pulumi.RunError(`${unusable}\nNothing was changed.`);
        const warnings = [...settingsWarnings(settings), ...checks.flatMap((check) => check.warnings(settings))];
        for (const warning of warnings) void pulumi.log.warn(warning);
        return {
            ...settings,
            huggingFaceToken: pulumi.secret(huggingFaceToken),
            ...(grafanaTlsKey && { grafanaTlsKey: pulumi.secret(grafanaTlsKey) }),
            ...(appReaderKey && { appReaderKey: pulumi.secret(appReaderKey) }),
            ...(clientKeys && { clientKeys: pulumi.secret(clientKeys) }),
            ...(frontDoorTlsKey && { frontDoorTlsKey: pulumi.secret(frontDoorTlsKey) }),
            ...(controllerClientSecret && { controllerClientSecret: pulumi.secret(controllerClientSecret) }),
            modelsHoldSecrets: config.secretKeys.has("models"),
            monitoringHoldsSecrets: config.secretKeys.has("monitoring"),
        };
    } catch (error) {
        if (!(error instanceof SettingsError)) throw error;
        throw new pulumi.RunError([error.message, ...(unusable ? [unusable] : [])].join("\n"));
    }
}

function credentialsFault(): string | undefined {
    try {
        checkCredentials();
        return undefined;
    } catch (error) {
        return (error as Error).message;
    }
}

/**
 * The project's own keys, decrypted. The runtime's map is read instead of `pulumi.Config`, which cannot list its keys
 * (an unknown one is a fault) and turns secrets into Outputs (whose faults would show too late).
 */
function readStackConfig(project: string): RawConfig {
    const prefix = `${project}:`;
    const keys = Object.keys(pulumi.runtime.allConfig()).filter((key) => key.startsWith(prefix));
    const values = keys.map((key) => [key.slice(prefix.length), pulumi.runtime.getConfig(key)!]);
    // Exported by the SDK, but left out of its types.
    const { isConfigSecret } = pulumi.runtime as unknown as { isConfigSecret: (key: string) => boolean };
    const secret = keys.filter((key) => isConfigSecret(key)).map((key) => key.slice(prefix.length));
    return {
        values: Object.fromEntries(values) as Record<string, string>,
        secretKeys: new Set(secret),
        stackFile: stackFile(project),
    };
}

function stackFile(project: string): RawConfig["stackFile"] {
    try {
        return readStackFile(pulumi.getRootDirectory(), project, pulumi.getStack());
    } catch (error) {
        throw new pulumi.RunError((error as Error).message);
    }
}
