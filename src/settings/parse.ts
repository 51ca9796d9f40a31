import { z } from "zod";
import {
    defaultAlerting,
    defaultCluster,
    defaultLimits,
    defaultModel,
    defaultModels,
    defaultMonitoring,
    defaultPrices,
    isMap,
    overlay,
} from "./defaults";
import { crossChecks } from "./checks";
import { exampleCommand, keyOf, receiverSecrets, removeCommand, setCommand } from "./commands";
import type { SettingsChecks } from "./checks/config";
import { undoingVariables } from "./checks/server";
import { nearest } from "./formats";
import { settingsSchema, type Settings } from "./schema";

/** Stack config of this project as Pulumi holds it: text by key, objects and lists as JSON. */
export interface RawConfig {
    values: Record<string, string>;
    /** Keys whose value, or a part of it, is encrypted in the stack file. */
    secretKeys: ReadonlySet<string>;
    /** What the stack file holds by key, with `{ secure }` in the place of what is encrypted; if there is one. */
    stackFile?: Record<string, unknown>;
}

/** One thing wrong with the stack config. */
export interface Fault {
    /** Path of the setting, such as `models.ministral.replicas.max`. */
    key: string;
    /** The value found, as it may be shown. */
    found: string;
    /** What would be right. */
    fix: string;
}

/** Every fault of a stack config in one message, a line each. */
export class SettingsError extends Error {
    constructor(
        readonly faults: Fault[],
        project: string,
    ) {
        const count = faults.length === 1 ? "1 fault" : `${faults.length} faults`;
        const lines = faults.map(({ key, found, fix }) => `  ${project}:${key}: ${found}; ${fix}`);
        super([`the stack config has ${count}, so nothing was changed:`, ...lines].join("\n"));
        this.name = "SettingsError";
    }
}

const topLevelKeys = Object.keys(settingsSchema.shape);
/** Settings that are a text of their own, not JSON; declared with an empty default, which means not set. */
const texts = [
    "projectId",
    "huggingFaceToken",
    "grafanaTlsKey",
    "appReaderKey",
    "frontDoorTlsKey",
    "controllerClientId",
    "controllerClientSecret",
];
/** Those of them that are secrets. */
const secretTexts = ["huggingFaceToken", "grafanaTlsKey", "appReaderKey", "frontDoorTlsKey", "controllerClientSecret"];

/**
 * Turns stack config into settings: defaults filled in, everything checked, also by what `checks` know of it. Touches nothing
 * outside.
 * @throws SettingsError that names every fault at once, in the order of the settings.
 */
