import type { HttpRequest } from "../http-server";
import { ApiError, badRequest, notFound } from "./api-error";
import type { Handlers } from "./apps";
import { authenticate, authorize, type Credentials } from "./auth";
import { publicCatalogue } from "./catalogue";
import { answerFaults, requestFaults, route } from "./contract";
import type { Iam } from "./iam";
import type { RateLimit } from "./rate-limit";

export interface ApiOptions {
    credentials: Credentials;
    /** The only Public Cloud project there is. */
    projectId: string;
    handlers: Handlers;
    /** Reads of apps that answer as of so long ago, in the place of some of the handlers. */
    readsAsOf: (ageMs: number) => Handlers;
    /** Is told every request and answer that breaks the published structure. */
    violation: (line: string) => void;
    limit: RateLimit;
    iam: Iam;
}

/** What a call turns out to be, for the log of requests. */
export interface CallMade {
    /** Service account that made it; absent: none of them. */
    account?: string;
    /** IAM actions that it needs. */
    actions: string[];
}

/**
 * The emulated API: one call, from authentication to the answer's value. Throws an ApiError.
 * @param made is filled in as far as the call gets
 */
export async function callApi(
    { credentials, projectId, handlers, readsAsOf, violation, limit, iam }: ApiOptions,
    { method, url, incoming }: HttpRequest,
    body: string,
    staleMs: number | undefined,
    made: CallMade,
): Promise<unknown> {
    const path = url.pathname.replace(/^\/(v1|1\.0)(?=\/)/, "");
    if (method === "GET" && path === "/auth/time") return Math.floor(Date.now() / 1000);
    // The same for everybody: without credentials, and without a limit of theirs.
    if (method === "GET" && path === "/order/catalog/public/cloud") return publicCatalogue(url.searchParams);
    if (method === "POST" && path === "/auth/oauth2/token") return iam.token(body);
    const accountOf = (bearer: string) => iam.accountOf(bearer);
    const caller = authenticate(credentials, incoming.headers, method, url.href, body, accountOf);
    made.account = caller.account?.name;
    limit.take(caller.account?.name ?? caller.method);
    if (method === "GET" && path === "/auth/details") {
        return {
            account: "sandbox",
            description: "simulated",
            method: caller.method === "token" ? "oauth2" : "account",
            roles: [],
            allowedRoutes: [{ method: "GET", path: "/*" }],
        };
    }
    // Of the account itself, which no policy of a project can give.
    if (caller.account && /^\/(me|v2\/iam)\//.test(path)) {
        throw new ApiError(403, "Client::Forbidden", "User not granted for this request");
    }
    const ofIam = iam.call(method, path, parse(body) as object | undefined);
    if (ofIam) return ofIam.answer;
    const matched = route(method, path);
    if (!matched) throw notFound(`${method} ${path} is not an operation of this API`);
    const name = `${method} ${matched.template}`;
    if (matched.path.serviceName !== projectId) throw notFound("This service does not exist");
    made.actions = matched.operation.actions;
    authorize(caller, made.actions);
    const key = name.replace("/cloud/project/{serviceName}", "");
    const handler = (staleMs === undefined ? undefined : readsAsOf(staleMs)[key]) ?? handlers[key];
    if (!handler) throw new ApiError(501, "Server::NotImplemented", `${name} is not emulated in the sandbox`);

    const parsed = parse(body);
    const wrong = requestFaults(matched, url.searchParams, parsed);
    if (wrong.length > 0) {
        violation(`request ${name}: ${wrong.join("; ")}`);
        throw badRequest(wrong.join("; "));
    }
    const answer = await handler({ path: matched.path, query: url.searchParams, body: parsed });
    // As it will travel: without undefined.
    const sent = answer === undefined ? undefined : (JSON.parse(JSON.stringify(answer)) as unknown);
    for (const fault of answerFaults(matched, sent)) violation(`answer ${name}: ${fault}`);
    return sent;
}

function parse(body: string): unknown {
    try {
        return body === "" ? undefined : JSON.parse(body);
    } catch {
        throw badRequest("the body is not JSON");
    }
}
