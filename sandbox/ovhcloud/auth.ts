import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { ApiError } from "./api-error";

export interface Credentials {
    applicationKey: string;
    applicationSecret: string;
    consumerKey: string;
    accessToken?: string;
    /** Service accounts; what is above may do everything, as the owner of an account may. */
    accounts?: ServiceAccount[];
}

/** An identity of OVHcloud's IAM. */
export interface ServiceAccount {
    name: string;
    accessToken: string;
    /** Actions that its policies allow, whole: `publicCloudProject:apiovh:ai/app/get`. No wildcards. */
    actions: string[];
}

/** Who has been authenticated. */
export interface Caller {
    method: "signature" | "token";
    /** Absent: the owner of the account, who may do everything. */
    account?: ServiceAccount;
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

/** Whose request it is. Throws what OVHcloud answers when it is nobody's. */
export function authenticate(
    credentials: Credentials,
    headers: IncomingHttpHeaders,
    method: string,
    url: string,
    body: string,
): Caller {
    const bearer = /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1];
    if (bearer !== undefined) {
        if (credentials.accessToken && equal(bearer, credentials.accessToken)) return { method: "token" };
        const account = credentials.accounts?.find(({ accessToken }) => equal(bearer, accessToken));
        if (account) return { method: "token", account };
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
    return { method: "signature" };
}

/**
 * Refuses what the caller's policies do not allow, as OVHcloud does.
 * Source of the form: https://help.ovhcloud.com/csm/en-iam-troubleshooting?id=kb_article_view&sysparm_article=KB0060458
 */
export function authorize({ account }: Caller, actions: string[]): void {
    const missing = account ? actions.filter((action) => !account.actions.includes(action)) : [];
    if (missing.length === 0) return;
    const details = { unauthorizedActionsByAuthentication: "", unauthorizedActionsByIAM: missing.join(",") };
    throw new ApiError(403, "Client::Forbidden", "User not granted for this request", {}, details);
}

function equal(a: string, b: string): boolean {
    const [left, right] = [a, b].map((text) => createHash("sha256").update(text).digest());
    return timingSafeEqual(left, right);
}
