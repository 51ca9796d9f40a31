import * as pulumi from "@pulumi/pulumi";
import { endpoint, getPublic } from "pulumi-ovh-ai-deploy";
import { cacheFolder } from "./prices/cache";
import { describeWeek } from "./hours/week";
import { costOf, replicaPrice, type Cost } from "./prices/cost";
import { limitFaults, limitWarnings } from "./prices/limits";
import { europe, findPrices } from "./prices/price-list";
import { costLine, frontDoorLine } from "./prices/text";
import { SettingsError } from "./settings";
import { settings } from "./stack-settings";

/**
 * What the stack that runs costs. The first call asks for the prices, says the cost in one line and the week of each model
 * that has a schedule, and refuses what is dearer than a limit.
 * @throws pulumi.RunError in the words of the settings' faults
 */
export function stackCost(): Promise<Cost> {
    return (found ??= findCost());
}

let found: Promise<Cost> | undefined;

async function findCost(): Promise<Cost> {
    const { limits } = settings;
    const project = pulumi.getProject();
    try {
        const sources = { cacheFolder: cacheFolder(), root: pulumi.getRootDirectory(), project, get: getPublic };
        const prices = await findPrices(settings.prices, { ...sources, endpoint: endpoint() ?? europe });
        const cost = costOf(settings, prices);
        const faults = limitFaults(cost, limits);
        await pulumi.log.info(costLine(cost, prices));
        for (const [name, model] of Object.entries(settings.models)) {
            if (model.schedule.length === 0) continue;
            await pulumi.log.info(describeWeek(name, model, new Date(), replicaPrice(cost, name)));
        }
        for (const name of Object.keys(settings.models)) {
            const line = frontDoorLine(name, cost);
            if (line) await pulumi.log.info(line);
        }
        if (faults.length > 0) throw new SettingsError(faults, project);
        for (const warning of limitWarnings(cost, limits)) await pulumi.log.warn(warning);
        return cost;
    } catch (error) {
        throw error instanceof SettingsError ? new pulumi.RunError(error.message) : error;
    }
}
