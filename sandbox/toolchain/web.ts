/** What downloads ask servers with: proxies, mirrors and who may be asked without TLS. */
import { EnvHttpProxyAgent, fetch, type RequestInit, type Response } from "undici";

/** Goes by HTTPS_PROXY, HTTP_PROXY and NO_PROXY. */
const dispatcher = new EnvHttpProxyAgent({ connect: { timeout: 10_000 } });

/** Of one short probe, in which a machine without the Internet shall lose seconds only. */
const probeMilliseconds = 3000;

/**
 * Where a URL is asked for: at OVH_SANDBOX_MIRROR, when that is set, with host and path after the mirror's own.
 * @throws Error for a mirror that is no address, or one of another machine without TLS
 */
export function mirrored(url: string): string {
    const mirror = process.env.OVH_SANDBOX_MIRROR;
    if (!mirror) return url;
    if (!URL.canParse(mirror) || !isTrustworthy(mirror)) {
        throw new Error(`OVH_SANDBOX_MIRROR is ${mirror}: give an address such as https://mirror.example/downloads`);
    }
    return `${mirror.replace(/\/+$/, "")}/${url.replace(/^https:\/\//, "")}`;
}

/** With TLS, or of this machine. */
function isTrustworthy(url: string): boolean {
    const { protocol, hostname } = new URL(url);
    return protocol === "https:" || (protocol === "http:" && ["127.0.0.1", "localhost", "[::1]"].includes(hostname));
}

/**
 * Fetches what is published at a URL, at a mirror's if there is one. Follows redirects, never to a server without TLS.
 * @throws Error that names the host and says what is wrong, as short as "github.com: ENOTFOUND"
 */
export async function get(url: string, init: RequestInit = {}): Promise<Response> {
    const asked = mirrored(url);
    try {
        const response = await fetch(asked, { ...init, dispatcher });
        if (isTrustworthy(response.url)) return response;
        await response.body?.cancel();
    } catch (error) {
        throw new Error(`${new URL(asked).host}: ${reasonOf(error as Error)}`, { cause: error });
    }
    throw new Error(`${new URL(asked).host} sends to a server without TLS`);
}

/** The text at a URL. Throws an Error for every status but 200. */
export async function getText(url: string, init: RequestInit = {}): Promise<string> {
    const response = await get(url, { ...init, signal: AbortSignal.timeout(30_000) });
    if (response.status === 200) return response.text();
    await response.body?.cancel();
    throw new Error(`${mirrored(url)} answers ${response.status}`);
}

/** Why a server cannot be asked, or `undefined` when it answers, whatever that may be. */
export async function unreachable(url: string): Promise<string | undefined> {
    try {
        const response = await get(url, { method: "HEAD", signal: AbortSignal.timeout(probeMilliseconds) });
        await response.body?.cancel();
        return undefined;
    } catch (error) {
        return (error as Error).message;
    }
}

/** The code of a system or of TLS says more than "fetch failed". */
export function reasonOf(error: Error): string {
    if (error.name === "TimeoutError") return "no answer in time";
    const cause = error.cause as { code?: string; message?: string } | undefined;
    return cause?.code ?? (cause?.message || error.message);
}
