import * as pulumi from "@pulumi/pulumi";
import { SettingsError, type ModelSettings } from "../settings";
import { preflightFaults, preflightWarnings } from "./preflight";
import { findProjectLimits } from "./project-limits";

/**
 * Asks OVHcloud whether it can do what the models' settings ask.
 * @throws pulumi.RunError that lists every fault, in the words of those of the settings
 */
export async function refuseImpossible(settings: {
    projectId: string;
    models: Record<string, ModelSettings>;
}): Promise<void> {
    const { projectId, models } = settings;
    const limits = await findProjectLimits(projectId, models);
    for (const warning of preflightWarnings(models, limits)) await pulumi.log.warn(warning);
    const faults = preflightFaults(models, limits);
    if (faults.length > 0) throw new pulumi.RunError(new SettingsError(faults, pulumi.getProject()).message);
}
