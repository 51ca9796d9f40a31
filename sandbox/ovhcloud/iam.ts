/**
 * Service accounts (OAuth2 clients) and policies of OVHcloud, as far as a program needs them that may do a few things and
 * nothing else. What an operation asks for is in the published structure (`x-iam-actions`); a token without it is refused.
 * The answers' fields are those that terraform-provider-ovh 2.19 reads; no structure of these calls is in this project.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { entry } from "../../packages/ai-deploy/src/values/json";
import { ApiError, badRequest, notFound } from "./api-error";
import type { ServiceAccount } from "./auth";
import type { Store } from "./store";

export interface StoredClient {
    clientId: string;
    clientSecret: string;
    name: string;
    description: string;
    flow: string;
    callbackUrls: string[];
    /** URN by which policies name it. */
    identity: string;
    createdAt: string;
}

export interface StoredPolicy {
    id: string;
    name: string;
    description: string;
    identities: string[];
    resources: { urn: string }[];
    permissions: { allow: { action: string }[]; except: { action: string }[]; deny: { action: string }[] };
    createdAt: string;
}

/** Seconds that a token lasts; OVHcloud's are said to last an hour. */
const tokenSeconds = 3600;

type Body = Record<string, any>;

/** What has been made, on disk with the rest of the state; tokens are forgotten with the process. */
export class Iam {
    private readonly tokens = new Map<string, { clientId: string; until: number }>();

    constructor(
        private readonly store: Store,
        private readonly projectId: string,
    ) {}

    private get state() {
        return (this.store.state.iam ??= { clients: {}, policies: {} });
    }

    /** `POST /auth/oauth2/token`, which asks for no other credential. */
    token(form: string): object {
        const given = new URLSearchParams(form);
        const client = entry(this.state.clients, given.get("client_id") ?? "");
        if (given.get("grant_type") !== "client_credentials") throw badRequest("unsupported_grant_type");
        if (client?.clientSecret !== given.get("client_secret")) {
            throw new ApiError(401, "Client::Unauthorized", "invalid_client");
        }
        const value = randomBytes(32).toString("hex");
        this.tokens.set(value, { clientId: client.clientId, until: performance.now() + tokenSeconds * 1000 });
        return { access_token: value, token_type: "Bearer", expires_in: tokenSeconds, scope: "all" };
    }

    /** The service account whose token this is; undefined when it is nobody's. */
    accountOf(bearer: string): ServiceAccount | undefined {
        const { clientId, until } = this.tokens.get(bearer) ?? { clientId: "", until: 0 };
        const identity = performance.now() < until ? entry(this.state.clients, clientId)?.identity : undefined;
        return identity === undefined
            ? undefined
            : { name: identity, allows: (action) => this.allows(identity, action) };
    }

    /** Whether policies let an identity do this in the project. */
    private allows(identity: string, action: string): boolean {
        const urn = `urn:v1:eu:resource:publicCloudProject:${this.projectId}`;
        const own = Object.values(this.state.policies).filter(
            ({ identities, resources }) => identities.includes(identity) && resources.some((one) => one.urn === urn),
        );
        return (
            own.some(({ permissions }) => permissions.allow.some((one) => one.action === action)) &&
            !own.some(({ permissions }) => permissions.deny.some((one) => one.action === action))
        );
    }

    /** The calls on clients and policies; undefined for a path of another kind. */
    call(method: string, path: string, body: Body | undefined): { answer: unknown } | undefined {
        const client = /^\/me\/api\/oauth2\/client(?:\/([^/]+))?$/.exec(path);
        if (client) return { answer: this.clients(method, client[1], body ?? {}) };
        const policy = /^\/v2\/iam\/policy(?:\/([^/]+))?$/.exec(path);
        if (policy) return { answer: this.policies(method, policy[1], body ?? {}) };
        return undefined;
    }

    private clients(method: string, id: string | undefined, body: Body): unknown {
        const { clients } = this.state;
        if (id === undefined && method === "POST") {
            const clientId = `EU.${randomBytes(8).toString("hex")}`;
            const clientSecret = randomBytes(16).toString("hex");
            const { name, description, flow, callbackUrls = [] } = body as StoredClient;
            if (flow !== "CLIENT_CREDENTIALS") throw badRequest("only CLIENT_CREDENTIALS is emulated in the sandbox");
            const identity = `urn:v1:eu:identity:credential:sandbox/oauth2-${clientId}`;
            const createdAt = new Date().toISOString();
            clients[clientId] = { clientId, clientSecret, name, description, flow, callbackUrls, identity, createdAt };
            this.store.save();
            return { clientId, clientSecret };
        }
        if (id === undefined && method === "GET") return Object.keys(clients);
        const found = entry(clients, id ?? "");
        if (!found) throw notFound(`OAuth2 client ${id ?? ""} does not exist`);
        if (method === "PUT") Object.assign(found, { name: body.name, description: body.description });
        if (method === "DELETE") delete clients[found.clientId];
        if (method !== "GET") this.store.save();
        if (method !== "GET") return undefined;
        const { clientSecret: _, ...shown } = found;
        return shown;
    }

    private policies(method: string, id: string | undefined, body: Body): unknown {
        const { policies } = this.state;
        if (id === undefined && method === "POST") {
            const made = randomUUID();
            policies[made] = { ...readPolicy(body), id: made, createdAt: new Date().toISOString() };
            this.store.save();
            return shownPolicy(policies[made]);
        }
        const found = entry(policies, id ?? "");
        if (!found) throw notFound(`policy ${id ?? ""} does not exist`);
        if (method === "PUT") Object.assign(found, readPolicy(body));
        if (method === "DELETE") delete policies[found.id];
        if (method !== "GET") this.store.save();
        return method === "DELETE" ? undefined : shownPolicy(found);
    }
}

function readPolicy(body: Body): Omit<StoredPolicy, "id" | "createdAt"> {
    const { name, description = "", identities, resources, permissions } = body;
    if (!name || !Array.isArray(identities) || !Array.isArray(resources)) {
        throw badRequest("a policy needs name, identities and resources");
    }
    const list = (kind: string): { action: string }[] => (permissions?.[kind] ?? []) as { action: string }[];
    return {
        name: name as string,
        description: description as string,
        identities: identities as string[],
        resources: (resources as { urn: string }[]).map(({ urn }) => ({ urn })),
        permissions: { allow: list("allow"), except: list("except"), deny: list("deny") },
    };
}

function shownPolicy(policy: StoredPolicy): object {
    return { ...policy, owner: "sandbox", readOnly: false, updatedAt: null, permissionsGroups: [] };
}
