import { answerFault } from "./answers";
import { Authentication, messageOf, queryIdOf } from "./authentication";
import { sleep } from "../waiting/cancellation";
import { secretsOf, type Credentials } from "./credentials";
import { mask } from "../errors/mask";
import { ApiError, isTransient, MalformedAnswerError, NoAnswerError } from "../errors/request-errors";
import { proxySecrets, send, type Answer } from "./transport";

export interface ClientOptions {
    requestsPerMinute?: number;
    requestTimeoutMs?: number;
    /** First pause of the exponential back-off. */
    backoffMs?: number;
    /** A line for the person who waits, when a wait is longer than they would expect. */
    log?: (line: string) => void;
}

/** OVHcloud's fair use is 60 requests a minute per credential; ten are left to the `ovh` provider of the same stack. */
export const defaultRequestsPerMinute = 50;

/** Requests that may be sent at once; the rest of a minute's come evenly, so that no minute sees more than the limit. */
const burst = 8;
/** Attempts of a request that may be repeated. */
const attempts = 5;
const maxBackoffMs = 20_000;
const maxRetryAfterSeconds = 120;
/** A wait for the rate limit that is longer is said. */
const quietSeconds = 5;
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
    private readonly authentication: Authentication;
    private readonly log: (line: string) => void;

    constructor(
        private readonly credentials: Credentials,
        options: ClientOptions = {},
    ) {
        this.authentication = new Authentication(credentials);
        this.log = options.log ?? (() => undefined);
        this.requestsPerMinute = options.requestsPerMinute ?? defaultRequestsPerMinute;
        this.requestTimeoutMs = options.requestTimeoutMs ?? 60_000;
        this.backoffMs = options.backoffMs ?? 1000;
    }

    get<T>(path: string): Promise<T> {
        return this.repeat("GET", path);
    }

    /** One attempt, and not a long one, nor a long wait for the rate limit: for what may fail without harm. */
    glance<T>(path: string): Promise<T> {
        const timeoutMs = Math.min(glanceTimeoutMs, this.requestTimeoutMs);
        return this.once("GET", path, undefined, { timeoutMs, giveUpAt: performance.now() + timeoutMs });
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

    private async once<T>(method: string, path: string, body?: object, patience?: Patience): Promise<T> {
        try {
            return await this.exchange<T>(method, path, body, patience);
        } catch (error) {
            if (!(error instanceof ApiError && this.authentication.outdated(error))) throw error;
            return this.exchange<T>(method, path, body, patience);
        }
    }

    private async exchange<T>(
        method: string,
        path: string,
        body: object | undefined,
        { timeoutMs, giveUpAt }: Patience = { timeoutMs: this.requestTimeoutMs, giveUpAt: Infinity },
    ): Promise<T> {
        const operation = `${method} ${path.replace(/^\/cloud\/project\/[^/]+/, "").replace(/\?.*/, "")}`;
        await this.takeTurn(operation, giveUpAt);
        const url = this.credentials.baseUrl + path;
        const text = body === undefined ? "" : JSON.stringify(body);
        const headers: Record<string, string> = {
            Accept: "application/json",
            ...(await this.authentication.headers(method, url, text, timeoutMs)),
        };
        if (text !== "") headers["Content-Type"] = "application/json";
        const answer = await send(operation, url, { method, headers, body: text || undefined, timeoutMs });
        if (answer.status < 200 || answer.status >= 300) {
            this.holdBack(answer);
            throw new ApiError(operation, answer.status, this.masked(messageOf(answer.text)), queryIdOf(answer));
        }
        return this.read<T>(operation, answer);
    }

    private read<T>(operation: string, { text }: Answer): T {
        let value: unknown;
        try {
            value = text === "" ? undefined : JSON.parse(text);
        } catch {
            throw new MalformedAnswerError(operation, "it is not JSON", this.masked(text));
        }
        const fault = answerFault(operation, value);
        if (fault) throw new MalformedAnswerError(operation, fault, this.masked(text), value);
        return value as T;
    }

    /** Without what this process knows to be secret, before anything is cut off. */
    private masked(text: string): string {
        return mask(text, [...secretsOf(this.credentials), ...this.authentication.secrets, ...proxySecrets()]);
    }

    /** Keeps everybody from sending for as long as the platform asks for, within bounds. */
    private holdBack(answer: Answer): void {
        const asked = retryAfterSeconds(answer);
        const seconds = Math.min(asked, maxRetryAfterSeconds);
        const until = performance.now() + seconds * 1000;
        if (!(until > this.notBefore)) return;
        this.notBefore = until;
        if (seconds <= quietSeconds) return;
        const more = asked > seconds ? `, of the ${Math.round(asked)} s asked for` : "";
        this.log(
            `OVHcloud answered ${answer.status} and asks to wait: the next request goes out in ${Math.round(seconds)} s${more}`,
        );
    }

    /** Turns come in the order in which they were asked for, so that nobody starves. */
    private takeTurn(operation: string, giveUpAt: number): Promise<void> {
        const turn = this.turns.then(() => this.nextTurn(operation, giveUpAt));
        this.turns = turn.catch(() => undefined);
        return turn;
    }

    /** A token bucket: `burst` requests at once, and in any minute no more than the limit. */
    private async nextTurn(operation: string, giveUpAt: number): Promise<void> {
        const perMs = Math.max(1, this.requestsPerMinute - burst) / 60_000;
        for (;;) {
            const now = performance.now();
            this.tokens = Math.min(burst, this.tokens + (now - this.refilled) * perMs);
            this.refilled = now;
            const pauseMs = now < this.notBefore ? this.notBefore - now : (1 - this.tokens) / perMs;
            if (pauseMs <= 0) break;
            if (now + pauseMs > giveUpAt) throw new NoAnswerError(operation, new Error("the rate limit"), true);
            await sleep(pauseMs);
        }
        this.tokens -= 1;
    }
}

/** How long a request may take. */
interface Patience {
    timeoutMs: number;
    /** By `performance.now()`: it is not sent when its turn comes later. */
    giveUpAt: number;
}

/** `Retry-After`, in seconds or as a date, which is compared with the platform's own clock. 0: none. */
function retryAfterSeconds({ headers }: Answer): number {
    const text = headers.get("retry-after");
    if (text === null) return 0;
    const seconds = /^\d+$/.test(text)
        ? Number(text)
        : (Date.parse(text) - Date.parse(headers.get("date") ?? "")) / 1000;
    return seconds > 0 ? seconds : 0;
}
