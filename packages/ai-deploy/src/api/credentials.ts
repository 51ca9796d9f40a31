import { readFileSync } from "fs";
import { homedir } from "os";
import { join } from "path";
import { configKey } from "../errors/setting-names";

/** How to reach the API, and as whom. */
export interface Credentials {
    /** With `/v1`, without a slash at the end. */
    baseUrl: string;
    auth:
        | { kind: "signature"; applicationKey: string; applicationSecret: string; consumerKey: string }
        | { kind: "oauth2"; clientId: string; clientSecret: string; tokenUrl: string }
        | { kind: "token"; accessToken: string };
}

/** Endpoints by go-ovh's names. */
const endpoints: Record<string, { baseUrl: string; tokenUrl: string }> = {
    "ovh-eu": { baseUrl: "https://eu.api.ovh.com/v1", tokenUrl: "https://www.ovh.com/auth/oauth2/token" },
    "ovh-ca": { baseUrl: "https://ca.api.ovh.com/v1", tokenUrl: "https://ca.ovh.com/auth/oauth2/token" },
    "ovh-us": { baseUrl: "https://api.us.ovhcloud.com/v1", tokenUrl: "https://us.ovhcloud.com/auth/oauth2/token" },
};

interface Name {
    config: string;
    env: string;
    ini: string;
}

const names = [
    { config: "applicationKey", env: "OVH_APPLICATION_KEY", ini: "application_key" },
    { config: "applicationSecret", env: "OVH_APPLICATION_SECRET", ini: "application_secret" },
    { config: "consumerKey", env: "OVH_CONSUMER_KEY", ini: "consumer_key" },
    { config: "clientId", env: "OVH_CLIENT_ID", ini: "client_id" },
    { config: "clientSecret", env: "OVH_CLIENT_SECRET", ini: "client_secret" },
    { config: "accessToken", env: "OVH_ACCESS_TOKEN", ini: "access_token" },
] as const satisfies Name[];

type Key = (typeof names)[number]["config"];

/** Where settings are looked up. */
export interface Sources {
    /** Stack config by full key, such as `ovh:endpoint`. */
    config: (key: string) => string | undefined;
    env: Record<string, string | undefined>;
    /** Texts of the `ovh.conf` files that exist, the most important first. */
    files: string[];
}

/** Nothing at all is set. A preview of new resources works without. */
export class NoCredentialsError extends Error {}

/** A setting, and where it was found as one would name it. */
interface Found {
    value: string;
    /** Such as `ovh:endpoint (stack config)`. */
    where: string;
    /** How to take it away there. */
    undo: string;
}

/**
 * Resolves credentials as go-ovh and `@ovhcloud/pulumi-ovh` do: each setting from stack config, else the environment,
 * else `ovh.conf`.
 * @throws NoCredentialsError, or an Error that says what is wrong, where it was found and what to do, never with a secret.
 */
export function resolveCredentials(sources: Sources): Credentials {
    const endpoint = findEndpoint(sources);
    const found: Partial<Record<Key, Found>> = {};
    for (const name of names) found[name.config] = find(sources, name, endpoint?.value ?? "");
    const methods = Object.entries(keysOf).filter(([, keys]) => keys.some((key) => found[key]));
    if (!endpoint) {
        const unset = `set OVH_ENDPOINT (ovh-eu, ovh-ca or ovh-us), or \`pulumi config set ${configKey("endpoint")} ovh-eu\``;
        throw new (methods.length === 0 ? NoCredentialsError : Error)(`OVHcloud endpoint is not set: ${unset}`);
    }
    const { baseUrl, custom } = addressOf(endpoint);
    if (methods.length > 1) throw tooMany(methods, found);
    const [method, keys] = methods[0] ?? [];
    if (!method || !keys) {
        throw new NoCredentialsError(
            "OVHcloud credentials are not set: set OVH_CLIENT_ID and OVH_CLIENT_SECRET, or OVH_APPLICATION_KEY, OVH_APPLICATION_SECRET and OVH_CONSUMER_KEY, or OVH_ACCESS_TOKEN",
        );
    }
    const missing = names.filter(({ config }) => keys.includes(config) && !found[config]);
    if (missing.length > 0) {
        const given = keys.flatMap((key) => found[key]?.where ?? []).join(", ");
        const wanted = missing.map(({ env, config }) => `${env} or ${configKey(config)}`).join(", ");
        throw new Error(`OVHcloud credentials are incomplete: beside ${given}, set ${wanted}`);
    }
    const value = (key: Key): string => found[key]!.value;
    switch (method) {
        case "access token":
            return { baseUrl, auth: { kind: "token", accessToken: value("accessToken") } };
        case "OAuth2 client": {
            if (custom) {
                const only = "OVHcloud OAuth2 credentials work with ovh-eu, ovh-ca and ovh-us only";
                throw new Error(`${only}, and ${endpoint.where} is ${endpoint.value}`);
            }
            const { tokenUrl } = endpoints[endpoint.value];
            const [clientId, clientSecret] = [value("clientId"), value("clientSecret")];
            return { baseUrl, auth: { kind: "oauth2", clientId, clientSecret, tokenUrl } };
        }
        default: {
            const [applicationKey, applicationSecret] = [value("applicationKey"), value("applicationSecret")];
            const consumerKey = value("consumerKey");
            return { baseUrl, auth: { kind: "signature", applicationKey, applicationSecret, consumerKey } };
        }
    }
}

