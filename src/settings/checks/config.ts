import { isMap } from "../defaults";
import { modelSchema, type ModelSettings, type Settings } from "../schema";

/** The stack config with its defaults. Nothing of it needs to fit the schema. */
export interface Config {
    models: unknown;
    limits: unknown;
    cluster: unknown;
    monitoring: unknown;
    alerting: unknown;
    grafanaTlsKey?: unknown;
    clientKeys?: unknown;
    frontDoorTlsKey?: unknown;
    controllerClientId?: unknown;
    controllerClientSecret?: unknown;
}

/** A fault between settings. `found` is given where the value at the path does not say it. */
export interface CrossFault {
    path: PropertyKey[];
    found?: string;
    fix: string;
}

/** What a part of the program that uses the settings knows of them, such as `monitoringChecks`. */
export interface SettingsChecks {
    /** A part that does not fit the schema has been reported there and is to be passed over. */
    faults(config: Config): CrossFault[];
    /** What is allowed and may yet surprise, a sentence each. */
    warnings(settings: Pick<Settings, "models" | "monitoring" | "alerting">): string[];
}

/** A model as far as it can be read. */
export interface ReadModel {
    name: string;
    /** As it is configured, with its defaults. */
    raw: Record<string, unknown>;
    /** Those of its settings that fit their schema. */
    settings: Partial<ModelSettings>;
    /** Path of a setting of it. */
    at: (...path: PropertyKey[]) => PropertyKey[];
}

/** The models of a config, each as far as it can be read. */
export function readModels(models: unknown): ReadModel[] {
    if (!isMap(models)) return [];
    return Object.entries(models).map(([name, value]) => {
        const raw = isMap(value) ? value : {};
        return { name, raw, settings: readModel(raw), at: (...path) => ["models", name, ...path] };
    });
}

function readModel(raw: Record<string, unknown>): Partial<ModelSettings> {
    const read = Object.entries(modelSchema.shape).flatMap(([key, schema]) => {
        const value = Object.hasOwn(raw, key) ? raw[key] : undefined;
        const { success, data } = schema.safeParse(value);
        return success && data !== undefined ? [[key, data]] : [];
    });
    return Object.fromEntries(read) as Partial<ModelSettings>;
}
