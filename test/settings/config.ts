import { monitoringChecks } from "../../src/monitoring/settings-checks";
import { parseSettings, SettingsError, type Fault, type Settings } from "../../src/settings";

/** What has to be set, with the address range of one made-up office. */
export const toSet = {
    projectId: "0123456789abcdef0123456789abcdef",
    huggingFaceToken: "hf_very_secret",
    monitoring: { grafana: { allowedSources: ["198.51.100.7/32"] } },
};

/** Every key that may be encrypted. */
export const secretKeys = [
    "huggingFaceToken",
    "models",
    "alerting",
    "monitoring",
    "grafanaTlsKey",
    "appReaderKey",
    "clientKeys",
    "frontDoorTlsKey",
    "controllerClientSecret",
];

/** Parses config written as it would be in a stack file, over what has to be set. */
export function parse(config: Record<string, unknown>, secretKeys = ["huggingFaceToken", "appReaderKey"]): Settings {
    const values = Object.entries({ ...toSet, ...config })
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]);
    const raw = { values: Object.fromEntries(values) as Record<string, string>, secretKeys: new Set(secretKeys) };
    return parseSettings(raw, "ovhcloud-llm-serving", [monitoringChecks]);
}

export function faultsOf(config: Record<string, unknown>, secretKeys?: string[]): Fault[] {
    try {
        parse(config, secretKeys);
    } catch (error) {
        if (error instanceof SettingsError) return error.faults;
        throw error;
    }
    return [];
}

export const ministral = (settings: Record<string, unknown>) => ({ models: { ministral: settings } });
export const monitoring = (settings: Record<string, unknown>) => ({ monitoring: { ...toSet.monitoring, ...settings } });
