/**
 * Reads an app's state from OVHcloud's API, which no app takes for a request: the only way to know of one that may sleep
 * without waking it. A part of the relay, which runs it from the same ConfigMap; nothing but Node.
 */
import { createHash } from "node:crypto";
import * as http from "node:http";
import * as https from "node:https";

/** Where the app is in OVHcloud's API. */
export interface AppAddress {
    /** Address of the API with its version, such as `https://eu.api.ovh.com/v1`. */
    api: string;
    /** Public Cloud project. */
    project: string;
    app: string;
}

/** A key of OVHcloud's API; one that may read apps and nothing else is enough. */
export interface ReaderKey {
    applicationKey: string;
    applicationSecret: string;
    consumerKey: string;
}

/** A key as `appReaderKey` has it, the parts with colons between them. Throws an Error without the key. */
export function parseKey(text: string): ReaderKey {
    const [applicationKey, applicationSecret, consumerKey, ...more] = text.split(":");
    if (!consumerKey || more.length > 0) throw new Error("appReaderKey is not KEY:SECRET:CONSUMER");
    return { applicationKey, applicationSecret, consumerKey };
}

/** An app as the API tells of it. */
export interface AppState {
    /** `AppStateEnum`, such as RUNNING or STANDBY; DELETED, too, when there is none of this id. */
    state: string;
    /** Replicas that serve. */
    replicas: number;
}

/** Seconds that one answer may take: a scrape waits for it, and is to have time left for the replicas. */
const timeout = 2;
/** Many times what an app is. */
const maxBytes = 1_000_000;

export class StateReader {
    /** Seconds by which OVHcloud's clock is ahead of this one's: a signature holds for half a minute. */
    private skew?: number;

    /** @param readKey called for each look, so that a new key needs no restart */
    constructor(
        private readonly address: AppAddress,
        private readonly readKey: () => ReaderKey,
    ) {}

    /** Throws an Error that says why the state cannot be told, without the key. */
    async read(): Promise<AppState> {
        const { api, project, app } = this.address;
        this.skew ??= Number((await get(`${api}/auth/time`)).text) - Date.now() / 1000;
        const url = `${api}/cloud/project/${project}/ai/app/${app}`;
        const { status, text } = await get(url, this.signed(url));
        if (status === 404) return { state: "DELETED", replicas: 0 };
        if (status !== 200) {
            this.skew = undefined; // it may be the clock
            throw new Error(`OVHcloud's API answers ${status}${status === 403 || status === 401 ? wrongKey : ""}`);
        }
        const found = (JSON.parse(text) as { status?: { state?: string; availableReplicas?: number | null } }).status;
        if (!found?.state) throw new Error("OVHcloud's API answers without a state");
        return { state: found.state, replicas: found.availableReplicas ?? 0 };
    }

    /** Headers of a signed GET (https://help.ovhcloud.com: First steps with the OVHcloud APIs). */
    private signed(url: string): Record<string, string> {
        const { applicationKey, applicationSecret, consumerKey } = this.readKey();
        const time = String(Math.round(Date.now() / 1000 + this.skew!));
        const text = [applicationSecret, consumerKey, "GET", url, "", time].join("+");
        return {
            "x-ovh-application": applicationKey,
            "x-ovh-consumer": consumerKey,
            "x-ovh-timestamp": time,
            "x-ovh-signature": `$1$${createHash("sha1").update(text).digest("hex")}`,
        };
    }
}

const wrongKey = ": appReaderKey may not read this app";

/** Rejects when there is no whole answer in time. */
function get(url: string, headers: Record<string, string> = {}): Promise<{ status: number; text: string }> {
    const { get: send } = url.startsWith("https:") ? https : http;
    return new Promise((resolve, reject) => {
        const request = send(url, { headers: { ...headers, "user-agent": "vllm-relay" } }, (answer) => {
            let text = "";
            answer.setEncoding("utf8").on("data", (part: string) => {
                text += part;
                if (text.length > maxBytes) request.destroy(new Error("an answer of more than a megabyte"));
            });
            answer.on("error", reject);
            answer.on("end", () => resolve({ status: answer.statusCode!, text }));
        });
        const timer = setTimeout(() => request.destroy(new Error(`no answer within ${timeout} s`)), timeout * 1000);
        request.on("error", reject).on("close", () => clearTimeout(timer));
    });
}
