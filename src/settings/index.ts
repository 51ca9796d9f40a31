export { loadSettings, type StackSettings } from "./load";
export { parseSettings, SettingsError, type Fault, type RawConfig } from "./parse";
export type { ClusterSettings, ModelSettings, MonitoringSettings, Settings } from "./schema";
