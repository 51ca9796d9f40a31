import { readFileSync } from "fs";
import { homedir } from "os";
import { join } from "path";

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

const names = [
    { config: "applicationKey", env: "OVH_APPLICATION_KEY", ini: "application_key" },
    { config: "applicationSecret", env: "OVH_APPLICATION_SECRET", ini: "application_secret" },
    { config: "consumerKey", env: "OVH_CONSUMER_KEY", ini: "consumer_key" },
    { config: "clientId", env: "OVH_CLIENT_ID", ini: "client_id" },
    { config: "clientSecret", env: "OVH_CLIENT_SECRET", ini: "client_secret" },
    { config: "accessToken", env: "OVH_ACCESS_TOKEN", ini: "access_token" },
] as const;

/** Where settings are looked up. */
export interface Sources {
    /** Stack config by full key, such as `ovh:endpoint`. */
    config: (key: string) => string | undefined;
    env: Record<string, string | undefined>;
    /** Texts of the `ovh.conf` files that exist, the most important first. */
    files: string[];
}

/**
 * Resolves credentials as go-ovh and `@ovhcloud/pulumi-ovh` do: each setting from stack config, else the environment,
 * else `ovh.conf`. Throws an Error that says what is missing or in conflict, never with a value.
 */
export function resolveCredentials({ config, env, files }: Sources): Credentials {
    const inis = files.map(parseIni);
    const fromIni = (section: string, key: string): string | undefined =>
        inis.map((ini) => ini[section]?.[key]).find((value) => value !== undefined);
    const endpoint = config("ovh:endpoint") || env.OVH_ENDPOINT || fromIni("default", "endpoint");
    if (!endpoint) {
        throw new Error(
            "OVHcloud endpoint is not set: set OVH_ENDPOINT (ovh-eu, ovh-ca or ovh-us), or `pulumi config set ovh:endpoint ovh-eu`",
        );
    }
    const custom = endpoint.includes("/");
    if (!custom && !endpoints[endpoint]) {
        throw new Error(`OVHcloud endpoint "${endpoint}" is unknown: use ovh-eu, ovh-ca, ovh-us, or a URL`);
    }
    const value: Partial<Record<(typeof names)[number]["config"], string>> = {};
    for (const name of names) {
        value[name.config] = config(`ovh:${name.config}`) || env[name.env] || fromIni(endpoint, name.ini) || undefined;
    }
    const given = (...keys: (keyof typeof value)[]): boolean => keys.some((key) => value[key] !== undefined);
    const methods = [
        given("applicationKey", "applicationSecret", "consumerKey") && "application key",
        given("clientId", "clientSecret") && "OAuth2 client",
        given("accessToken") && "access token",
    ].filter(Boolean);
    if (methods.length > 1) {
        throw new Error(
            `OVHcloud credentials of more than one kind are set (${methods.join(", ")}): keep one; stack config, environment and ovh.conf add up`,
        );
    }
    const need = (...keys: (keyof typeof value)[]): string[] => {
        const missing = names.filter((name) => keys.includes(name.config) && value[name.config] === undefined);
        if (missing.length > 0) {
            throw new Error(`OVHcloud credentials are incomplete: set ${missing.map((name) => name.env).join(", ")}`);
        }
        return keys.map((key) => value[key]!);
    };
    const baseUrl = custom ? customBase(endpoint) : endpoints[endpoint].baseUrl;
    switch (methods[0]) {
        case "application key": {
            const [applicationKey, applicationSecret, consumerKey] = need(
                "applicationKey",
                "applicationSecret",
                "consumerKey",
            );
            return { baseUrl, auth: { kind: "signature", applicationKey, applicationSecret, consumerKey } };
        }
        case "OAuth2 client": {
            const [clientId, clientSecret] = need("clientId", "clientSecret");
            if (custom) {
                throw new Error(
                    `OVHcloud OAuth2 credentials work with ovh-eu, ovh-ca and ovh-us only, not with ${endpoint}`,
                );
            }
            return {
                baseUrl,
                auth: { kind: "oauth2", clientId, clientSecret, tokenUrl: endpoints[endpoint].tokenUrl },
            };
        }
        case "access token":
            return { baseUrl, auth: { kind: "token", accessToken: value.accessToken! } };
        default:
            throw new Error(
                "OVHcloud credentials are not set: set OVH_CLIENT_ID and OVH_CLIENT_SECRET, or OVH_APPLICATION_KEY, OVH_APPLICATION_SECRET and OVH_CONSUMER_KEY, or OVH_ACCESS_TOKEN",
            );
    }
}

/** `https://host/1.0` and `https://host/v1` both mean the API of version 1 there. */
function customBase(endpoint: string): string {
    const url = endpoint.replace(/\/+$/, "");
    if (!/^https?:\/\//.test(url)) {
        throw new Error(`OVHcloud endpoint "${endpoint}" is not a URL: begin it with https://`);
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
