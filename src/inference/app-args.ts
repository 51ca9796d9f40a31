import type { Input } from "@pulumi/pulumi";
import type { App, AppArgs, AppLeftoversArgs, AppReadyArgs, Token } from "pulumi-ovh-ai-deploy";
import { cooldownSeconds, maySleep, type ModelSettings } from "../settings";
import { containerCommand, graceSeconds, weightsPath } from "../vllm/command-line";

type TokenArgs = ConstructorParameters<typeof Token>[1];

/** What an app needs besides its model's settings. */
export interface AppContext {
    /** Name of the model in the stack. */
    name: string;
    projectId: Input<string>;
    huggingFaceToken: Input<string>;
    /** Value of the label by which a later run finds the app again. */
    adoptionLabel: Input<string>;
    /** The app's variables in place of those of the settings, when their values are secret. */
    env?: Record<string, Input<string>>;
}

/** The AI Deploy app that serves a model. */
export function appArgs(model: ModelSettings, context: AppContext): AppArgs {
    const { liveness, readiness } = model.probes;
    return {
        serviceName: context.projectId,
        name: model.appName,
        region: model.region,
        image: model.image,
        resources: { flavor: model.flavor, gpu: model.gpus },
        command: containerCommand(model),
        defaultHttpPort: model.port,
        labels: model.labels,
        // Never open to all: /metrics and most of vLLM's own paths ask for no key, only the platform's gateway does.
        unsecureHttp: false,
        envVars: { ...(context.env ?? model.env), HF_TOKEN: context.huggingFaceToken },
        volumes: [
            ...model.volumes.map(({ path, permission, name, dataStore }) => ({
                mountPath: path,
                permission,
                volumeSource: dataStore ? { dataStore } : { standalone: name ? { name } : {} },
            })),
            ...(model.weights ? [weightsVolume(model.weights)] : []),
        ],
        livenessProbe: { port: model.port, ...liveness },
        readinessProbe: { port: model.port, ...readiness },
        scalingStrategy: scalingStrategy(model),
        // Always there, since taking it away would replace the app.
        deploymentStrategy: { ...model.deploymentStrategy, terminationGracePeriodSeconds: graceSeconds(model) },
        desiredState: model.desiredState,
        adopt: model.adopt,
        adoptionLabel: context.adoptionLabel,
        timeouts: model.timeouts,
        settingNames: settingNames(context.name),
        // What watches the model is not to wait for it: see `Model.awaitRunning`.
        waitUntilRunning: false,
    };
}

/** The model's files, which the platform keeps for the next replica. */
function weightsVolume({ dataStore: alias, container }: NonNullable<ModelSettings["weights"]>) {
    return {
        mountPath: weightsPath,
        permission: "RO" as const,
        cache: true,
        volumeSource: { dataStore: { alias, container } },
    };
}

/** How the provider's messages name what a stack's settings set: by the key as `pulumi config set --path` takes it. */
function settingNames(name: string): Record<string, string> {
    const at = `models.${name}`;
    const own = ["image", "region", "flavor", "timeouts", "desiredState", "deploymentStrategy", "adopt", "labels"];
    return {
        ...Object.fromEntries([...own, "volumes", "replaceFirst"].map((key) => [key, `${at}.${key}`])),
        name: `${at}.appName`,
        serviceName: "projectId",
        "resources.flavor": `${at}.flavor`,
        "resources.gpu": `${at}.gpus`,
        resources: `${at}.flavor`,
        defaultHttpPort: `${at}.port`,
        envVars: `${at}.env`,
        HF_TOKEN: "huggingFaceToken",
        "envVars.HF_TOKEN": "huggingFaceToken",
        livenessProbe: `${at}.probes.liveness`,
        readinessProbe: `${at}.probes.readiness`,
        scalingStrategy: `${at}.scaling`,
        "scalingStrategy.automatic.replicasMin": `${at}.replicas.min`,
        "scalingStrategy.automatic.replicasMax": `${at}.replicas.max`,
        command: `${at}.vllm`,
        "--max-model-len": `${at}.vllm.maxModelLen`,
        "--gpu-memory-utilization": `${at}.vllm.gpuMemoryUtilization`,
    };
}

/** What a killed run may leave of that app. */
export function leftoversArgs(
    { timeouts }: ModelSettings,
    name: string,
    { serviceName, name: appName, adoptionLabel }: AppArgs,
): AppLeftoversArgs {
    return {
        serviceName,
        name: appName,
        adoptionLabel,
        timeouts: { deleteSeconds: timeouts.deleteSeconds },
        settingNames: { serviceName: "projectId", timeouts: `models.${name}.timeouts` },
    };
}

/** The wait for that app. */
export function readyArgs(
    model: ModelSettings,
    context: Pick<AppContext, "name" | "projectId">,
    app: App,
): AppReadyArgs {
    return {
        serviceName: context.projectId,
        appId: app.appId,
        // A state of before has none yet.
        revision: app.revision.apply((revision) => revision ?? 1),
        timeouts: { createSeconds: model.timeouts.createSeconds, updateSeconds: model.timeouts.updateSeconds },
        settingNames: settingNames(context.name),
    };
}

/** Autoscaling between the replica limits on a metric that vLLM exports. */
export function scalingStrategy({ replicas, scaling, port }: Pick<ModelSettings, "replicas" | "scaling" | "port">) {
    return {
        automatic: {
            replicasMin: replicas.min,
            replicasMax: replicas.max,
            customMetrics: {
                // The platform puts each replica's address in the place of <SELF>; it is sent as it is.
                apiUrl: `http://<SELF>:${port}/metrics`,
                format: "PROMETHEUS" as const,
                valueLocation: scaling.metric,
                targetValue: scaling.target,
                aggregationType: scaling.aggregation,
            },
            scaleUpStabilizationWindowSeconds: scaling.scaleUpStabilizationSeconds,
            scaleDownStabilizationWindowSeconds: scaling.scaleDownStabilizationSeconds,
            cooldownPeriodSeconds: maySleep({ replicas }) ? cooldownSeconds({ scaling }) : undefined,
        },
    };
}

/**
 * A token that opens the apps with the model's token label and nothing else. The read role calls the model and reads
 * its metrics; it cannot start, change or delete apps.
 */
export function tokenArgs(
    model: ModelSettings,
    purpose: "scrape" | "client",
    { name, projectId, adoptionLabel }: Pick<AppContext, "name" | "projectId" | "adoptionLabel">,
): TokenArgs {
    const { label, scrapeRotation, clientRotation, overlapSeconds } = model.tokens;
    return {
        serviceName: projectId,
        name: `${model.appName}-${purpose}`,
        region: model.region,
        role: "ai_training_read",
        labelSelector: `${label}=${model.labels[label]}`,
        rotation: purpose === "scrape" ? scrapeRotation : clientRotation,
        overlapSeconds,
        app: { adoptionLabel, adopt: model.adopt },
        settingNames: { labels: `models.${name}.labels`, adopt: `models.${name}.adopt` },
    };
}

/** The platform's own dashboard of an app. */
export function platformMonitoringUrl(region: string, appId: string): string {
    const host = `monitoring.${region.toLowerCase()}.ai.cloud.ovh.net`;
    return `https://${host}/d/app/app-monitoring?var-app=${appId}&orgId=1`;
}