export function parseSettings(config: RawConfig, project: string, checks: SettingsChecks[]): Settings {
    const faults: Fault[] = [];
    const given: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(config.values)) {
        if (!topLevelKeys.includes(key)) faults.push(unknownKey([key], topLevelKeys));
        else if (texts.includes(key)) given[key] = value || undefined;
        // An empty entry of a YAML file is null, and means the defaults.
        else given[key] = asObject(value) ?? undefined;
    }
    const deep = Object.keys(given).filter((key) => isDeeper(given[key], deepest));
    if (deep.length > 0) {
        // Nothing more can be said of these, nor of what goes by them.
        const found = `more than ${deepest} levels deep`;
        const all = deep.map((key) => ({ key, found, fix: "write it flatter: no setting lies as deep as that" }));
        throw new SettingsError(all, project);
    }
    for (const path of secretPaths(given)) {
        if (!isPlain(path, given, config)) continue;
        const key = keyOf(path);
        const option = path.length > 1 ? `--path ${key}` : key;
        faults.push({ key, found: "stored in plain text", fix: `encrypt it: pulumi config set --secret ${option}` });
    }

    const models = given.models ?? defaultModels;
    if (isMap(models) && Object.keys(models).length > 0 && !Object.hasOwn(models, "ministral")) {
        // A stack without `models` serves it. To name another one is not to say that it goes, nor that it is to come.
        const fix =
            "say whether it is served too: pulumi config set --path models.ministral null leaves it out, and an app of it is " +
            "deleted; pulumi config set --path models.ministral.protect false has it with its defaults";
        faults.push({ key: "models.ministral", found: notSet, fix });
    }
    const complete = {
        ...given,
        models: isMap(models) ? modelsWithDefaults(models) : models,
        cluster: overlay(defaultCluster, given.cluster),
        monitoring: overlay(defaultMonitoring, given.monitoring),
        alerting: overlay(defaultAlerting, given.alerting),
        limits: overlay(defaultLimits, given.limits),
        prices: overlay(defaultPrices, given.prices),
    };
    const parsed = settingsSchema.safeParse(complete, { error: wording });
    for (const issue of parsed.error?.issues ?? []) faults.push(...faultsOf(issue, complete, config.secretKeys));
    const reported = new Set(faults.map(({ key }) => key));
    for (const key of prototypeKeys(given).map(keyOf)) {
        if (reported.has(key)) continue;
        faults.push({ key, found: "a name that JavaScript keeps to itself", fix: "choose another name" });
    }
    // The rules between settings read each value by itself, so that they report beside the faults above.
    const known = new Set(faults.map(({ key }) => key));
    for (const { path, found, fix } of [
        ...crossChecks(complete),
        ...checks.flatMap((check) => check.faults(complete)),
    ]) {
        const key = keyOf(path);
        if (known.has(key)) continue;
        known.add(key);
        faults.push({ key, found: found ?? show(path, complete, config.secretKeys), fix });
    }
    if (faults.length > 0 || !parsed.success) throw new SettingsError(inOrder(faults, complete.models), project);
    return parsed.data;
}

