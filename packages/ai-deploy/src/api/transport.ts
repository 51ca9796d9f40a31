/** Carries one request to OVHcloud and its answer back. */
import { Agent, EnvHttpProxyAgent, fetch, type Dispatcher } from "undici";
import { BlockList, isIP } from "net";
import { unescape } from "querystring";
import { ApiError, isTlsCode, NoAnswerError, TlsError } from "../errors/request-errors";

export interface Request {
    method: string;
    headers?: Record<string, string>;
    body?: string;
    timeoutMs: number;
}

export interface Answer {
    status: number;
    headers: { get(name: string): string | null };
    text: string;
}

/** Many times the longest list; an answer without an end fills no memory. */
const maxAnswerBytes = 64 * 1024 ** 2;

/**
 * Sends a request. Credentials never follow a redirect: one is an error, even on the same host, whose signature it would
 * not fit.
 * @throws NoAnswerError, TlsError, or ApiError for a redirect.
 */
export async function send(operation: string, url: string, request: Request): Promise<Answer> {
    const { method, headers, body, timeoutMs } = request;
    const target = new URL(url);
    const way = wayTo(target);
    let answer: Answer;
    try {
        const signal = AbortSignal.timeout(timeoutMs);
        const { dispatcher } = way;
        const response = await fetch(url, { method, headers, body, signal, dispatcher, redirect: "manual" });
        answer = { status: response.status, headers: response.headers, text: await response.text() };
    } catch (error) {
        throw failure(operation, target, way, error as Error);
    }
    const location = answer.headers.get("location");
    if (answer.status >= 300 && answer.status < 400 && location !== null) {
        const other = URL.canParse(location, url) ? new URL(location, url).host : "elsewhere";
        throw new ApiError(
            operation,
            answer.status,
            `a redirect from ${target.host} to ${other}, which credentials must not follow: check the endpoint (OVH_ENDPOINT)`,
            undefined,
        );
    }
    return answer;
}

/** What the connection failed of. */
function failure(operation: string, target: URL, { proxy }: Way, error: Error): Error {
    const cause = firstCause(error);
    const code = typeof cause.code === "string" ? cause.code : "";
    if (isTlsCode(code)) return new TlsError(operation, target.host, code);
    const refused = /Proxy response \((\d+)\)/.exec(cause.message)?.[1];
    const neverSent = refused !== undefined || codesOfNoConnection.has(code);
    if (!proxy) return new NoAnswerError(operation, cause, neverSent);
    const said = refused ? `the proxy answered ${refused}` : code || cause.message;
    return new NoAnswerError(operation, new Error(`${said}; ${proxy}`), neverSent);
}

/** `fetch` wraps what happened, once or more. */
function firstCause(error: Error & { code?: unknown }): Error & { code?: unknown } {
    return error.cause instanceof Error ? firstCause(error.cause) : error;
}

/** Errors of a connection that was never made. */
const codesOfNoConnection = new Set([
    "ECONNREFUSED",
    "ENOTFOUND",
    "EAI_AGAIN",
    "EHOSTUNREACH",
    "ENETUNREACH",
    "UND_ERR_CONNECT_TIMEOUT",
]);

interface Way {
    dispatcher: Dispatcher;
    /** Such as `HTTPS_PROXY is proxy.example.org:3128`. */
    proxy?: string;
}

const direct = new Agent({ maxResponseSize: maxAnswerBytes });
const ways = new Map<string, Way>();

/**
 * The way to an address, as Go's `net/http` chooses it, and so the `ovh` provider: `HTTPS_PROXY` or `HTTP_PROXY` by the
 * address's scheme, not for what `NO_PROXY` names, and never for this machine itself. Capitals go first. Other than with
 * Go, ranges such as 10.0.0.0/8 in `NO_PROXY` are not understood.
 */
function wayTo(target: URL): Way {
    const variable = target.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
    const text = setting(variable);
    const noProxy = setting("NO_PROXY");
    if (text === "" || isThisMachine(target.hostname) || noProxy.split(",").some((name) => name.trim() === "*")) {
        return { dispatcher: direct };
    }
    const known = ways.get(`${text} ${noProxy}`);
    if (known) return known;
    const proxy = addressOf(text);
    if (!proxy || !["http:", "https:"].includes(proxy.protocol)) {
        // Not its text, which may hold a password.
        throw new Error(`${variable} is no address of a proxy: give http://HOST:PORT, or unset it`);
    }
    const way = {
        proxy: `${variable} is ${proxy.host}`,
        dispatcher: new EnvHttpProxyAgent({ ...proxied(proxy), noProxy }),
    };
    ways.set(`${text} ${noProxy}`, way);
    return way;
}

function proxied({ href }: URL): EnvHttpProxyAgent.Options {
    // Without a tunnel for http, as Go does: many proxies allow one to port 443 only.
    return { httpProxy: href, httpsProxy: href, proxyTunnel: false, maxResponseSize: maxAnswerBytes };
}

/** Without a scheme it is one for http. */
function addressOf(proxy: string): URL | undefined {
    const address = proxy.includes("://") ? proxy : `http://${proxy}`;
    return URL.canParse(address) ? new URL(address) : undefined;
}

function setting(variable: string): string {
    return process.env[variable] || process.env[variable.toLowerCase()] || "";
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

function isThisMachine(hostname: string): boolean {
    const host = hostname.replace(/^\[|\]$/g, "");
    return host === "localhost" || (isIP(host) !== 0 && loopback.check(host, isIP(host) === 6 ? "ipv6" : "ipv4"));
}

/** The passwords of the proxies, which must appear nowhere. */
export function proxySecrets(): string[] {
    return ["HTTPS_PROXY", "HTTP_PROXY"].flatMap((variable) => {
        const password = addressOf(setting(variable))?.password;
        return password ? [password, unescape(password)] : [];
    });
}
