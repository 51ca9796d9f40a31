import type { SpendAction } from "../../hours/wanted";
import { capacityAlerts } from "./capacity-alerts";
import { controllerAlerts, spendLimitAlert, unownedAppAlert } from "./controller-alerts";
import { frontDoorAlerts } from "./front-door-alerts";
import type { WatchedModel } from "./model";
import { monitoringAlerts, pathAlerts } from "./path-alerts";
import { recordingRules } from "./recording";
import type { RuleGroup } from "./rule";
import { sleepAlerts } from "./sleep-alerts";
import { spendAlerts, type Spend } from "./spend-alerts";
import { userAlerts } from "./user-alerts";

export type { WatchedModel } from "./model";
export type { Spend } from "./spend-alerts";
export { alertNames, type AlertName, type AlertRule, type RuleGroup } from "./rule";
export { largestBudget } from "./user-alerts";

/**
 * The rules of a model. Of one that is stopped on purpose nothing alerts.
 * @param runbooks address under which the runbooks are found, without a slash at the end
 */
export function modelRules(model: WatchedModel, runbooks: string): RuleGroup {
    const kinds = [userAlerts, capacityAlerts, pathAlerts, sleepAlerts, frontDoorAlerts, controllerAlerts];
    const alerts = kinds.flatMap((make) => make(model, runbooks));
    return {
        name: `vllm-${model.name}`,
        rules: [...recordingRules(model, runbooks), ...(model.desiredState === "STOPPED" ? [] : alerts)],
    };
}

/** The rules of what the controller knows of all models, and of the project. */
export function controllerRules(action: SpendAction | undefined, runbooks: string): RuleGroup {
    const spend = action ? spendLimitAlert(action, runbooks) : [];
    return { name: "model-controller", rules: [...spend, ...unownedAppAlert(runbooks)] };
}

/** The rules of the monitoring itself, which concern no model. */
export function stackRules(runbooks: string): RuleGroup {
    return { name: "monitoring", rules: monitoringAlerts(runbooks) };
}

/** The rules on what the whole stack costs; none without a limit. */
export function spendRules(spend: Spend, runbooks: string): RuleGroup {
    return { name: "spend", rules: spendAlerts(spend, runbooks) };
}
