/** OVHcloud's API as the controller asks it: as an OAuth2 client, over Node's own `fetch`, so that the program stays one small file. */

export interface ApiAddresses {
    /** With `/v1`, without a slash at the end. */
    baseUrl: string;
    /** Where an OAuth2 client gets its tokens. */
    tokenUrl: string;
}

export interface Credential {
    clientId: string;
    clientSecret: string;
}

/** What kept a request from an answer that can be used. */
export const failureKinds = ["unauthorized", "refused", "limit", "server", "connection", "answer"] as const;
export type FailureKind = (typeof failureKinds)[number];

export class ApiFailure extends Error {
    constructor(
        readonly kind: FailureKind,
        message: string,
    ) {
        super(message);
    }
}

const timeoutMs = 20_000;
/** Of one app about 10 kB. */
const maxAnswerBytes = 4 * 1024 * 1024;
/** Seconds by which a token is renewed early, so that it does not end on its way. */
const earlySeconds = 60;

/** Each request is made once: the next round is the repetition. */
export class OvhApi {
    private bearer?: { value: string; until: number };

    constructor(
        private readonly addresses: ApiAddresses,
        /** Called for each new token, so that another credential needs no restart. */
        private readonly readCredential: () => Credential,
    ) {}

    get<T>(path: string): Promise<T> {
        return this.call("GET", path) as Promise<T>;
    }

    async put(path: string, body?: object): Promise<void> {
        await this.call("PUT", path, body);
    }

    private async call(method: string, path: string, body?: object): Promise<unknown> {
        const what = `${method} ${path.replace(/^\/cloud\/project\/[^/]+/, "")}`;
        const headers = { authorization: `Bearer ${await this.token()}`, accept: "application/json" };
        const text = body === undefined ? undefined : JSON.stringify(body);
        const type = body === undefined ? undefined : { "content-type": "application/json" };
        try {
            return await exchange(what, this.addresses.baseUrl + path, {
                method,
                headers: { ...headers, ...type },
                body: text,
            });
        } catch (error) {
            // A token that ended before its time, or that was taken back: the next round gets another one.
            if (error instanceof ApiFailure && error.kind === "unauthorized") this.bearer = undefined;
            throw error;
        }
    }

    private async token(): Promise<string> {
        if (this.bearer && performance.now() < this.bearer.until) return this.bearer.value;
        const { clientId, clientSecret } = this.readCredential();
        const form = {
            grant_type: "client_credentials",
            scope: "all",
            client_id: clientId,
            client_secret: clientSecret,
        };
        const answer = await exchange("OAuth2 token", this.addresses.tokenUrl, {
            method: "POST",
            headers: { "content-type": "application/x-www-form-urlencoded" },
            body: new URLSearchParams(form).toString(),
        });
        const { access_token: value, expires_in: seconds } = (answer ?? {}) as Record<string, unknown>;
        if (typeof value !== "string" || value === "") {
            throw new ApiFailure("answer", "OAuth2 token: the answer holds none");
        }
        const life = typeof seconds === "number" && seconds > 0 ? Math.max(seconds - earlySeconds, seconds / 2) : 300;
        this.bearer = { value, until: performance.now() + life * 1000 };
        return value;
    }
}

/** One request and its answer as JSON. Nothing of an answer gets into a message but OVHcloud's own words on a refusal. */
async function exchange(what: string, url: string, request: RequestInit): Promise<unknown> {
    let status: number;
    let text: string;
    try {
        const signal = AbortSignal.timeout(timeoutMs);
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
    throw new ApiFailure(kindOf(status, what), `${what}: ${status} ${said?.slice(0, 200) ?? "without a message"}`);
}

function kindOf(status: number, what: string): FailureKind {
    // The token's own address refuses a credential with 400.
    if (status === 401 || (what === "OAuth2 token" && status === 400)) return "unauthorized";
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
