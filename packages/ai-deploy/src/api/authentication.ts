/** Proves to OVHcloud who asks. */
import { createHash } from "crypto";
import type { Credentials } from "./credentials";
import { ApiError, MalformedAnswerError, NoAnswerError } from "../errors/request-errors";
import { send, type Answer } from "./transport";

type OAuth2 = Extract<Credentials["auth"], { kind: "oauth2" }>;

/** Seconds by which an OAuth2 token is renewed early, so that it does not end on its way. */
const earlySeconds = 60;

/** The questions that come before a request, as errors name them. */
const [clockRequest, tokenRequest] = ["GET /auth/time", "OAuth2 token"];

/**
 * Headers for the requests of one credential. What it keeps for that is measured on the machine's monotonic clock:
 * a wall clock that is set back or forth changes neither signatures nor the life of a token.
 */
export class Authentication {
    /** Seconds of the platform's clock when `performance.now()` was 0. */
    private clock?: Promise<number>;
    private bearer?: { value: Promise<string>; until: number };
    /** OAuth2 tokens that were had, as secret as the credentials. */
    readonly secrets: string[] = [];

    constructor(private readonly credentials: Credentials) {}

    /** `url` and `body` exactly as they are sent. */
    async headers(method: string, url: string, body: string, timeoutMs: number): Promise<Record<string, string>> {
        const { auth } = this.credentials;
        switch (auth.kind) {
            case "token":
                return { Authorization: `Bearer ${auth.accessToken}` };
            case "oauth2":
                return { Authorization: `Bearer ${await this.oauthToken(auth, timeoutMs)}` };
            case "signature": {
                const time = String(Math.round((await this.platformClock(timeoutMs)) + performance.now() / 1000));
                return {
                    "X-Ovh-Application": auth.applicationKey,
                    "X-Ovh-Consumer": auth.consumerKey,
                    "X-Ovh-Timestamp": time,
                    "X-Ovh-Signature": sign(auth.applicationSecret, auth.consumerKey, method, url, body, time),
                };
            }
        }
    }

    /**
     * Whether a refusal may come of what was kept here, which is then forgotten: a token that ended before its time, or a
     * clock that stood while the machine slept. Another request that was refused with it may have forgotten it already. The
     * request refused has had no effect.
     */
    outdated({ operation, status, said }: ApiError): boolean {
        // Whoever is refused a token has not sent one.
        if (operation === tokenRequest || operation === clockRequest) return false;
        const { kind } = this.credentials.auth;
        const outOfTime = kind === "signature" && status === 400 && /out of time|QUERY_TIME_OUT/i.test(said);
        const ended = kind === "oauth2" && status === 401;
        if (outOfTime) this.clock = undefined;
        if (ended) this.bearer = undefined;
        return outOfTime || ended;
    }

    private platformClock(timeoutMs: number): Promise<number> {
        if (this.clock) return this.clock;
        const clock = (async () => {
            const url = `${this.credentials.baseUrl}/auth/time`;
            const { text } = await ask(clockRequest, url, { method: "GET", timeoutMs });
            const time = Number(text);
            if (!(time > 0)) {
                throw new MalformedAnswerError(clockRequest, "it is not a time in seconds", text, undefined, true);
            }
            return time - performance.now() / 1000;
        })();
        this.clock = clock;
        clock.catch(() => {
            if (this.clock === clock) this.clock = undefined;
        });
        return clock;
    }

    private oauthToken(auth: OAuth2, timeoutMs: number): Promise<string> {
        if (this.bearer && performance.now() < this.bearer.until) return this.bearer.value;
        const bearer = { value: Promise.resolve(""), until: Infinity };
        bearer.value = (async () => {
            const { token, seconds } = await askForToken(auth, timeoutMs);
            this.secrets.push(token);
            // Without a life it is used until it is refused.
            if (seconds) bearer.until = performance.now() + Math.max(seconds - earlySeconds, seconds / 2) * 1000;
            return token;
        })();
        this.bearer = bearer;
        bearer.value.catch(() => {
            if (this.bearer === bearer) this.bearer = undefined;
        });
        return bearer.value;
    }
}

async function askForToken(auth: OAuth2, timeoutMs: number): Promise<{ token: string; seconds?: number }> {
    const form = new URLSearchParams({
        grant_type: "client_credentials",
        scope: "all",
        client_id: auth.clientId,
        client_secret: auth.clientSecret,
    });
    const { text } = await ask(tokenRequest, auth.tokenUrl, {
        method: "POST",
        headers: { "Content-Type": "application/x-www-form-urlencoded" },
        body: form.toString(),
        timeoutMs,
    });
    const { access_token: token, expires_in: seconds } = (parse(text) ?? {}) as {
        access_token?: unknown;
        expires_in?: unknown;
    };
    if (typeof token !== "string" || token === "") {
        throw new MalformedAnswerError(tokenRequest, "access_token is not a text", text, undefined, true);
    }
    return { token, seconds: typeof seconds === "number" && seconds > 0 ? seconds : undefined };
}

/** A question that comes before the request proper: when it fails, that was never sent. */
async function ask(operation: string, url: string, request: Parameters<typeof send>[2]): Promise<Answer> {
    let answer: Answer;
    try {
        answer = await send(operation, url, request);
    } catch (error) {
        if (error instanceof NoAnswerError) throw new NoAnswerError(operation, undefined, true, whatOf(error));
        throw error;
    }
    if (answer.status === 200) return answer;
    const error = new ApiError(operation, answer.status, messageOf(answer.text), queryIdOf(answer));
    throw error.transient && error.status !== 429
        ? new NoAnswerError(operation, undefined, true, whatOf(error))
        : error;
}

function whatOf({ operation, message }: NoAnswerError | ApiError): string {
    return message.slice(operation.length + 2);
}

/** What an answer that is no success says for itself. */
export function messageOf(text: string): string {
    const said = parse(text);
    if (typeof said !== "object" || said === null) return text || "no message";
    const { message, error_description: description, errorCode, details } = said as Record<string, unknown>;
    // A refusal by IAM, in the words of OVHcloud's library for Go.
    const { unauthorizedActionsByIAM: lacking } = (details ?? {}) as Record<string, unknown>;
    const missing = typeof lacking === "string" && lacking !== "" ? `(missing IAM permissions: ${lacking})` : undefined;
    const parts = [message ?? description, errorCode, missing];
    return parts.filter((part) => typeof part === "string").join(" ") || "no message";
}

export function queryIdOf({ headers }: Answer): string | undefined {
    return headers.get("x-ovh-queryid") ?? undefined;
}

function parse(text: string): unknown {
    try {
        return JSON.parse(text);
    } catch {
        return undefined; // not JSON: the caller says so
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
