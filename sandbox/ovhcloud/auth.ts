import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { ApiError } from "./api-error";

export interface Credentials {
    applicationKey: string;
    applicationSecret: string;
    consumerKey: string;
    accessToken?: string;
}

/** Seconds by which a signature's time may differ from the server's. */
const maxSkewSeconds = 30;

/** OVHcloud's request signature over the exact bytes sent. `url` is the full URL as the client sent it. */
export function signature(
    secret: string,
    consumerKey: string,
    method: string,
    url: string,
    body: string,
    time: string,
): string {
    return "$1$" + createHash("sha1").update([secret, consumerKey, method, url, body, time].join("+")).digest("hex");
}

/** Who asks: the account itself, by either of its credentials, or a service account by the URN of its identity. */
export type Caller = "signature" | "token" | { identity: string };

/** Which way a request was authenticated. Throws what OVHcloud answers when it was not. */
export function authenticate(
    credentials: Credentials,
    headers: IncomingHttpHeaders,
    method: string,
    url: string,
    body: string,
    identityOf: (bearer: string) => string | undefined = () => undefined,
): Caller {
    const bearer = /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1];
    if (bearer !== undefined) {
        if (credentials.accessToken && equal(bearer, credentials.accessToken)) return "token";
        const identity = identityOf(bearer);
        if (identity !== undefined) return { identity };
        throw new ApiError(401, "Client::Unauthorized", "Invalid access token");
    }
    const one = (name: string): string => String(headers[name] ?? "");
    if (one("x-ovh-application") === "") throw new ApiError(401, "Client::Unauthorized", "You must login first");
    if (!equal(one("x-ovh-application"), credentials.applicationKey)) {
        throw new ApiError(403, "INVALID_KEY", "This application key is invalid");
    }
    if (!equal(one("x-ovh-consumer"), credentials.consumerKey)) {
        throw new ApiError(403, "INVALID_CREDENTIAL", "This credential is not valid");
    }
    const time = one("x-ovh-timestamp");
    if (!(Math.abs(Number(time) - Date.now() / 1000) <= maxSkewSeconds)) {
        throw new ApiError(400, "QUERY_TIME_OUT", "Query out of time");
    }
    const expected = signature(credentials.applicationSecret, credentials.consumerKey, method, url, body, time);
    if (!equal(one("x-ovh-signature"), expected)) throw new ApiError(400, "INVALID_SIGNATURE", "Invalid signature");
    return "signature";
}

function equal(a: string, b: string): boolean {
    const [left, right] = [a, b].map((text) => createHash("sha256").update(text).digest());
    return timingSafeEqual(left, right);
}
