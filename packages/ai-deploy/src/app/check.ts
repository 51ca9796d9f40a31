import { checkProject, collectFailures, type CheckFailure, type Fail } from "../errors/check-failure";
import { isAppId } from "./find";
import { adoptionLabelName, madeAsLabelName } from "./live";
import type { AppInputs, Probe, ScalingStrategy } from "./args";
import type { Offer } from "../api/offer";
import { hasUnknown } from "../values/unknown";

/** Kubernetes' limit for a label's value. */
const maxLabelLength = 63;

/**
 * Everything in an app's inputs that the platform would refuse later, all at once. Values unknown in preview pass.
 * `offer`: what the platform has, as far as that is known.
 */
export function checkApp(inputs: AppInputs, offer: Offer = {}): CheckFailure[] {
    return collectFailures((fail) => {
        checkTexts(inputs, fail);
        checkProject(inputs.serviceName, fail);
        checkResources(inputs, offer, fail);
        checkCommand(inputs.command, fail);
        checkPorts(inputs, fail);
        checkLabels(inputs.labels, fail);
        checkVariables(inputs.envVars, fail);
        checkVolumes(inputs.volumes, fail);
        checkProbes(inputs, fail);
        checkScalings(inputs, fail);
        checkDeployment(inputs, fail);
        checkLife(inputs, fail);
    });
}

function checkTexts(inputs: AppInputs, fail: Fail): void {
    for (const property of ["name", "region", "image", "adoptionLabel"] as const) {
        const value = inputs[property] as unknown;
        if (typeof value !== "string" || value.trim() === "") {
            fail(property, "is required: give a text that is not empty");
        }
    }
    const { name, image, adoptionLabel } = inputs;
    if (isText(name) && !/^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$/.test(name)) {
        fail(
            "name",
            `"${name}" cannot be a name: use letters, digits, ".", "_" and "-", a letter or digit at both ends`,
        );
    }
    if (isText(image) && /\s/.test(image)) fail("image", `"${image}" cannot be an image: it has a space`);
    if (isText(adoptionLabel) && !/^[a-zA-Z0-9]([\w.-]*[a-zA-Z0-9])?$/.test(adoptionLabel)) {
        fail("adoptionLabel", `"${adoptionLabel}" cannot be a label's value: use letters, digits, ".", "_" and "-"`);
    }
    if (isText(adoptionLabel) && adoptionLabel.length > maxLabelLength) {
        fail("adoptionLabel", `is too long: a label's value has at most ${maxLabelLength} characters`);
    }
}

function checkResources({ region, resources }: AppInputs, offer: Offer, fail: Fail): void {
    if (isText(region) && offer.regions && !offer.regions.includes(region)) {
        fail("region", `"${region}" has no AI Deploy: there are ${offer.regions.join(", ")}`);
    }
    if (!known(resources)) return;
    if (!resources?.flavor) return fail("resources.flavor", "is required, such as h100-1-gpu");
    const given = (["gpu", "cpu", "flavorCount"] as const).filter((unit) => resources[unit] !== undefined);
    for (const unit of given) {
        const count = resources[unit];
        if (!(Number.isInteger(count) && count! >= 1)) {
            fail(`resources.${unit}`, `is ${count}: give a whole number from 1`);
        }
    }
    if (given.length > 1) fail("resources", "gpu, cpu and flavorCount exclude each other: give one");
    if (!offer.flavors) return;
    const flavor = offer.flavors.find(({ id }) => id === resources.flavor);
    if (!flavor) {
        const there = offer.flavors.map(({ id }) => id).join(", ");
        return fail("resources.flavor", `"${resources.flavor}" does not exist in ${region}: there are ${there}`);
    }
    for (const unit of given) {
        const count = resources[unit]!;
        if (unit !== "flavorCount" && unit !== flavor.type) {
            fail(
                `resources.${unit}`,
                `does not fit ${flavor.id}, which is a ${flavor.type} flavor: give ${flavor.type}`,
            );
        } else if (count > flavor.max) {
            fail(`resources.${unit}`, `is ${count}: ${flavor.id} has at most ${flavor.max} per replica in ${region}`);
        }
    }
}

