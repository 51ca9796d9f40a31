export { alertingFaults } from "./checks/alerting";
export { parseSettings, SettingsError, type Fault, type RawConfig } from "./parse";
export { readModels, type Config, type CrossFault, type ReadModel, type SettingsChecks } from "./checks/config";
export { alertingSchema, monitoringSchema } from "./schema";
export type {
    AlertingSettings,
    ClusterSettings,
    FrontDoorSettings,
    LimitsSettings,
    ModelSettings,
    MonitoringSettings,
    PricesSettings,
    Receiver,
    Settings,
} from "./schema";
export { cooldownSeconds, maySleep, secondsToSleep } from "./sleep";
export { settingsWarnings } from "./warnings";
