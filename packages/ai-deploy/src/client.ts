import { createHash } from "crypto";
import { sleep } from "./cancellation";
import type { Credentials } from "./credentials";

/** OVHcloud answered, and not with success. */
export class ApiError extends Error {
    constructor(
        /** `PUT /ai/app/ID/image` */
        readonly operation: string,
        readonly status: number,
        /** What OVHcloud said. */
        readonly said: string,
        readonly queryId: string | undefined,
    ) {
        super(`${operation}: OVHcloud answered ${status}: ${said}${queryId ? ` (X-Ovh-QueryID ${queryId})` : ""}`);
    }

    get gone(): boolean {
        return this.status === 404;
    }

    /** Worth another try: the request was refused for now, or the platform is ill. */
    get transient(): boolean {
        return this.status === 429 || this.status === 408 || this.status >= 500;
    }
}

/** No answer came: the connection failed or took too long. What the request did is unknown, unless it was never sent. */
export class NoAnswerError extends Error {
    constructor(
        readonly operation: string,
        cause: unknown,
        /** Whether the request cannot have reached the platform. */
        readonly neverSent: boolean,
    ) {
        super(`${operation}: no answer from OVHcloud (${causeText(cause)})`);
    }
}

export function isTransient(error: unknown): boolean {
    return error instanceof NoAnswerError || (error instanceof ApiError && error.transient);
}

export interface ClientOptions {
    requestsPerMinute?: number;
    requestTimeoutMs?: number;
    /** First pause of the exponential back-off. */
    backoffMs?: number;
}

/** OVHcloud's fair use is 60 requests a minute per credential; ten are left to the `ovh` provider of the same stack. */
export const defaultRequestsPerMinute = 50;

/** Requests that may be sent at once; the rest of a minute's come evenly, so that no minute sees more than the limit. */
const burst = 8;
/** Attempts of a request that may be repeated. */
const attempts = 5;
const maxBackoffMs = 20_000;
const maxRetryAfterSeconds = 120;
/** A look that only makes a preview better is not waited for longer. */
const glanceTimeoutMs = 10_000;

/** The OVHcloud API v1, as one credential. Shared by all resources of a process, so that the rate limit is kept together. */
export class OvhClient {
    private readonly requestsPerMinute: number;
    private readonly requestTimeoutMs: number;
    private readonly backoffMs: number;
    private tokens = burst;
    private refilled = performance.now();
    /** Set by a 429: nobody sends before it, since the limit is the credential's, not the request's. */
    private notBefore = 0;
    private turns: Promise<void> = Promise.resolve();
    private clockSkew?: Promise<number>;
    private bearer?: { value: Promise<string>; until: number };

    constructor(
        private readonly credentials: Credentials,
        options: ClientOptions = {},
    ) {
        this.requestsPerMinute = options.requestsPerMinute ?? defaultRequestsPerMinute;
        this.requestTimeoutMs = options.requestTimeoutMs ?? 60_000;
        this.backoffMs = options.backoffMs ?? 1000;
    }

    get<T>(path: string): Promise<T> {
        return this.repeat("GET", path);
    }

    /** One attempt, and not a long one: for what may fail without harm. */
    glance<T>(path: string): Promise<T> {
        return this.once("GET", path, undefined, Math.min(glanceTimeoutMs, this.requestTimeoutMs));
    }

    /** A PUT that says what is to be, so that sending it twice does no harm. */
    put<T>(path: string, body?: object): Promise<T> {
        return this.repeat("PUT", path, body);
    }

    /** Whether the platform took it. False when it did not find it: gone already, which a caller who must be sure looks up. */
    async delete(path: string): Promise<boolean> {
        try {
            await this.repeat("DELETE", path);
            return true;
        } catch (error) {
            if (error instanceof ApiError && error.gone) return false;
            throw error;
        }
    }

    /** Sends a POST once: after a failure without an answer its effect is unknown, and the caller has to look. */
    post<T>(path: string, body?: object): Promise<T> {
        return this.harmlessly("POST", path, body);
    }

    /** The same for a PUT that may restart what it changes. */
    putOnce<T>(path: string, body?: object): Promise<T> {
        return this.harmlessly("PUT", path, body);
    }

