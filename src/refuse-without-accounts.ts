import * as pulumi from "@pulumi/pulumi";
import { ApiError, connect } from "pulumi-ovh-ai-deploy";
import { maySleep, SettingsError, type Fault, type LimitsSettings, type ModelSettings } from "./settings";

interface AccountSettings {
    models: Record<string, ModelSettings>;
    limits: LimitsSettings;
    controllerClientId?: string;
    appReaderKey?: unknown;
}

/** Whether a model may sleep, so that somebody has to read its state. */
export function needsReader(models: Record<string, ModelSettings>): boolean {
    return Object.values(models).some((model) => maySleep(model) && model.desiredState !== "STOPPED");
}

/** Whether a model has something that is carried out in the cluster. */
function needsController(models: Record<string, ModelSettings>, { action }: LimitsSettings): boolean {
    return Object.values(models).some(
        ({ schedule, lease, desiredState }) =>
            desiredState !== "STOPPED" && (schedule.length > 0 || lease !== undefined || action !== undefined),
    );
}

/** What has to be given where the stack may make no accounts. */
function missingAccounts({ models, limits, controllerClientId, appReaderKey }: AccountSettings): Fault[] {
    const refused = "the stack's credentials may make no OAuth2 client (403):";
    const faults: Fault[] = [];
    if (appReaderKey === undefined && needsReader(models)) {
        const fix =
            `${refused} make a key that reads apps as docs/scaling.md says, then ` +
            "pulumi config set --secret appReaderKey (it asks for KEY:SECRET:CONSUMER)";
        faults.push({ key: "appReaderKey", found: "(not set)", fix });
    }
    if (controllerClientId === undefined && needsController(models, limits)) {
        const fix =
            `${refused} make an OAuth2 client with a policy as docs/hours.md says, then pulumi config set controllerClientId <id> ` +
            "and pulumi config set --secret controllerClientSecret (it asks for it)";
        faults.push({ key: "controllerClientId", found: "(not set)", fix });
    }
    return faults;
}

/**
 * Asks OVHcloud whether the stack's credentials may make the accounts that its programs in the cluster need: else the creation
 * would be the first to fail, in words that do not say what to do.
 * @throws pulumi.RunError in the words of those of the settings
 */
export async function refuseWithoutAccounts(settings: AccountSettings): Promise<void> {
    const faults = missingAccounts(settings);
    if (faults.length === 0) return;
    try {
        await connect().client.glance("/me/api/oauth2/client");
    } catch (error) {
        // No network, no credentials: a preview without them is still one.
        if (!(error instanceof ApiError && error.status === 403)) return;
        throw new pulumi.RunError(new SettingsError(faults, pulumi.getProject()).message);
    }
}
