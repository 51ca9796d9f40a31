import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { ApiError } from "./api-error";

/** What is on top may do everything, as the owner of an account may. */
export interface Credentials {
    applicationKey: string;
    applicationSecret: string;
    consumerKey: string;
    accessToken?: string;
    /** Of a key that may read single apps and nothing else. */
    readerConsumerKey?: string;
    /** Service accounts with fixed tokens. */
    accounts?: { name: string; accessToken: string; actions: string[] }[];
}

/** An identity of OVHcloud's IAM. */
export interface ServiceAccount {
    name: string;
    /** Whether its policies let it do this, an action such as `publicCloudProject:apiovh:ai/app/get`. */
    allows(action: string): boolean;
}

/** Who has been authenticated. */
export interface Caller {
    method: "signature" | "token";
    /** Absent: the owner of the account. */
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

/**
 * Whose request it is. Throws what OVHcloud answers when it is nobody's.
 * @param accountOf finds the service account whose token it is
 */
export function authenticate(
    credentials: Credentials,
    headers: IncomingHttpHeaders,
    method: string,
    url: string,
    body: string,
    accountOf: (bearer: string) => ServiceAccount | undefined = () => undefined,
): Caller {
    const bearer = /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1];
    if (bearer !== undefined) {
        if (credentials.accessToken && equal(bearer, credentials.accessToken)) return { method: "token" };
        const fixed = credentials.accounts?.find(({ accessToken }) => equal(bearer, accessToken));
        const account = fixed ? accountWith(fixed.name, fixed.actions) : accountOf(bearer);
        if (account) return { method: "token", account };
        throw new ApiError(401, "Client::Unauthorized", "Invalid access token");
    }
    const one = (name: string): string => String(headers[name] ?? "");
    if (one("x-ovh-application") === "") throw new ApiError(401, "Client::Unauthorized", "You must login first");
    if (!equal(one("x-ovh-application"), credentials.applicationKey)) {
        throw new ApiError(403, "INVALID_KEY", "This application key is invalid");
    }
    const { consumerKey, readerConsumerKey } = credentials;
    const reads = readerConsumerKey !== undefined && equal(one("x-ovh-consumer"), readerConsumerKey);
    if (!reads && !equal(one("x-ovh-consumer"), consumerKey)) {
        throw new ApiError(403, "INVALID_CREDENTIAL", "This credential is not valid");
    }
    const time = one("x-ovh-timestamp");
    if (!(Math.abs(Number(time) - Date.now() / 1000) <= maxSkewSeconds)) {
        throw new ApiError(400, "QUERY_TIME_OUT", "Query out of time");
    }
    const key = reads ? readerConsumerKey : consumerKey;
    const expected = signature(credentials.applicationSecret, key, method, url, body, time);
    if (!equal(one("x-ovh-signature"), expected)) throw new ApiError(400, "INVALID_SIGNATURE", "Invalid signature");
    if (!reads) return { method: "signature" };
    // Its rule is for the path of one app, which the list of all is not.
    if (!/\/ai\/app\/[^/?]+$/.test(url)) throw notGranted();
    return { method: "signature", account: accountWith("reader", ["publicCloudProject:apiovh:ai/app/get"]) };
}

function accountWith(name: string, actions: string[]): ServiceAccount {
    return { name, allows: (action) => actions.includes(action) };
}

/**
 * Refuses what the caller may not do, as OVHcloud does.
 * Source of the form: https://help.ovhcloud.com/csm/en-iam-troubleshooting?id=kb_article_view&sysparm_article=KB0060458
 */
export function authorize({ method, account }: Caller, actions: string[]): void {
    const missing = account ? actions.filter((action) => !account.allows(action)) : [];
    if (missing.length === 0) return;
    if (method === "signature") throw notGranted();
    const details = { unauthorizedActionsByAuthentication: "", unauthorizedActionsByIAM: missing.join(",") };
    throw new ApiError(403, "Client::Forbidden", "User not granted for this request", {}, details);
}

function notGranted(): ApiError {
    return new ApiError(403, "NOT_GRANTED_CALL", "This call has not been granted");
}

function equal(a: string, b: string): boolean {
    const [left, right] = [a, b].map((text) => createHash("sha256").update(text).digest());
    return timingSafeEqual(left, right);
}