/** A command that no container could run. */
function checkCommand(command: string[] | undefined, fail: Fail): void {
    if (!known(command) || command === undefined) return;
    if (command.some((word) => typeof word !== "string")) return fail("command", "give a list of texts");
    const [program, option, script, ...rest] = command;
    if (command.length > 0 && program.trim() === "") fail("command[0]", "is empty: give the program to run");
    if (command.length === 1 && /\s/.test(program.trim())) {
        fail("command", `"${program}" is one word, so a program of that name: split it, or use ["bash", "-c", "..."]`);
    }
    if (!/^(.*\/)?(ba|da|z)?sh$/.test(program ?? "") || !/^-[a-z]*c$/.test(option ?? "")) return;
    if (!script?.trim()) fail("command", `${program} ${option} needs the script as the next text`);
    else if (rest.length > 0 && !/\$[@*#0-9{]/.test(script)) {
        fail("command", `${program} ${option} runs only "${script}", the texts after it are lost: make it one text`);
    }
}

function checkPorts(inputs: AppInputs, fail: Fail): void {
    for (const property of ["defaultHttpPort", "grpcPort"] as const) checkPort(inputs[property], property, fail);
    if (known(inputs.grpcPort) && inputs.grpcPort === (inputs.defaultHttpPort ?? 8080)) {
        fail("grpcPort", `is ${inputs.grpcPort}, which defaultHttpPort is too: give another port`);
    }
}

function checkLabels(labels: AppInputs["labels"], fail: Fail): void {
    for (const label of keysOf(labels)) {
        if (label.startsWith("ovh/")) {
            fail(`labels.${label}`, "labels that begin with ovh/ belong to the platform: choose another name");
        }
        if (label === adoptionLabelName) fail(`labels.${label}`, "is set from adoptionLabel: leave it out here");
        if (label === madeAsLabelName) fail(`labels.${label}`, "is set by this package: leave it out here");
    }
}

function checkVariables(envVars: AppInputs["envVars"], fail: Fail): void {
    for (const variable of keysOf(envVars)) {
        if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) {
            fail(`envVars.${variable}`, "is no name of a variable: use letters, digits and _, no digit first");
        }
    }
    for (const [variable, value] of Object.entries(known(envVars) ? (envVars ?? {}) : {})) {
        // An update reads an empty value as "take the variable away".
        if (value === "") fail(`envVars.${variable}`, "is empty, which the platform does not keep: leave it out");
    }
}

function checkVolumes(volumes: AppInputs["volumes"], fail: Fail): void {
    if (!Array.isArray(volumes)) return;
    const seen = new Set<string>();
    volumes.forEach((volume, i) => {
        if (!known(volume)) return;
        const at = `volumes[${i}]`;
        const path = volume.mountPath?.replace(/(.)\/+$/, "$1");
        if (!path?.startsWith("/")) fail(`${at}.mountPath`, `is "${path}": give a path that begins with /`);
        else if (seen.has(path)) fail(`${at}.mountPath`, `${path} is mounted twice`);
        seen.add(path);
        if (!["RO", "RW", "RWD"].includes(volume.permission)) {
            fail(`${at}.permission`, `is "${volume.permission}": use RO, RW or RWD`);
        }
        const sources = Object.keys(volume.volumeSource ?? {});
        if (sources.length > 1) fail(`${at}.volumeSource`, `has ${sources.join(" and ")}: give one source`);
        if (volume.cache && sources.some((source) => source === "standalone" || source === "publicGit")) {
            fail(`${at}.cache`, `does not work with ${sources.join()}: leave it out`);
        }
    });
}

function checkProbes({ livenessProbe, readinessProbe }: AppInputs, fail: Fail): void {
    checkProbe(livenessProbe, "livenessProbe", fail);
    checkProbe(readinessProbe, "readinessProbe", fail);
    const successes = livenessProbe?.successThreshold;
    if (isNumber(successes) && successes !== 1) fail("livenessProbe.successThreshold", "must be 1 for liveness");
}

function checkProbe(probe: Probe | undefined, at: string, fail: Fail): void {
    if (typeof probe !== "object") return;
    const { path, port, ...times } = probe;
    if (isText(path) && !path.startsWith("/")) fail(`${at}.path`, `is "${path}": give a path that begins with /`);
    checkPort(port, `${at}.port`, fail);
    for (const [name, value] of Object.entries(times)) {
        const least = name === "initialDelaySeconds" ? 0 : 1;
        if (known(value) && !(Number.isInteger(value) && value >= least)) {
            fail(`${at}.${name}`, `is ${value}: give a whole number from ${least}`);
        }
    }
}

function checkScalings({ scalingStrategy, otherScalings }: AppInputs, fail: Fail): void {
    checkScaling(scalingStrategy, "scalingStrategy", fail);
    if (!Array.isArray(otherScalings)) return;
    otherScalings.forEach((one, i) => checkScaling(one, `otherScalings[${i}]`, fail));
}

