import type { ClusterTransforms } from "./src/cluster/cluster";
import type { ModelTransforms } from "./src/inference/model";
import type { ModelMonitoringTransforms } from "./src/monitoring/model-monitoring";
import type { MonitoringTransforms } from "./src/monitoring/monitoring";

/**
 * The last word on every resource of the stack, for what has no setting. This file is yours: a new version of the program
 * never changes it. For example, two annotations on the relay's Deployment and another name of each client's token:
 *
 *     modelMonitoring: { relayDeployment: (args) => (args.metadata = { ...args.metadata, annotations: { a: "1", b: "2" } }) },
 *     model: { clientToken: (args, opts, name) => (args.name = `gateway-${name}`) },
 */
export const transforms: {
    model?: ModelTransforms;
    cluster?: ClusterTransforms;
    monitoring?: MonitoringTransforms;
    modelMonitoring?: ModelMonitoringTransforms;
} = {};
