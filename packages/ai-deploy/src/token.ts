import type { TokenInputs } from "./args";
import { checkProject, type CheckFailure } from "./app-check";
import type { Context } from "./context";
import { ApiError, isTransient } from "./client";
import { explain } from "./failure";
import { hasUnknown } from "./unknown";

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
const roles = ["ai_training_read", "ai_training_operator"];

/** `regions`: those there are, if that is known. */
export function check(inputs: TokenInputs, regions?: string[]): CheckFailure[] {
    const failures: CheckFailure[] = [];
    const fail = (property: string, reason: string): void => void failures.push({ property, reason });
    for (const property of ["name", "region"] as const) {
        if (!inputs[property]) fail(property, "is required: give a text that is not empty");
    }
    const { region, role, labelSelector: selector } = inputs;
    if (region && !hasUnknown(region) && regions && !regions.includes(region)) {
        fail("region", `"${region}" has no AI Deploy: there are ${regions.join(", ")}`);
    }
    checkProject(inputs.serviceName, fail);
    if (!hasUnknown(role) && !roles.includes(role)) fail("role", `is "${role}": use ${roles.join(" or ")}`);
    if (selector !== undefined && !hasUnknown(selector) && !/^[^=,\s]+=[^=,\s]+$/.test(selector)) {
        fail(
            "labelSelector",
            `is "${selector}": give key=value. Without it the token would open every app of the project`,
        );
    }
    return failures;
}

export function diff(olds: TokenOutputs, news: TokenInputs): { changes: boolean; replaces: string[] } {
    const replaces = replacing.filter((property) => (olds[property] ?? undefined) !== (news[property] ?? undefined));
    return { changes: replaces.length > 0 || (olds.rotation ?? "") !== (news.rotation ?? ""), replaces: [...replaces] };
}

/** One creation at a time: what appears in the list between two looks can then only be our own. */
let creations: Promise<unknown> = Promise.resolve();

/** Makes a token. After a POST without a clear answer, a token that it may have made is deleted: its value is lost. */
export function create(context: Context, inputs: TokenInputs): Promise<{ id: string; outs: TokenOutputs }> {
    const made = creations.then(() => post(context, inputs));
    creations = made.catch(() => undefined);
    return made.catch((error: unknown) => {
        throw explain(error, `creating token ${inputs.name}`, []);
    });
}

async function post(context: Context, inputs: TokenInputs): Promise<{ id: string; outs: TokenOutputs }> {
    const base = listPath(inputs);
    const body = {
        name: inputs.name,
        region: inputs.region,
        role: inputs.role,
        ...(inputs.labelSelector ? { labelSelector: inputs.labelSelector } : {}),
    };
    const before = new Set((await context.client.get<LiveToken[]>(base)).map(({ id }) => id));
    for (let posts = 1; ; posts++) {
        try {
            const live = await context.client.post<LiveToken>(base, body);
            return { id: live.id, outs: outputs(live, inputs, requireValue(live)) };
        } catch (error) {
            if (!isTransient(error)) throw error;
            const now = await context.client.get<LiveToken[]>(base);
            for (const token of now.filter(({ id, spec }) => !before.has(id) && isLike(spec, inputs))) {
                await context.client.delete(`${base}/${token.id}`);
            }
            if (posts >= maxPosts) throw error;
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
    for (let posts = 1; ; posts++) {
        try {
            // A renewal whose answer was lost has to be repeated: nobody knows its value.
            const live = await context.client.post<LiveToken>(`${listPath(inputs)}/${id}/renew`);
            return { outs: outputs(live, inputs, requireValue(live)) };
        } catch (error) {
            if (!isTransient(error) || posts >= maxPosts) {
                throw explain(error, `renewing token ${inputs.name} (${id})`, [olds.value]);
            }
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
        live = await context.client.get<LiveToken>(`${listPath(known)}/${id}`);
    } catch (error) {
        if (await isGone(context, id, known, error)) return undefined;
        throw explain(error, `reading token ${known.name} (${id})`, [known.value]);
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
    const outs = outputs(live, inputs, status.value || known.value);
    return { outs: known.__provider === undefined ? outs : { ...outs, __provider: known.__provider }, inputs };
}

export async function remove(context: Context, id: string, known: TokenOutputs): Promise<void> {
    try {
        if (await context.client.delete(`${listPath(known)}/${id}`)) return;
        // Not found counts as deleted, but not when it is the project that is not found, nor when it is listed.
        const listed = (await context.client.get<LiveToken[]>(listPath(known))).some((token) => token.id === id);
        if (listed) {
            throw new Error(`token ${known.name} (${id}) is listed but cannot be deleted: run it again in a minute`);
        }
    } catch (error) {
        throw explain(error, `deleting token ${known.name} (${id})`, [known.value]);
    }
}

/** Whether an error says that the token is gone: not found, in a project that is found, and not listed there. */
async function isGone(context: Context, id: string, known: TokenOutputs, error: unknown): Promise<boolean> {
    if (!(error instanceof ApiError && error.gone)) return false;
    const tokens = await context.client.get<LiveToken[]>(listPath(known)).catch((listError: unknown) => {
        throw explain(listError, `reading token ${known.name} (${id})`, [known.value]);
    });
    return !tokens.some((token) => token.id === id);
}

function listPath({ serviceName }: TokenInputs): string {
    return `/cloud/project/${serviceName}/ai/token`;
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
