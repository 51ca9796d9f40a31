import * as pulumi from "@pulumi/pulumi";
import { ApiError, connect } from "pulumi-ovh-ai-deploy";
import { SettingsError, type LimitsSettings, type ModelSettings } from "../settings";

/** Whether a model has something that is carried out in the cluster. */
export function needsController(models: Record<string, ModelSettings>, { action }: LimitsSettings): boolean {
    return Object.values(models).some(
        ({ schedule, lease, desiredState }) =>
            desiredState !== "STOPPED" && (schedule.length > 0 || lease !== undefined || action !== undefined),
    );
}

/**
 * Asks OVHcloud whether the stack's credentials may make the controller's: else the creation would be the first to fail, in
 * words that do not say what to do.
 * @throws pulumi.RunError in the words of those of the settings
 */
export async function refuseWithoutClient(settings: {
    models: Record<string, ModelSettings>;
    limits: LimitsSettings;
    controllerClientId?: string;
}): Promise<void> {
    const { models, limits, controllerClientId } = settings;
    if (controllerClientId !== undefined || !needsController(models, limits)) return;
    try {
        await connect().client.glance("/me/api/oauth2/client");
    } catch (error) {
        // No network, no credentials: a preview without them is still one.
        if (!(error instanceof ApiError && error.status === 403)) return;
        const fix =
            "the stack's credentials may not make the controller's (403): make an OAuth2 client with a policy as docs/hours.md " +
            "says, then pulumi config set controllerClientId <id> and pulumi config set --secret controllerClientSecret (it asks for it)";
        const faults = [{ key: "controllerClientId", found: "(not set)", fix }];
        throw new pulumi.RunError(new SettingsError(faults, pulumi.getProject()).message);
    }
}