    /** Repeats a write only where the platform cannot have acted on it: refused with 429, or never sent. */
    private async harmlessly<T>(method: string, path: string, body?: object): Promise<T> {
        for (let attempt = 1; ; attempt++) {
            try {
                return await this.once<T>(method, path, body);
            } catch (error) {
                const harmless =
                    (error instanceof ApiError && error.status === 429) ||
                    (error instanceof NoAnswerError && error.neverSent);
                if (!harmless || attempt >= attempts) throw error;
                await this.backOff(attempt);
            }
        }
    }

    private async repeat<T>(method: string, path: string, body?: object): Promise<T> {
        for (let attempt = 1; ; attempt++) {
            try {
                return await this.once<T>(method, path, body);
            } catch (error) {
                if (!isTransient(error) || attempt >= attempts) throw error;
                await this.backOff(attempt);
            }
        }
    }

    /** Full jitter. What the platform asks for with `Retry-After` is waited for by everybody, in `takeTurn`. */
    private backOff(attempt: number): Promise<void> {
        return sleep(Math.random() * Math.min(maxBackoffMs, this.backoffMs * 2 ** attempt));
    }

    private async once<T>(method: string, path: string, body?: object, timeoutMs = this.requestTimeoutMs): Promise<T> {
        try {
            return await this.exchange<T>(method, path, body, timeoutMs);
        } catch (error) {
            // A bearer token may end before its time; a request refused for it has had no effect.
            const stale = this.bearer !== undefined && error instanceof ApiError && error.status === 401;
            if (!stale) throw error;
            this.bearer = undefined;
            return this.exchange<T>(method, path, body, timeoutMs);
        }
    }

    private async exchange<T>(method: string, path: string, body: object | undefined, timeoutMs: number): Promise<T> {
        const operation = `${method} ${path.replace(/^\/cloud\/project\/[^/]+/, "").replace(/\?.*/, "")}`;
        await this.takeTurn();
        const url = this.credentials.baseUrl + path;
        const text = body === undefined ? "" : JSON.stringify(body);
        const headers: Record<string, string> = {
            Accept: "application/json",
            ...(await this.authorize(method, url, text)),
        };
        if (text !== "") headers["Content-Type"] = "application/json";
        let answer: Response;
        let answerText: string;
        try {
            answer = await fetch(url, {
                method,
                headers,
                body: text === "" ? undefined : text,
                signal: AbortSignal.timeout(timeoutMs),
                redirect: "error",
            });
            answerText = await answer.text();
        } catch (error) {
            throw new NoAnswerError(operation, error, neverSent(error));
        }
        const queryId = answer.headers.get("x-ovh-queryid") ?? undefined;
        if (!answer.ok) {
            const retryAfterSeconds = Number(answer.headers.get("retry-after") ?? 0);
            if (retryAfterSeconds > 0) {
                const pauseMs = Math.min(retryAfterSeconds, maxRetryAfterSeconds) * 1000;
                this.notBefore = Math.max(this.notBefore, performance.now() + pauseMs);
            }
            throw new ApiError(operation, answer.status, messageOf(answerText), queryId);
        }
        if (answerText === "") return undefined as T;
        try {
            return JSON.parse(answerText) as T;
        } catch {
            // Success was said, but not what came of it: as unclear as no answer.
            throw new NoAnswerError(operation, new Error("an answer that is not JSON"), false);
        }
    }

    /** Turns come in the order in which they were asked for, so that nobody starves. */
    private takeTurn(): Promise<void> {
        this.turns = this.turns.then(() => this.nextTurn());
        return this.turns;
    }

    /** A token bucket: `burst` requests at once, and in any minute no more than the limit. */
    private async nextTurn(): Promise<void> {
        const perMs = Math.max(1, this.requestsPerMinute - burst) / 60_000;
        for (;;) {
            const now = performance.now();
            this.tokens = Math.min(burst, this.tokens + (now - this.refilled) * perMs);
            this.refilled = now;
            if (now < this.notBefore) await sleep(this.notBefore - now);
            else if (this.tokens >= 1) break;
            else await sleep((1 - this.tokens) / perMs);
        }
        this.tokens -= 1;
    }

