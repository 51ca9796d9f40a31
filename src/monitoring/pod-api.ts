/**
 * OVHcloud's API as the programs in the cluster ask it: as an OAuth2 client, or with a key, over Node's own `fetch`, so that each
 * of them stays one small file.
 */
import { createHash } from "node:crypto";

export interface ApiAddresses {
    /** With `/v1`, without a slash at the end. */
    baseUrl: string;
    /** Where an OAuth2 client gets its tokens. */
    tokenUrl: string;
}

/** An OAuth2 client, such as a service account is. */
export interface ClientCredential {
    clientId: string;
    clientSecret: string;
}

/** A key, with which each request is signed. */
export interface KeyCredential {
    applicationKey: string;
    applicationSecret: string;
    consumerKey: string;
}

export type Credential = ClientCredential | KeyCredential;

/** What kept a request from an answer that can be used. */
export const failureKinds = ["unauthorized", "refused", "limit", "server", "connection", "answer"] as const;
export type FailureKind = (typeof failureKinds)[number];

export class ApiFailure extends Error {
    constructor(
        readonly kind: FailureKind,
        message: string,
        /** Of the answer to the request itself, where there was one. */
        readonly status?: number,
    ) {
        super(message);
    }
}

/** Of one app about 10 kB. */
const maxAnswerBytes = 4 * 1024 * 1024;
/** Seconds by which a token is renewed early, so that it does not end on its way. */
const earlySeconds = 60;

/** Each request is made once: the next round is the repetition. */
export class OvhApi {
    private bearer?: { clientId: string; value: string; until: number };
    /** Seconds by which OVHcloud's clock is ahead of this one's: a signature holds for half a minute. */
    private skew?: number;

    constructor(
        private readonly addresses: ApiAddresses,
        /** Called for each request, so that another credential needs no restart. */
        private readonly readCredential: () => Credential,
        /** How long one answer may take. */
        private readonly timeoutMs = 20_000,
    ) {}

    get<T>(path: string): Promise<T> {
        return this.call("GET", path) as Promise<T>;
    }

    async put(path: string, body?: object): Promise<void> {
        await this.call("PUT", path, body);
    }

    private async call(method: string, path: string, body?: object): Promise<unknown> {
        const what = `${method} ${path.replace(/^\/cloud\/project\/[^/]+/, "")}`;
        const url = this.addresses.baseUrl + path;
        const text = body === undefined ? undefined : JSON.stringify(body);
        const type = body === undefined ? undefined : { "content-type": "application/json" };
        const own = await this.authorization([method, url, text ?? ""]);
        const headers = { ...own, accept: "application/json", ...type };
        try {
            return await this.exchange(what, url, { method, headers, body: text });
        } catch (error) {
            // A token that ended before its time, or that was taken back: the next round gets another one. Of a signature it may
            // be the clock.
            if (error instanceof ApiFailure && error.kind === "unauthorized") this.bearer = undefined;
            if (error instanceof ApiFailure && error.status !== undefined) this.skew = undefined;
            throw error;
        }
    }

    private async authorization(request: [method: string, url: string, body: string]): Promise<Record<string, string>> {
        const credential = this.readCredential();
        try {
            if (!("clientId" in credential)) return await this.signed(credential, request);
            return { authorization: `Bearer ${await this.token(credential)}` };
        } catch (error) {
            // Without its status, which says nothing of what is asked for.
            throw error instanceof ApiFailure ? new ApiFailure(error.kind, error.message) : error;
        }
    }

    private async token({ clientId, clientSecret }: ClientCredential): Promise<string> {
        const { bearer } = this;
        if (bearer?.clientId === clientId && performance.now() < bearer.until) return bearer.value;
        const form = {
            grant_type: "client_credentials",
            scope: "all",
            client_id: clientId,
            client_secret: clientSecret,
        };
        const answer = await this.exchange(tokenRequest, this.addresses.tokenUrl, {
            method: "POST",
            headers: { "content-type": "application/x-www-form-urlencoded" },
            body: new URLSearchParams(form).toString(),
        });
        const { access_token: value, expires_in: seconds } = (answer ?? {}) as Record<string, unknown>;
        if (typeof value !== "string" || value === "") {
            throw new ApiFailure("answer", `${tokenRequest}: the answer holds none`);
        }
        const life = typeof seconds === "number" && seconds > 0 ? Math.max(seconds - earlySeconds, seconds / 2) : 300;
        this.bearer = { clientId, value, until: performance.now() + life * 1000 };
        return value;
    }

    /** Headers of a signed request (https://help.ovhcloud.com: First steps with the OVHcloud APIs). */
    private async signed(
        { applicationKey, applicationSecret, consumerKey }: KeyCredential,
        request: [method: string, url: string, body: string],
    ): Promise<Record<string, string>> {
        const clock = "/auth/time";
        this.skew ??=
            Number(await this.exchange(`GET ${clock}`, this.addresses.baseUrl + clock, {})) - Date.now() / 1000;
        const time = String(Math.round(Date.now() / 1000 + this.skew));
        const text = [applicationSecret, consumerKey, ...request, time].join("+");
        return {
            "x-ovh-application": applicationKey,
            "x-ovh-consumer": consumerKey,
            "x-ovh-timestamp": time,
            "x-ovh-signature": `$1$${createHash("sha1").update(text).digest("hex")}`,
        };
    }

    /** One request and its answer as JSON. Nothing of an answer gets into a message but OVHcloud's own words on a refusal. */
    private async exchange(what: string, url: string, request: RequestInit): Promise<unknown> {
        let status: number;
        let text: string;
        try {
            const signal = AbortSignal.timeout(this.timeoutMs);
            const answer = await fetch(url, { ...request, redirect: "error", signal });
            status = answer.status;
            text = await bounded(answer);
        } catch (error) {
            if (error instanceof ApiFailure) throw error;
            const { cause, message } = error as Error & { cause?: { code?: string; message?: string } };
            throw new ApiFailure("connection", `${what}: ${cause?.code ?? cause?.message ?? message}`);
        }
        const value = parse(text);
        if (status >= 200 && status < 300) {
            if (value === notJson) throw new ApiFailure("answer", `${what}: the answer is not JSON`);
            return value;
        }
        const { message, error } = (typeof value === "object" && value ? value : {}) as {
            message?: unknown;
            error?: unknown;
        };
        const said = [message, error].find((one) => typeof one === "string");
        const why = `${what}: ${status} ${said?.slice(0, 200) ?? "without a message"}`;
        throw new ApiFailure(kindOf(status, what), why, status);
    }
}

const tokenRequest = "OAuth2 token";

function kindOf(status: number, what: string): FailureKind {
    // The token's own address refuses a credential with 400.
    if (status === 401 || (what === tokenRequest && status === 400)) return "unauthorized";
    if (status === 429) return "limit";
    return status < 500 ? "refused" : "server";
}

async function bounded(answer: Response): Promise<string> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of answer.body ?? []) {
        chunks.push(chunk as Uint8Array);
        bytes += (chunk as Uint8Array).length;
        if (bytes > maxAnswerBytes) throw new ApiFailure("answer", `an answer of more than ${maxAnswerBytes} bytes`);
    }
    return Buffer.concat(chunks).toString("utf8");
}

const notJson = Symbol("not JSON");

function parse(text: string): unknown {
    try {
        return text === "" ? null : (JSON.parse(text) as unknown);
    } catch {
        return notJson; // the caller says so
    }
}