/** How the API is reached, without a credential. */
export interface Endpoint {
    /** `ovh-eu`, or the URL that was given. */
    name: string;
    /** With `/v1`, without a slash at the end. */
    baseUrl: string;
    /** Where an OAuth2 client gets its tokens. */
    tokenUrl: string;
    /** As URNs of OVHcloud name it. */
    plate: string;
}

/**
 * Where the API is, for what it tells everybody; undefined where no endpoint is set.
 * @throws Error as `resolveCredentials` for an endpoint that is none
 */
export function resolveEndpoint(sources: Sources): Endpoint | undefined {
    const endpoint = findEndpoint(sources);
    if (!endpoint) return undefined;
    const { baseUrl, tokenUrl, custom } = addressOf(endpoint);
    return { name: endpoint.value, baseUrl, tokenUrl, plate: custom ? "eu" : endpoint.value.replace("ovh-", "") };
}

function findEndpoint(sources: Sources): Found | undefined {
    return find(sources, { config: "endpoint", env: "OVH_ENDPOINT", ini: "endpoint" }, "default");
}

function addressOf(endpoint: Found): { baseUrl: string; tokenUrl: string; custom: boolean } {
    if (endpoint.value.includes("/")) {
        const baseUrl = customBase(endpoint);
        return { baseUrl, tokenUrl: baseUrl.replace(/\/v1$/, "/auth/oauth2/token"), custom: true };
    }
    if (!Object.hasOwn(endpoints, endpoint.value)) {
        throw new Error(
            `${endpoint.where} is "${endpoint.value}", which is unknown: give ovh-eu, ovh-ca, ovh-us, or a URL`,
        );
    }
    return { ...endpoints[endpoint.value], custom: false };
}

/** What is set of each kind of credentials. */
const keysOf: Record<"application key" | "OAuth2 client" | "access token", Key[]> = {
    "application key": ["applicationKey", "applicationSecret", "consumerKey"],
    "OAuth2 client": ["clientId", "clientSecret"],
    "access token": ["accessToken"],
};

function find({ config, env, files }: Sources, name: Name, section: string): Found | undefined {
    const key = configKey(name.config);
    const configured = config(key);
    if (configured) return { value: configured, where: `${key} (stack config)`, undo: `pulumi config rm ${key}` };
    const exported = env[name.env];
    if (exported) return { value: exported, where: `${name.env} (environment)`, undo: `unset ${name.env}` };
    const value = files.map((text) => parseIni(text)[section]?.[name.ini]).find((entry) => entry !== undefined);
    if (!value) return undefined;
    return { value, where: `${name.ini} (ovh.conf)`, undo: `take ${name.ini} out of ovh.conf` };
}

function tooMany(methods: [string, Key[]][], found: Partial<Record<Key, Found>>): Error {
    const given = (keys: Key[]): Found[] => keys.flatMap((key) => found[key] ?? []);
    const kinds = methods.map(
        ([method, keys]) =>
            `${method}: ${given(keys)
                .map(({ where }) => where)
                .join(", ")}`,
    );
    const ways = methods.map(([, keys]) =>
        given(keys)
            .map(({ undo }) => undo)
            .join(", "),
    );
    return new Error(
        `OVHcloud credentials of more than one kind are set (${kinds.join("; ")}), and stack config, environment and ovh.conf add up. ` +
            `Keep one kind: ${ways.join("; or ")}`,
    );
}

/** `https://host/1.0` and `https://host/v1` both mean the API of version 1 there. */
function customBase({ value, where }: Found): string {
    const url = value.replace(/\/+$/, "");
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
        throw new Error(`${where} is "${value}", which is not a URL: give https://HOST/v1`);
    }
    return `${url.replace(/\/(1\.0|v1)$/, "")}/v1`;
}

/** Texts of the `ovh.conf` files where go-ovh looks, those that exist. */
export function configFiles(): string[] {
    return ["ovh.conf", join(homedir(), ".ovh.conf"), "/etc/ovh.conf"].flatMap((file) => {
        try {
            return [readFileSync(file, "utf8")];
        } catch {
            return []; // not there, or not ours to read
        }
    });
}

function parseIni(text: string): Record<string, Record<string, string>> {
    const out: Record<string, Record<string, string>> = {};
    let section = "default";
    for (const line of text.split(/\r?\n/)) {
        const header = /^\s*\[([^\]]+)\]/.exec(line);
        const pair = /^\s*([^;#=\s]+)\s*=\s*(.*?)\s*$/.exec(line);
        if (header) section = header[1];
        else if (pair) (out[section] ??= {})[pair[1]] = pair[2];
    }
    return out;
}

/** The values that must appear nowhere. */
export function secretsOf({ auth }: Credentials): string[] {
    switch (auth.kind) {
        case "signature":
            return [auth.applicationSecret, auth.consumerKey];
        case "oauth2":
            return [auth.clientSecret];
        case "token":
            return [auth.accessToken];
    }
}
