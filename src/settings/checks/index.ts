import { isMap } from "../defaults";
import { alertingFaults } from "./alerting";
import { clusterFaults } from "./cluster";
import { readModels, type Config, type CrossFault } from "./config";
import { frontDoorFaults } from "./front-door";
import { controllerFaults } from "./hours";
import { modelsFaults } from "./models";
import { monitoringFaults } from "./monitoring";
import { sleepFaults } from "./sleep";

/** The rules that concern more than one setting, or what a setting means. */
export function crossChecks(config: Config): CrossFault[] {
    return [
        ...modelsFaults(config.models),
        ...sleepFaults(readModels(config.models)),
        ...controllerFaults(config),
        ...frontDoorFaults(readModels(config.models), config, new Date()),
        ...clusterFaults(config.cluster),
        ...monitoringFaults(
            config.monitoring,
            isMap(config.cluster) ? config.cluster.plan : undefined,
            config.grafanaTlsKey !== undefined,
        ),
        ...alertingFaults(config.alerting),
    ];
}
