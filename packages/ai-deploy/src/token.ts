import type { TokenInputs } from "./args";
import type { CheckFailure } from "./app-check";
import { hasUnknown } from "./app-plan";
import type { Context } from "./app";
import { ApiError, isTransient } from "./client";

/** What the state keeps of a token. The value is secret. */
export interface TokenOutputs extends TokenInputs {
    tokenId: string;
    value: string;
    /** Goes up with each renewal. */
    version: number;
    __provider?: string;
}

interface LiveToken {
    id: string;
    createdAt: string;
    spec: { name: string; region: string; role: TokenInputs["role"]; labelSelector?: string | null };
    /** The value is shown once, when it is new. */
    status: { value?: string | null; version: number };
}

const maxPosts = 3;
const replacing = ["serviceName", "name", "region", "role", "labelSelector"] as const;

export function check(inputs: TokenInputs): CheckFailure[] {
    const failures: CheckFailure[] = [];
    for (const property of ["name", "region"] as const) {
        if (!inputs[property]) failures.push({ property, reason: "is required: give a text that is not empty" });
    }
    if (!inputs.serviceName) {
        failures.push({
            property: "serviceName",
            reason: "is not set: give the Public Cloud project id, here, as stack config ovh:serviceName, or as OVH_CLOUD_PROJECT_SERVICE",
        });
    }
    if (!hasUnknown(inputs.role) && !["ai_training_read", "ai_training_operator"].includes(inputs.role)) {
        failures.push({
            property: "role",
            reason: `is "${inputs.role}": use ai_training_read or ai_training_operator`,
        });
    }
    const selector = inputs.labelSelector;
    if (selector !== undefined && !hasUnknown(selector) && !/^[^=,\s]+=[^=,\s]+$/.test(selector)) {
        failures.push({
            property: "labelSelector",
            reason: `is "${selector}": give key=value. Without it the token would open every app of the project`,
        });
    }
    return failures;
}

export function diff(olds: TokenOutputs, news: TokenInputs): { changes: boolean; replaces: string[] } {
    const replaces = replacing.filter((property) => (olds[property] ?? undefined) !== (news[property] ?? undefined));
    return { changes: replaces.length > 0 || (olds.rotation ?? "") !== (news.rotation ?? ""), replaces: [...replaces] };
}

/** Makes a token. After a POST without a clear answer, a token that it may have made is deleted: its value is lost. */
export async function create(context: Context, inputs: TokenInputs): Promise<{ id: string; outs: TokenOutputs }> {
    const base = `/cloud/project/${inputs.serviceName}/ai/token`;
    const body = {
        name: inputs.name,
        region: inputs.region,
        role: inputs.role,
        ...(inputs.labelSelector ? { labelSelector: inputs.labelSelector } : {}),
    };
    for (let attempt = 1; ; attempt++) {
        const before = new Set((await context.client.get<LiveToken[]>(base)).map(({ id }) => id));
        try {
            const live = await context.client.post<LiveToken>(base, body);
            return { id: live.id, outs: outputs(live, inputs, requireValue(live)) };
        } catch (error) {
            if (!isTransient(error) || attempt >= maxPosts) throw error;
            const now = await context.client.get<LiveToken[]>(base);
            for (const token of now.filter(({ id, spec }) => !before.has(id) && isLike(spec, inputs))) {
                await context.client.delete(`${base}/${token.id}`);
            }
        }
    }
}

/** Renews the value when `rotation` changed. */
export async function update(
    context: Context,
    id: string,
    olds: TokenOutputs,
    inputs: TokenInputs,
): Promise<{ outs: TokenOutputs }> {
    if ((olds.rotation ?? "") === (inputs.rotation ?? "")) return { outs: { ...olds, ...inputs } };
    const path = `/cloud/project/${inputs.serviceName}/ai/token/${id}/renew`;
    for (let attempt = 1; ; attempt++) {
        try {
            // Renewing twice is no harm: only the last value counts, and it is the one that is kept.
            const live = await context.client.post<LiveToken>(path);
            return { outs: outputs(live, inputs, requireValue(live)) };
        } catch (error) {
            if (!isTransient(error) || attempt >= maxPosts) throw error;
        }
    }
}

/** The token, `undefined` when it is gone. A value that somebody else renewed shows as a change of `rotation`. */
export async function read(
    context: Context,
    id: string,
    known: TokenOutputs,
): Promise<{ outs: TokenOutputs; inputs: TokenInputs } | undefined> {
    let live: LiveToken;
    try {
        live = await context.client.get<LiveToken>(`/cloud/project/${known.serviceName}/ai/token/${id}`);
    } catch (error) {
        if (error instanceof ApiError && error.gone) return undefined;
        throw error;
    }
    const { spec, status } = live;
    const inputs: TokenInputs = {
        ...(known.serviceName === undefined ? {} : { serviceName: known.serviceName }),
        name: spec.name,
        region: spec.region,
        role: spec.role,
        ...(spec.labelSelector ? { labelSelector: spec.labelSelector } : {}),
        ...(known.rotation === undefined ? {} : { rotation: known.rotation }),
    };
    if (status.version !== known.version) inputs.rotation = `renewed outside of Pulumi (version ${status.version})`;
    const outs = outputs(live, inputs, status.value ?? known.value);
    return { outs: known.__provider === undefined ? outs : { ...outs, __provider: known.__provider }, inputs };
}

export async function remove(context: Context, id: string, known: TokenOutputs): Promise<void> {
    await context.client.delete(`/cloud/project/${known.serviceName}/ai/token/${id}`);
}

function outputs(live: LiveToken, inputs: TokenInputs, value: string): TokenOutputs {
    return { ...inputs, tokenId: live.id, value, version: live.status.version };
}

function requireValue({ id, status }: LiveToken): string {
    if (!status.value) {
        throw new Error(
            `OVHcloud gave no value for the new token ${id}: delete it in the control panel and run \`pulumi up\` again`,
        );
    }
    return status.value;
}

function isLike(spec: LiveToken["spec"], inputs: TokenInputs): boolean {
    return (
        spec.name === inputs.name &&
        spec.region === inputs.region &&
        spec.role === inputs.role &&
        (spec.labelSelector ?? undefined) === inputs.labelSelector
    );
}
