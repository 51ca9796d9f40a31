import { sign } from "../../packages/ai-deploy/src/api/authentication";
import type { Credentials } from "../../packages/ai-deploy/src/api/credentials";

interface ErrorBody {
    class?: string;
    message?: string;
    details?: Record<string, string>;
}

/** The API's refusal, in the words of OVHcloud's library for Go, which the real plugin is made with. */
export class OvhApiError extends Error {
    constructor(
        readonly status: number,
        { class: errorClass, message, details = {} }: ErrorBody,
        readonly queryId: string,
    ) {
        const { unauthorizedActionsByAuthentication, unauthorizedActionsByIAM } = details;
        const missing = [unauthorizedActionsByAuthentication, unauthorizedActionsByIAM].filter(Boolean).join(", ");
        const lacking = missing ? ` (missing IAM permissions: ${missing})` : "";
        const named = errorClass ? `${errorClass}: ` : "";
        super(
            `OVHcloud API error (status code ${status}): ${named}${JSON.stringify((message ?? "") + lacking)}` +
                (queryId ? ` (X-OVH-Query-Id: ${queryId})` : ""),
        );
    }
}

/** How long the library waits for an answer. */
const timeoutMs = 180_000;

/** The API as the real plugin calls it: each call is made once, whatever comes of it. */
export class OvhApi {
    private clockSkew?: Promise<number>;

    constructor(private readonly credentials: Credentials) {}

    get<T>(path: string): Promise<T> {
        return this.call("GET", path);
    }

    post<T>(path: string, body?: object): Promise<T> {
        return this.call("POST", path, body);
    }

    async put(path: string, body: object): Promise<void> {
        await this.call("PUT", path, body);
    }

    async delete(path: string): Promise<void> {
        await this.call("DELETE", path);
    }

    private async call<T>(method: string, path: string, body?: object): Promise<T> {
        // Of version 2 there is what the plugin asks for so.
        const { baseUrl } = this.credentials;
        const url = (path.startsWith("/v2/") ? baseUrl.replace(/\/v1$/, "") : baseUrl) + path;
        const text = body === undefined ? "" : JSON.stringify(body);
        const headers: Record<string, string> = {
            Accept: "application/json",
            ...(await this.signed(method, url, text)),
        };
        if (text !== "") headers["Content-Type"] = "application/json;charset=utf-8";
        const answer = await exchange(method, url, headers, text);
        if (answer.status >= 400) throw new OvhApiError(answer.status, answer.body as ErrorBody, answer.queryId);
        return answer.body as T;
    }

    private async signed(method: string, url: string, body: string): Promise<Record<string, string>> {
        const { auth } = this.credentials;
        if (auth.kind === "token") return { Authorization: `Bearer ${auth.accessToken}` };
        if (auth.kind === "oauth2") throw new Error("OAuth2 is for OVHcloud's own addresses only");
        this.clockSkew ??= exchange("GET", `${this.credentials.baseUrl}/auth/time`, {}, "").then(
            ({ body: time }) => Number(time) - Math.floor(Date.now() / 1000),
        );
        const time = String(Math.floor(Date.now() / 1000) + (await this.clockSkew));
        return {
            "X-Ovh-Application": auth.applicationKey,
            "X-Ovh-Consumer": auth.consumerKey,
            "X-Ovh-Timestamp": time,
            "X-Ovh-Signature": sign(auth.applicationSecret, auth.consumerKey, method, url, body, time),
        };
    }
}

async function exchange(
    method: string,
    url: string,
    headers: Record<string, string>,
    body: string,
): Promise<{ status: number; body: unknown; queryId: string }> {
    try {
        const signal = AbortSignal.timeout(timeoutMs);
        const answer = await fetch(url, { method, headers, body: body === "" ? undefined : body, signal });
        const text = await answer.text();
        return {
            status: answer.status,
            body: text === "" ? undefined : (JSON.parse(text) as unknown),
            queryId: answer.headers.get("x-ovh-queryid") ?? "",
        };
    } catch (error) {
        const { cause, message } = error as Error & { cause?: { code?: string; message?: string } };
        // What Go says to a connection that ends without an answer.
        const why = cause?.code === "UND_ERR_SOCKET" ? "EOF" : (cause?.message ?? message);
        throw new Error(`${method[0]}${method.slice(1).toLowerCase()} "${url}": ${why}`);
    }
}
