export { loadSettings, type StackSettings } from "./load";
export { parseSettings, SettingsError, type Fault, type RawConfig } from "./parse";
export type {
    AlertingSettings,
    ClusterSettings,
    ModelSettings,
    MonitoringSettings,
    Receiver,
    Settings,
} from "./schema";
export { settingsWarnings } from "./warnings";
