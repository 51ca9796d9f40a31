import { weightsPath } from "../../vllm/command-line";
import { removeCommand, setCommand } from "../commands";
import { isMap } from "../defaults";
import type { ModelSettings } from "../schema";
import { readModels, type CrossFault, type ReadModel } from "./config";
import { hoursFaults } from "./hours";
import { extraArgumentFaults } from "./extra-arguments";
import { scalingFaults } from "./scaling";
import { serverFaults } from "./server";

/** Faults within each model, and between them. */
export function modelsFaults(models: unknown): CrossFault[] {
    if (isMap(models) && Object.keys(models).length === 0) {
        const fix =
            "name at least one: pulumi config set --path models.ministral.protect false is that of the defaults";
        return [{ path: ["models"], fix }];
    }
    const read = readModels(models);
    return [
        ...read.flatMap((model) => [
            ...replicaFaults(model),
            ...hoursFaults(model),
            ...serverFaults(model),
            ...extraArgumentFaults(model),
            ...scalingFaults(model),
            ...volumeFaults(model),
            ...tokenFaults(model),
        ]),
        ...twinFaults(read),
    ];
}

function replicaFaults({ settings: { replicas, deploymentStrategy }, at }: ReadModel): CrossFault[] {
    const faults: CrossFault[] = [];
    if (replicas && replicas.min > replicas.max) {
        faults.push({ path: at("replicas", "min"), fix: `give at most replicas.max, which is ${replicas.max}` });
    }
    const { maxSurge, maxUnavailable } = deploymentStrategy ?? {};
    if (maxSurge && maxUnavailable && parseInt(maxSurge) === 0 && parseInt(maxUnavailable) === 0) {
        const fix = `with both 0 no replica could ever be replaced: ${setCommand(at("deploymentStrategy", "maxSurge"), 1)}`;
        faults.push({ path: at("deploymentStrategy"), fix });
    }
    return faults;
}

function volumeFaults({ settings: { volumes = [], weights }, at }: ReadModel): CrossFault[] {
    const paths = volumes.map(({ path }) => path);
    return volumes.flatMap(({ path, name, dataStore }, index) => [
        ...(weights && path === weightsPath
            ? [{ path: at("volumes", index, "path"), fix: "give it another path: the weights are mounted there" }]
            : []),
        ...(paths.indexOf(path) < index
            ? [{ path: at("volumes", index, "path"), fix: "give each volume a path of its own" }]
            : []),
        ...(name && dataStore
            ? [
                  {
                      path: at("volumes", index),
                      fix: `keep one of name (a standalone volume) and dataStore: ${removeCommand(at("volumes", index, "name"))}`,
                  },
              ]
            : []),
    ]);
}

function tokenFaults({ settings: { tokens }, raw, at }: ReadModel): CrossFault[] {
    if (!tokens || (isMap(raw.labels) && Object.hasOwn(raw.labels, tokens.label))) return [];
    const fix = "name a key of the model's labels: a token bound to a label that no app carries opens nothing";
    return [{ path: at("tokens", "label"), fix }];
}

/** What no two models may share: app, name of the app, and the label that their tokens are bound to. */
function twinFaults(models: ReadModel[]): CrossFault[] {
    return [
        ...sharedFaults(models, ({ adopt }) => adopt, {
            path: () => ["adopt"],
            fix: (other) => `give the app to one model: "${other}" adopts it too`,
        }),
        ...sharedFaults(models, ({ appName }) => appName, {
            path: () => ["appName"],
            fix: (other) => `give it a name of its own, "${other}" has this one`,
        }),
        ...sharedFaults(models, selector, {
            path: ({ tokens }) => ["labels", tokens!.label],
            fix: (other) => `give it a value of its own: with that of "${other}" each one's token opens the other`,
        }),
    ];
}

function selector({ tokens, labels }: Partial<ModelSettings>): string | undefined {
    const value = tokens && labels && Object.hasOwn(labels, tokens.label) ? labels[tokens.label] : undefined;
    return value === undefined ? undefined : `${tokens!.label}=${value}`;
}

/** A fault for each model whose value an earlier one has already. */
function sharedFaults(
    models: ReadModel[],
    value: (settings: Partial<ModelSettings>) => string | undefined,
    say: { path: (settings: Partial<ModelSettings>) => PropertyKey[]; fix: (other: string) => string },
): CrossFault[] {
    const holders = new Map<string, string>();
    return models.flatMap(({ name, settings, at }) => {
        const own = value(settings);
        if (own === undefined) return [];
        const holder = holders.get(own);
        holders.set(own, name);
        return holder === undefined ? [] : [{ path: at(...say.path(settings)), fix: say.fix(holder) }];
    });
}
