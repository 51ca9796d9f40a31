import type { ClusterTransforms } from "./src/cluster/cluster";
import type { ModelControllerTransforms } from "./src/controller/model-controller";
import type { FrontDoorTransforms } from "./src/front-door/front-door";
import type { ModelTransforms } from "./src/inference/model";
import type { ModelMonitoringTransforms } from "./src/monitoring/model-monitoring";
import type { MonitoringTransforms } from "./src/monitoring/monitoring";
import type { ServiceAccountArgs } from "./src/service-account";

/**
 * The last word on every resource of the stack, for what has no setting. This file is yours: a new version of the program
 * never changes it. Values are laid over a resource's arguments; a function may change arguments and options:
 *
 *     model: { clientToken: (args, opts, name) => void (args.name = `gateway-${name}`) },
 *     cluster: { nodePool: { antiAffinity: true } },
 *     monitoring: { release: { timeout: 1800 } },
 */
export const transforms: {
    model?: ModelTransforms;
    cluster?: ClusterTransforms;
    monitoring?: MonitoringTransforms;
    modelMonitoring?: ModelMonitoringTransforms;
    controller?: ModelControllerTransforms;
    appReader?: ServiceAccountArgs["transform"];
    frontDoor?: FrontDoorTransforms;
} = {};