/** As the settings stand in a stack file, and the models in theirs; what is no setting at all comes first. */
function inOrder(faults: Fault[], models: unknown): Fault[] {
    const parts = topLevelKeys.flatMap((key) => {
        const names = key === "models" && isMap(models) ? Object.keys(models) : [];
        return [key, ...names.map((name) => keyOf([key, name]))];
    });
    const rank = ({ key }: Fault) => parts.findLastIndex((part) => key === part || /^[.[]/.test(after(key, part)));
    return [...faults].sort((a, b) => rank(a) - rank(b));
}

/** What follows a beginning of a text; nothing where it begins otherwise. */
function after(text: string, beginning: string): string {
    return text.startsWith(beginning) ? text.slice(beginning.length) : "";
}

/** Levels of maps and lists in a value of the stack config, at most: beyond some thousands the stack of calls would end. */
const deepest = 100;

function isDeeper(value: unknown, levels: number): boolean {
    if (typeof value !== "object" || value === null) return false;
    return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}

/** Where a name is `__proto__`: maps with names of one's own would lose it without a word. */
function prototypeKeys(value: unknown, path: string[] = []): string[][] {
    if (!isMap(value)) return [];
    return Object.entries(value).flatMap(([name, inner]) =>
        name === "__proto__" ? [[...path, name]] : prototypeKeys(inner, [...path, name]),
    );
}

/** Where secrets are given. */
function secretPaths(given: Record<string, unknown>): string[][] {
    const single = secretTexts.filter((key) => given[key]).map((key) => [key]);
    const receivers = isMap(given.alerting) && isMap(given.alerting.receivers) ? given.alerting.receivers : {};
    const inside = Object.entries(receivers).flatMap(([name, receiver]) =>
        receiverSecrets
            .filter((secret) => isMap(receiver) && receiver[secret] !== undefined)
            .map((secret) => ["alerting", "receivers", name, secret]),
    );
    const models = isMap(given.models) ? Object.entries(given.models) : [];
    const variables = models.flatMap(([name, model]) =>
        Object.entries(isMap(model) && isMap(model.env) ? model.env : {})
            .filter(([variable, value]) => isSecretVariable(variable, value))
            .map(([variable]) => ["models", name, "env", variable]),
    );
    const keys = isMap(given.clientKeys) ? Object.keys(given.clientKeys).map((name) => ["clientKeys", name]) : [];
    return [...single, ...keys, ...inside, ...variables];
}

/** Whether a variable holds a secret, by what it is called or by how the value begins. */
function isSecretVariable(name: string, value: unknown): boolean {
    // Of these the fault is another one.
    if (Object.hasOwn(undoingVariables, name) || typeof value !== "string") return false;
    const called = /(^|_)(token|secret|password|passwd|passphrase|credentials|(api|access|secret|private)_?key)$/i.test(
        name,
    );
    return called || /^(hf_|sk-|ghp_|github_pat_|glpat-|xox[abp]-)\w/.test(value);
}

/** Whether a secret lies in the stack file as it is: nothing of its key is encrypted, or the file shows this very value. */
function isPlain(path: string[], given: unknown, { secretKeys, stackFile }: RawConfig): boolean {
    if (!secretKeys.has(path[0])) return true;
    const [key, ...steps] = path;
    const stored = stackFile?.[key];
    const shown = valueAt(typeof stored === "string" && steps.length > 0 ? asObject(stored) : stored, steps);
    return shown !== undefined && shown === valueAt(given, path);
}

function valueAt(root: unknown, path: PropertyKey[]): unknown {
    return path.reduce<unknown>(
        (value, step) => (value as Record<PropertyKey, unknown> | null | undefined)?.[step],
        root,
    );
}

/** Each model laid over its defaults, those that are taken away left out. */
function modelsWithDefaults(models: Record<string, unknown>): Record<string, unknown> {
    const named = Object.keys(models)
        .filter((name) => !isTakenAway(models[name]))
        .map((name) => {
            const own = models[name];
            return [name, overlay(defaultModel(name, isMap(own) ? own.model : undefined), own)];
        });
    return Object.fromEntries(named) as Record<string, unknown>;
}

/** `pulumi config set --path models.ministral null` stores the word. */
function isTakenAway(model: unknown): boolean {
    return model === null || model === "null";
}

/** Objects come as JSON; what is not JSON stays text, and the schema then says what was expected. */
function asObject(value: string): unknown {
    try {
        return JSON.parse(value) as unknown;
    } catch {
        return value;
    }
}

/** Says what would be right where the schema has no sentence of its own. */
const wording: z.core.$ZodErrorMap = (issue) => {
    switch (issue.code) {
        case "invalid_type":
            // Of what is no number at all it asks for any.
            if (issue.expected === "number" && isWhole(issue.inst)) return `give ${nouns.int}, without quotes`;
            return `give ${nouns[issue.expected] ?? issue.expected}`;
        case "too_small":
            return `give ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
        case "too_big":
            return `give ${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`;
        case "invalid_value":
            return `give one of ${issue.values.map((value) => JSON.stringify(value)).join(", ")}`;
        case "invalid_key":
            return issue.issues.map(({ message }) => message).join(", ");
        default:
            return undefined;
    }
};

function isWhole(schema: unknown): boolean {
    return schema instanceof z.ZodNumber && schema.format === "safeint";
}

const nouns: Record<string, string> = {
    int: "a whole number",
    number: "a number, without quotes",
    string: "text (in quotes, if it looks like a number)",
    boolean: "true or false",
    object: "a map of settings",
    record: "a map",
    array: "a list",
};

/** How to set what has no default. */
const required: Record<string, string> = {
    projectId: "pulumi config set projectId <id of the Public Cloud project>",
    huggingFaceToken: "pulumi config set --secret huggingFaceToken (it asks for the access token of huggingface.co)",
};

function faultsOf(issue: z.core.$ZodIssue, root: unknown, secretKeys: ReadonlySet<string>): Fault[] {
    if (issue.code === "unrecognized_keys") {
        const known = keysAt(settingsSchema, issue.path, root);
        return issue.keys.map((key) => unknownKey([...issue.path, key], known));
    }
    const key = keyOf(issue.path);
    if (issue.code === "invalid_key") return [{ key, found: "a name that does not fit", fix: issue.message }];
    const found = show(issue.path, root, secretKeys);
    return [{ key, found, fix: fixOf(issue, root, found) }];
}

/** What would be right, with the command that sets it where one is known; of the value no more than is shown of it. */
function fixOf({ code, path, message, ...issue }: z.core.$ZodIssue, root: unknown, found: string): string {
    const value = valueAt(root, path);
    if (value === undefined) {
        const command = required[keyOf(path)] ?? exampleCommand(path);
        // A sentence of the schema's own says more than what kind of value it is.
        const isKind = Object.values(nouns).some((noun) => message.startsWith(`give ${noun}`));
        return command ? `${isKind || required[keyOf(path)] ? "set it" : message}: ${command}` : message;
    }
    if (Array.isArray(value) && code === "too_small") {
        const command = exampleCommand(path);
        return command ? `${message}: ${command}` : message;
    }
    if (code !== "invalid_type") return message;
    const { expected } = issue as z.core.$ZodIssueInvalidType;
    if (expected === "array") {
        const begin = removeCommand(path);
        const word = /^"([\w.:/-]+)"$/.exec(found)?.[1];
        return word
            ? `give a list: ${begin} && ${setCommand([...path, 0], word)}`
            : `give a list, or take it away: ${begin}`;
    }
    if (expected !== "object" && expected !== "record") return message;
    const names = keysAt(settingsSchema, path, root).join(", ");
    return `give a map${names && ` of ${names}`}, or take it away: ${removeCommand(path)}`;
}

function unknownKey(path: PropertyKey[], known: string[]): Fault {
    const guess = nearest(String(path[path.length - 1]), known);
    const fix = guess ? `did you mean "${guess}"?` : `the settings here are ${known.join(", ")}`;
    return { key: keyOf(path), found: "no such setting", fix };
}

/** The parts of a schema's definition that lead to the schemas inside it. */
interface Definition {
    innerType?: { def: Definition };
    shape?: Record<PropertyKey, { def: Definition }>;
    element?: { def: Definition };
    valueType?: { def: Definition };
    /** Of a choice by the value of one key. */
    options?: { def: Definition }[];
    discriminator?: string;
    values?: unknown[];
}

/** The settings that exist at a path of the schema, for a config that is `root`. */
function keysAt(schema: { def: unknown }, path: PropertyKey[], root: unknown): string[] {
    let definition = unwrap(schema.def as Definition);
    let value = root;
    for (const step of path) {
        const inner = definition.shape?.[step] ?? definition.element ?? definition.valueType;
        value = (value as Record<PropertyKey, unknown>)[step];
        definition = chosen(unwrap(inner!.def), value);
    }
    return Object.keys(definition.shape ?? {});
}

/** Of a choice, the part that the value has chosen. */
function chosen(definition: Definition, value: unknown): Definition {
    const { options, discriminator } = definition;
    if (!options || !discriminator) return definition;
    const kind = (value as Record<string, unknown>)[discriminator];
    return options.find(({ def }) => def.shape?.[discriminator].def.values?.includes(kind))?.def ?? definition;
}

function unwrap(definition: Definition): Definition {
    return definition.innerType ? unwrap(definition.innerType.def) : definition;
}

const notSet = "not set";

/** The value at a path as it may be shown: nothing that is, or may hold, a secret. */
function show(path: PropertyKey[], root: unknown, secretKeys: ReadonlySet<string>): string {
    const value = valueAt(root, path);
    if (value === undefined) return notSet;
    const secret = [...secretTexts, "clientKeys"].includes(String(path[0]));
    // Known by their names too: these can be in plain text by mistake, and are not to be repeated then.
    const ofReceiver = path[0] === "alerting" && path[1] === "receivers";
    // A kind of receiver that there is not is a word, which no secret is.
    const word = typeof value === "string" && /^[a-z]{1,16}$/i.test(value);
    if (ofReceiver && path[3] === "type" && word) return JSON.stringify(value);
    const mayBeSecret = secret || ofReceiver || secretKeys.has(String(path[0])) || path.includes("env");
    if (mayBeSecret) return "[secret]";
    const text = JSON.stringify(value);
    return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
