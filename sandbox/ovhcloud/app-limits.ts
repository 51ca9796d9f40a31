/** What the API's documentation rules out beyond its structure, which carries no limits but in prose. Each throws an ApiError 400. */
import { badRequest } from "./api-error";

type Fields = Record<string, any>;

/** Of a window of stabilization: "less than or equal to 3600 (one hour)" (the structure's prose). */
const longestWindow = 3600;
/** Of fixed scaling (deploy_guide_04_scaling_strategies). */
const mostReplicas = 10;

/** Minima of a probe's numbers (the structure's prose); no other time can be below 0 either. */
const atLeastOne = ["failureThreshold", "periodSeconds", "successThreshold", "timeoutSeconds"];

export function checkScaling({ automatic, fixed }: Fields): void {
    if (automatic && fixed) throw badRequest("scaling strategy: automatic and fixed exclude each other");
    if (!automatic && !fixed) throw badRequest("scaling strategy: automatic or fixed is needed");
    if (fixed && isOutside(fixed.replicas, 1, mostReplicas)) {
        throw badRequest(`fixed scaling: 1 to ${mostReplicas} replicas`);
    }
    if (automatic) checkAutomatic(automatic as Fields);
}

function checkAutomatic({ replicasMin, replicasMax, customMetrics, ...rest }: Fields): void {
    const refuse = (what: string) => badRequest(`automatic scaling: ${what}`);
    if (isOutside(replicasMin, 0)) throw refuse("replicasMin is below 0");
    if (isOutside(replicasMax, 1)) throw refuse("replicasMax is below 1");
    if (replicasMin > replicasMax) throw refuse("replicasMin is above replicasMax");
    if (customMetrics && !(customMetrics.targetValue > 0)) throw refuse("targetValue must be above 0");
    for (const window of ["scaleUpStabilizationWindowSeconds", "scaleDownStabilizationWindowSeconds"]) {
        if (isOutside(rest[window], 0, longestWindow)) throw refuse(`${window} must be 0 to ${longestWindow}`);
    }
}

/** Those of an order or of a change. */
export function checkProbes({ livenessProbe, probe }: Fields): void {
    for (const [name, given] of Object.entries({ livenessProbe, probe }) as [string, Fields | null | undefined][]) {
        const low = atLeastOne.find((number) => isOutside(given?.[number], 1));
        if (low) throw badRequest(`${name}: ${low} is below its minimum, 1`);
        if (isOutside(given?.initialDelaySeconds, 0)) throw badRequest(`${name}: initialDelaySeconds is below 0`);
    }
    if (isOutside(livenessProbe?.successThreshold, 1, 1)) throw badRequest("livenessProbe: successThreshold must be 1");
}

/** What is not given is as the platform chooses. */
function isOutside(value: number | null | undefined, least: number, most = Infinity): boolean {
    return value !== null && value !== undefined && !(value >= least && value <= most);
}