function checkScaling(scalingStrategy: ScalingStrategy | undefined, property: string, fail: Fail): void {
    if (scalingStrategy === undefined || typeof scalingStrategy !== "object") return;
    const { fixed, automatic } = scalingStrategy;
    if (fixed && automatic) fail(property, "fixed and automatic exclude each other: give one");
    if (!fixed && !automatic) fail(property, "give fixed or automatic");
    if (fixed && isNumber(fixed.replicas) && !isWhole(fixed.replicas, 1, 10)) {
        fail(`${property}.fixed.replicas`, `is ${fixed.replicas}: the platform allows 1 to 10`);
    }
    if (!automatic || typeof automatic !== "object") return;
    const { replicasMin, replicasMax, customMetrics, resourceType, averageUsageTarget } = automatic;
    const at = `${property}.automatic`;
    if (isNumber(replicasMin) && !isWhole(replicasMin, 0)) {
        fail(`${at}.replicasMin`, `is ${replicasMin}: give 0 or more`);
    }
    if (isNumber(replicasMax) && !isWhole(replicasMax, 1)) {
        fail(`${at}.replicasMax`, `is ${replicasMax}: give 1 or more`);
    }
    if (isNumber(replicasMin) && isNumber(replicasMax) && replicasMin > replicasMax) {
        fail(`${at}.replicasMin`, `${replicasMin} is above replicasMax ${replicasMax}`);
    }
    if (customMetrics && isNumber(customMetrics.targetValue) && !(customMetrics.targetValue > 0)) {
        fail(`${at}.customMetrics.targetValue`, `is ${customMetrics.targetValue}: give a number above 0`);
    }
    if (customMetrics && isText(customMetrics.apiUrl) && !/^https?:\/\/\S+$/.test(customMetrics.apiUrl)) {
        fail(`${at}.customMetrics.apiUrl`, `is "${customMetrics.apiUrl}": give http://<SELF>:PORT/PATH`);
    }
    if (customMetrics && resourceType) fail(at, "customMetrics and resourceType exclude each other: give one");
    if (!customMetrics && !resourceType) fail(at, "give customMetrics, or resourceType with averageUsageTarget");
    if (resourceType && known(averageUsageTarget) && !isWhole(averageUsageTarget, 1, 100)) {
        fail(`${at}.averageUsageTarget`, `is ${averageUsageTarget}: give a whole percentage from 1 to 100`);
    }
    for (const window of ["scaleUpStabilizationWindowSeconds", "scaleDownStabilizationWindowSeconds"] as const) {
        const seconds = automatic[window];
        if (isNumber(seconds) && !isWhole(seconds, 0, 3600)) {
            fail(`${at}.${window}`, `is ${seconds}: give whole seconds from 0 to 3600`);
        }
    }
    const cooldown = automatic.cooldownPeriodSeconds;
    if (isNumber(cooldown) && !isWhole(cooldown, 0, 3600)) {
        fail(`${at}.cooldownPeriodSeconds`, `is ${cooldown}: give whole seconds from 0 to 3600`);
    } else if (isNumber(cooldown) && isNumber(replicasMin) && replicasMin !== 0) {
        fail(`${at}.cooldownPeriodSeconds`, "only counts with replicasMin 0: leave it out");
    }
}

function checkDeployment({ deploymentStrategy }: AppInputs, fail: Fail): void {
    if (typeof deploymentStrategy !== "object") return;
    for (const share of ["maxSurge", "maxUnavailable"] as const) {
        const value = deploymentStrategy[share];
        if (isText(value) && !/^\d+%?$/.test(value)) {
            fail(`deploymentStrategy.${share}`, `is "${value}": give a number of replicas, or a share such as 25%`);
        }
    }
    const { maxSurge, maxUnavailable } = deploymentStrategy;
    if (isText(maxSurge) && isText(maxUnavailable) && parseInt(maxSurge) === 0 && parseInt(maxUnavailable) === 0) {
        fail("deploymentStrategy", "maxSurge and maxUnavailable are both 0: no replica could ever be replaced");
    }
}

function checkLife({ adopt, desiredState, timeouts }: AppInputs, fail: Fail): void {
    if (isText(adopt) && !isAppId(adopt)) {
        fail("adopt", `"${adopt}" is no id of an app: give one as OVHcloud shows it, a UUID`);
    }
    if (isText(desiredState) && !["RUNNING", "STOPPED"].includes(desiredState)) {
        fail("desiredState", `is "${desiredState as string}": use RUNNING or STOPPED`);
    }
    for (const [bound, seconds] of Object.entries(known(timeouts) ? (timeouts ?? {}) : {})) {
        if (!(isNumber(seconds) && seconds > 0)) fail(`timeouts.${bound}`, `is ${seconds}: give seconds above 0`);
    }
}

function checkPort(port: number | undefined, property: string, fail: Fail): void {
    if (known(port) && port !== undefined && !isWhole(port, 1, 65535)) {
        fail(property, `is ${port}: a port is a whole number from 1 to 65535`);
    }
}

function keysOf(map: Record<string, string> | undefined): string[] {
    return typeof map === "object" ? Object.keys(map) : [];
}

function known<T>(value: T | undefined): value is T {
    return !hasUnknown(value);
}

/** A text that is there and known. */
function isText(value: unknown): value is string {
    return typeof value === "string" && value !== "" && !hasUnknown(value);
}

function isNumber(value: unknown): value is number {
    return typeof value === "number";
}

function isWhole(value: unknown, least: number, most = Infinity): boolean {
    return Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
}
