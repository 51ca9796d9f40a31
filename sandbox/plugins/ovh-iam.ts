/**
 * Stands in for the ovh plugin's service accounts and policies. Written after the plugin's schema (2.19) and not held to a
 * recording of it, other than its clusters.
 */
import { OvhApiError, type OvhApi } from "./ovh-api";
import type { Properties, ResourceType } from "./provider-server";

/** An OAuth2 client of the account. Its secret is told once, when it is made. */
export function oauth2Client(api: () => OvhApi): ResourceType {
    const path = (id: string): string => `/me/api/oauth2/client/${encodeURIComponent(id)}`;
    return {
        required: ["description", "flow"],
        optional: ["callbackUrls", "name"],
        chosen: [],
        outputs: ["clientId", "clientSecret", "identity"],
        secrets: ["clientSecret"],
        replaceOn: ["callbackUrls", "flow"],
        autonamed: true,
        async create({ name, description, flow, callbackUrls = [] }) {
            const order = { name, description, flow, callbackUrls };
            const made = await api().post<{ clientId: string; clientSecret: string }>("/me/api/oauth2/client", order);
            const { identity } = await api().get<{ identity: string }>(path(made.clientId));
            return { id: made.clientId, state: { name, description, flow, ...made, identity } };
        },
        read: (id, old) =>
            found(async () => ({ ...old, ...pick(await api().get<Properties>(path(id)), clientFields) })),
        async update(id, { planned }) {
            await api().put(path(id), { name: planned.name, description: planned.description });
            return planned;
        },
        delete: (id) => gone(api().delete(path(id))),
    };
}

const clientFields = ["name", "description", "flow", "identity"];

/** What identities may do with which resources. */
export function policy(api: () => OvhApi): ResourceType {
    const all = "/v2/iam/policy";
    const path = (id: string): string => `${all}/${encodeURIComponent(id)}`;
    const order = ({ name, description, identities, resources, allows = [] }: Properties): Properties => ({
        name,
        description,
        identities,
        resources: (resources as string[]).map((urn) => ({ urn })),
        permissions: { allow: (allows as string[]).map((action) => ({ action })) },
    });
    return {
        required: ["identities", "resources"],
        optional: ["allows", "description", "name"],
        chosen: [],
        outputs: ["createdAt", "owner", "readOnly"],
        replaceOn: [],
        autonamed: true,
        async create(inputs) {
            const made = await api().post<Properties>(all, order(inputs));
            return { id: made.id as string, state: { ...inputs, ...pick(made, policyFields) } };
        },
        read: (id, old) =>
            found(async () => {
                const { resources, permissions, ...live } = await api().get<Properties>(path(id));
                return {
                    ...old,
                    ...pick(live, ["name", "description", "identities", ...policyFields]),
                    resources: (resources as { urn: string }[]).map(({ urn }) => urn),
                    allows: (permissions.allow as { action: string }[]).map(({ action }) => action),
                };
            }),
        async update(id, { planned }) {
            await api().put(path(id), order(planned));
            return planned;
        },
        delete: (id) => gone(api().delete(path(id))),
    };
}

const policyFields = ["createdAt", "owner", "readOnly"];

function pick(from: Properties, names: string[]): Properties {
    return Object.fromEntries(names.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]));
}

/** Undefined for what is gone. */
async function found(read: () => Promise<Properties>): Promise<Properties | undefined> {
    try {
        return await read();
    } catch (error) {
        if (error instanceof OvhApiError && error.status === 404) return undefined;
        throw error;
    }
}

async function gone(deletion: Promise<void>): Promise<void> {
    await deletion.catch((error: unknown) => {
        if (!(error instanceof OvhApiError && error.status === 404)) throw error;
    });
}
