import type { AppInputs } from "./args";
import { hasUnknown } from "./app-plan";

export interface CheckFailure {
    property: string;
    reason: string;
}

/** Everything in an app's inputs that the platform would refuse later, all at once. Values unknown in preview pass. */
export function checkApp(inputs: AppInputs): CheckFailure[] {
    const failures: CheckFailure[] = [];
    const fail = (property: string, reason: string): void => void failures.push({ property, reason });
    const known = <T>(value: T | undefined): value is T => value !== undefined && !hasUnknown(value);

    for (const property of ["name", "region", "image", "adoptionLabel"] as const) {
        const value = inputs[property] as unknown;
        if (typeof value !== "string" || value === "") fail(property, "is required: give a text that is not empty");
    }
    if (known(inputs.name) && !/^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$/.test(inputs.name)) {
        fail(
            "name",
            `"${inputs.name}" cannot be a name: use letters, digits, ".", "_" and "-", a letter or digit at both ends`,
        );
    }
    if (!inputs.serviceName) {
        fail(
            "serviceName",
            "is not set: give the Public Cloud project id, here, as stack config ovh:serviceName, or as OVH_CLOUD_PROJECT_SERVICE",
        );
    }
    if (!inputs.resources?.flavor) fail("resources.flavor", "is required, such as h100-1-gpu");
    for (const unit of ["gpu", "cpu", "flavorCount"] as const) {
        const count = inputs.resources?.[unit];
        if (known(count) && !(Number.isInteger(count) && count >= 1)) {
            fail(`resources.${unit}`, `is ${count}: give a whole number from 1`);
        }
    }
    if (
        [inputs.resources?.gpu, inputs.resources?.cpu, inputs.resources?.flavorCount].filter((n) => n !== undefined)
            .length > 1
    ) {
        fail("resources", "gpu, cpu and flavorCount exclude each other: give one");
    }
    for (const property of ["defaultHttpPort", "grpcPort"] as const) {
        const port = inputs[property];
        if (known(port) && !validPort(port)) fail(property, `is ${port}: a port is a whole number from 1 to 65535`);
    }
    for (const name of Object.keys(inputs.labels ?? {})) {
        if (name.startsWith("ovh/")) {
            fail(`labels.${name}`, "labels that begin with ovh/ belong to the platform: choose another name");
        }
    }
    for (const name of Object.keys(inputs.envVars ?? {})) {
        if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
            fail(`envVars.${name}`, "is no name of a variable: use letters, digits and _, no digit first");
        }
    }
    if (known(inputs.volumes)) {
        const seen = new Set<string>();
        inputs.volumes.forEach(({ mountPath }, i) => {
            if (!mountPath?.startsWith("/")) {
                fail(`volumes[${i}].mountPath`, `is "${mountPath}": give a path that begins with /`);
            } else if (seen.has(mountPath)) fail(`volumes[${i}].mountPath`, `${mountPath} is mounted twice`);
            seen.add(mountPath);
        });
    }
    for (const probe of ["livenessProbe", "readinessProbe"] as const) {
        const { path, port, ...times } = inputs[probe] ?? {};
        if (known(path) && !path.startsWith("/")) fail(`${probe}.path`, `is "${path}": give a path that begins with /`);
        if (known(port) && !validPort(port)) {
            fail(`${probe}.port`, `is ${port}: a port is a whole number from 1 to 65535`);
        }
        for (const [name, value] of Object.entries(times)) {
            const least = name === "initialDelaySeconds" ? 0 : 1;
            if (known(value) && !(Number.isInteger(value) && value >= least)) {
                fail(`${probe}.${name}`, `is ${value}: give a whole number from ${least}`);
            }
        }
    }
    if (known(inputs.livenessProbe?.successThreshold) && inputs.livenessProbe?.successThreshold !== 1) {
        fail("livenessProbe.successThreshold", "must be 1 for liveness");
    }
    checkScaling(inputs, fail);
    return failures;
}

function checkScaling({ scalingStrategy }: AppInputs, fail: (property: string, reason: string) => void): void {
    if (scalingStrategy === undefined || typeof scalingStrategy !== "object") return;
    const { fixed, automatic } = scalingStrategy;
    if (fixed && automatic) fail("scalingStrategy", "fixed and automatic exclude each other: give one");
    if (!fixed && !automatic) fail("scalingStrategy", "give fixed or automatic");
    const number = (value: unknown): value is number => typeof value === "number";
    if (fixed && number(fixed.replicas) && !(fixed.replicas >= 1 && fixed.replicas <= 10)) {
        fail("scalingStrategy.fixed.replicas", `is ${fixed.replicas}: the platform allows 1 to 10`);
    }
    if (!automatic) return;
    const { replicasMin, replicasMax, customMetrics, resourceType } = automatic;
    const at = "scalingStrategy.automatic";
    if (number(replicasMin) && replicasMin < 0) fail(`${at}.replicasMin`, `is ${replicasMin}: give 0 or more`);
    if (number(replicasMax) && replicasMax < 1) fail(`${at}.replicasMax`, `is ${replicasMax}: give 1 or more`);
    if (number(replicasMin) && number(replicasMax) && replicasMin > replicasMax) {
        fail(`${at}.replicasMin`, `${replicasMin} is above replicasMax ${replicasMax}`);
    }
    if (customMetrics && number(customMetrics.targetValue) && !(customMetrics.targetValue > 0)) {
        fail(`${at}.customMetrics.targetValue`, `is ${customMetrics.targetValue}: give a number above 0`);
    }
    if (customMetrics && resourceType) fail(at, "customMetrics and resourceType exclude each other: give one");
    for (const window of ["scaleUpStabilizationWindowSeconds", "scaleDownStabilizationWindowSeconds"] as const) {
        const seconds = automatic[window];
        if (number(seconds) && !(seconds >= 0 && seconds <= 3600)) {
            fail(`${at}.${window}`, `is ${seconds}: give 0 to 3600`);
        }
    }
    if (number(automatic.cooldownPeriodSeconds) && number(replicasMin) && replicasMin !== 0) {
        fail(`${at}.cooldownPeriodSeconds`, "only counts with replicasMin 0: leave it out");
    }
}

function validPort(port: number): boolean {
    return Number.isInteger(port) && port >= 1 && port <= 65535;
}