    private async authorize(method: string, url: string, body: string): Promise<Record<string, string>> {
        const { auth } = this.credentials;
        switch (auth.kind) {
            case "token":
                return { Authorization: `Bearer ${auth.accessToken}` };
            case "oauth2":
                return { Authorization: `Bearer ${await this.oauthToken(auth)}` };
            case "signature": {
                const time = String(Math.round(Date.now() / 1000 + (await this.skew())));
                return {
                    "X-Ovh-Application": auth.applicationKey,
                    "X-Ovh-Consumer": auth.consumerKey,
                    "X-Ovh-Timestamp": time,
                    "X-Ovh-Signature": sign(auth.applicationSecret, auth.consumerKey, method, url, body, time),
                };
            }
        }
    }

    /** Seconds by which the platform's clock is ahead of ours; asked once. */
    private skew(): Promise<number> {
        this.clockSkew ??= (async () => {
            const answer = await fetch(`${this.credentials.baseUrl}/auth/time`, {
                signal: AbortSignal.timeout(this.requestTimeoutMs),
            });
            const time = Number(await answer.text());
            if (!answer.ok || !Number.isFinite(time)) throw new Error(`status ${answer.status}`);
            return time - Date.now() / 1000;
        })().catch((error: unknown) => {
            this.clockSkew = undefined;
            throw new NoAnswerError("GET /auth/time", error, true);
        });
        return this.clockSkew;
    }

    private oauthToken(auth: { clientId: string; clientSecret: string; tokenUrl: string }): Promise<string> {
        if (this.bearer && Date.now() < this.bearer.until) return this.bearer.value;
        const bearer = { value: Promise.resolve(""), until: Infinity };
        bearer.value = (async () => {
            const form = new URLSearchParams({
                grant_type: "client_credentials",
                scope: "all",
                client_id: auth.clientId,
                client_secret: auth.clientSecret,
            });
            let answer: Response;
            try {
                answer = await fetch(auth.tokenUrl, {
                    method: "POST",
                    body: form,
                    signal: AbortSignal.timeout(this.requestTimeoutMs),
                });
            } catch (error) {
                throw new NoAnswerError("OAuth2 token", error, true);
            }
            const text = await answer.text();
            if (!answer.ok) {
                throw new ApiError(
                    "OAuth2 token",
                    answer.status,
                    messageOf(text),
                    answer.headers.get("x-ovh-queryid") ?? undefined,
                );
            }
            const { access_token: token, expires_in: seconds } = JSON.parse(text) as {
                access_token: string;
                expires_in: number;
            };
            // A minute early, so that it does not end on its way.
            bearer.until = Date.now() + (seconds - 60) * 1000;
            return token;
        })().catch((error: unknown) => {
            this.bearer = undefined;
            throw error;
        });
        this.bearer = bearer;
        return bearer.value;
    }
}

/** OVHcloud's signature: `url` is the full URL as sent, `body` the exact text, `time` Unix seconds of the platform's clock. */
export function sign(
    secret: string,
    consumerKey: string,
    method: string,
    url: string,
    body: string,
    time: string,
): string {
    return "$1$" + createHash("sha1").update([secret, consumerKey, method, url, body, time].join("+")).digest("hex");
}

function messageOf(text: string): string {
    try {
        const { message, error_description: description } = JSON.parse(text) as {
            message?: string;
            error_description?: string;
        };
        return message ?? description ?? "no message";
    } catch {
        return text.slice(0, 200) || "no message";
    }
}

function causeText(error: unknown): string {
    const cause = (error as { cause?: { code?: string; message?: string } }).cause;
    return cause?.code ?? cause?.message ?? (error as Error).message;
}

/** Errors of a connection that was never made. */
function neverSent(error: unknown): boolean {
    const code = (error as { cause?: { code?: string } }).cause?.code ?? "";
    return [
        "ECONNREFUSED",
        "ENOTFOUND",
        "EAI_AGAIN",
        "EHOSTUNREACH",
        "ENETUNREACH",
        "UND_ERR_CONNECT_TIMEOUT",
    ].includes(code);
}
