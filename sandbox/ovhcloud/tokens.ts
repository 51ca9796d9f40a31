import { randomBytes, randomUUID } from "node:crypto";
import { entry } from "../../packages/ai-deploy/src/values/json";
import type { Call, Handlers } from "./apps";
import { badRequest, notFound } from "./api-error";
import { region } from "./capabilities";
import type { Store, StoredToken } from "./store";

/** AI tokens and the authorization of the project. */
export function tokenHandlers(store: Store): Handlers {
    const find = ({ path }: Call): StoredToken => {
        const token = entry(store.state.tokens, path.id);
        if (!token) throw notFound(`token ${path.id} does not exist`);
        return token;
    };
    return {
        "GET /ai/token": () => Object.values(store.state.tokens).map((token) => view(token, false)),
        "POST /ai/token": ({ body }) => {
            region(body.region as string);
            if (body.labelSelector && !/^[^=,]+=[^=,]*$/.test(body.labelSelector as string)) {
                throw badRequest("labelSelector must be key=value");
            }
            const now = new Date().toISOString();
            const spec = body as StoredToken["spec"];
            const token = { id: randomUUID(), createdAt: now, updatedAt: now, spec, value: newValue(), version: 1 };
            store.state.tokens[token.id] = token;
            store.save();
            return view(token, true);
        },
        "GET /ai/token/{id}": (call) => view(find(call), false),
        "DELETE /ai/token/{id}": (call) => {
            delete store.state.tokens[find(call).id];
            store.save();
        },
        "POST /ai/token/{id}/renew": (call) => {
            const token = find(call);
            token.value = newValue();
            token.version++;
            token.updatedAt = new Date().toISOString();
            store.save();
            return view(token, true);
        },
        "GET /ai/authorization": () => ({ authorized: store.state.authorized }),
        "POST /ai/authorization": () => {
            store.state.authorized = true;
            store.save();
        },
    };
}

function newValue(): string {
    return `sandbox-token-${randomBytes(24).toString("base64url")}`;
}

/** `cloud.project.ai.token.Token`; the value is shown only when it is new. */
function view({ id, createdAt, updatedAt, spec, value, version }: StoredToken, withValue: boolean): object {
    return { id, createdAt, updatedAt, spec, status: { value: withValue ? value : null, version } };
}
