/** What `pulumi import` and `get` make of an app that exists: the inputs by which a program would describe it. */
import { adoptionLabelName, goingStates, type LiveApp } from "./live";
import { madeAsHas } from "./made-as";
import { marksOf } from "./marks";
import { liveEnv, ownLabels, scalingOf, volumesOf } from "./comparable";
import { get, isAppId } from "./find";
import { outputs, type AppOutputs } from "./state";
import type { AppInputs } from "./args";
import { beginTask, type Context } from "../process/context";
import { explain } from "../errors/explain";
import { namesOf } from "../errors/setting-names";
import { deepDropEmpty, dropEmpty, dropUndefined } from "../values/json";
import { shortDigest } from "../values/hash";

/**
 * The app by `PROJECT/APP`, or by its id alone in the project that is configured. `undefined`: there is none. It is only
 * read.
 */
export async function importApp(
    context: Context,
    id: string,
    configured: string | undefined,
): Promise<{ id: string; outs: AppOutputs; inputs: AppInputs } | undefined> {
    const parts = id.split("/");
    const appId = parts[parts.length - 1];
    const serviceName = parts.length === 2 ? parts[0] : configured;
    if (parts.length > 2 || !isAppId(appId)) {
        throw new Error(`"${id}" is no app: give PROJECT/APP, the ids of the project and of the app`);
    }
    if (!serviceName) throw new Error(`"${id}" names no project: give PROJECT/${appId}`);
    try {
        const live = await get(beginTask(context, { serviceName }, 0), appId);
        if (!live || goingStates.includes(live.status.state)) return undefined;
        const inputs = importedInputs(live, serviceName);
        return { id: appId, outs: outputs(live, inputs, { revision: 1, marks: marksOf(live) }), inputs };
    } catch (error) {
        throw explain(error, `importing app ${id}`, [], namesOf({}));
    }
}

/**
 * The app as inputs. What no call can take away again is given only where somebody asked for it: were the platform's own
 * choice among the inputs, a program without it would replace the app.
 */
function importedInputs(live: LiveApp, serviceName: string): AppInputs {
    const { spec, id, status } = live;
    const { [adoptionLabelName]: adoptionLabel, ...labels } = ownLabels(spec.labels);
    const { flavor, gpu, cpu, flavorCount } = spec.resources;
    // Of a CPU flavor the platform gives the CPUs of all its units; OVHcloud's one such flavor has one CPU in each.
    const units = gpu ? { gpu } : dropEmpty({ cpu: flavorCount || cpu || undefined });
    const filled = <T extends object>(value: T): T | undefined => (Object.keys(value).length > 0 ? value : undefined);
    // Values that the platform hides are not ours to make up.
    const envVars = Object.entries(liveEnv(spec.envVars, {})).filter(([, value]) => value !== "");
    return dropUndefined({
        serviceName,
        name: spec.name,
        region: spec.region,
        image: spec.image,
        resources: { flavor, ...units },
        command: spec.command?.length ? spec.command : undefined,
        defaultHttpPort: spec.defaultHttpPort ?? undefined,
        grpcPort: spec.grpcPort || undefined,
        labels: filled(labels),
        unsecureHttp: spec.unsecureHttp || undefined,
        envVars: filled(Object.fromEntries(envVars)),
        volumes: spec.volumes?.length ? (volumesOf(spec.volumes) as AppInputs["volumes"]) : undefined,
        livenessProbe: spec.livenessProbe ? deepDropEmpty(spec.livenessProbe) : undefined,
        readinessProbe: spec.probe ? deepDropEmpty(spec.probe) : undefined,
        scalingStrategy: scalingOf(spec.scalingStrategy),
        deploymentStrategy:
            spec.deploymentStrategy && madeAsHas(live, "deploymentStrategy")
                ? dropEmpty(spec.deploymentStrategy)
                : undefined,
        partnerId: spec.partnerId || undefined,
        // One that is stopped is not started, and billed, by taking it into a stack.
        desiredState: ["STOPPED", "STOPPING"].includes(status.state) ? ("STOPPED" as const) : undefined,
        adoptionLabel: adoptionLabel ?? `imported-${shortDigest(id)}`,
    });
}
