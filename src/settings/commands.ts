/** Commands of Pulumi's that mend a setting: each works as it is pasted. */
import { shellPath } from "./formats";

/** A path as `pulumi config set --path` takes it. */
export function keyOf(path: PropertyKey[]): string {
    return path.reduce<string>((key, step) => {
        if (typeof step === "number") return `${key}[${step}]`;
        const name = String(step);
        if (!/^[\w-]+$/.test(name)) return `${key}[${JSON.stringify(name)}]`;
        return key ? `${key}.${name}` : name;
    }, "");
}

/** The command that sets it to this. */
export function setCommand(path: PropertyKey[], value: string | number | boolean): string {
    return `pulumi config set ${option(path)} ${value}`;
}

/** The command that takes it away, be it set or not. */
export function removeCommand(path: PropertyKey[]): string {
    return `pulumi config rm ${option(path)}`;
}

function option(path: PropertyKey[]): string {
    return path.length > 1 ? `--path ${shellPath(keyOf(path))}` : keyOf(path);
}

/**
 * Values of settings that have to be set and have no default, by the last two names of their paths, those of one's own left out;
 * of a list its first.
 */
const examples: Record<string, string> = {
    "models.model": "Qwen/Qwen3-14B",
    "frontDoor.clients": "search",
    "schedule.days": "mon-fri",
    "schedule.from": "08:00",
    "schedule.to": "19:00",
    "schedule.timeZone": "Europe/Paris",
    "schedule.min": "1",
    "schedule.max": "3",
    "lease.until": "2030-06-30T18:00:00+02:00",
    "volumes.path": "/data",
    "volumes.permission": "RW",
    "dataStore.alias": "my-store",
    "dataStore.container": "my-container",
    "weights.dataStore": "my-store",
    "weights.container": "my-weights",
    "autoscale.min": "3",
    "autoscale.max": "6",
    "ingress.host": "grafana.example.org",
    "ingress.class": "nginx",
    "receivers.type": "webhook",
    "receivers.channel": "#alerts",
    "receivers.to": "ops@example.org",
    "receivers.from": "alerts@example.org",
    "receivers.smarthost": "smtp.example.org:587",
};

/** What is secret of a receiver, whatever its type. */
export const receiverSecrets = ["url", "password", "routingKey", "apiKey"];

/** The command that sets what is not set and has to be, with a value that is taken; undefined where there is a default. */
export function exampleCommand(path: PropertyKey[]): string | undefined {
    const names = path.filter((step) => typeof step !== "number").map(String);
    const last = names.at(-1)!;
    if (names[0] === "alerting" && receiverSecrets.includes(last)) {
        return `pulumi config set --secret --path ${shellPath(keyOf(path))} (it asks for it)`;
    }
    const ofOwnName = { alerting: "receivers", models: names.length === 3 ? "models" : undefined }[names[0]];
    const example = examples[`${ofOwnName ?? names.at(-2)}.${last}`];
    if (example === undefined) return undefined;
    return setCommand(last === "clients" ? [...path, 0] : path, example.startsWith("#") ? `'${example}'` : example);
}
