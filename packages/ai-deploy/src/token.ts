import { createHash } from "crypto";
import type { TokenInputs } from "./args";
import { checkProject, type CheckFailure } from "./app-check";
import { goingStates } from "./app-find";
import { adoptionLabelName, type LiveApp } from "./app-spec";
import type { Context } from "./context";
import { ApiError, isTransient } from "./client";
import { explain } from "./failure";
import { aiPath, idPart } from "./paths";
import { hasUnknown } from "./unknown";

/** What the state keeps of a token. The value is secret. */
export interface TokenOutputs extends TokenInputs {
    /** The token that has the value. The resource's id stays that of the first. */
    tokenId: string;
    value: string;
    /** Goes up with each renewal in place. */
    version: number;
    /** Tokens with the values of before, which still work. */
    previous?: Previous[];
    __provider?: string;
}

interface Previous {
    id: string;
    /** When the next one was made, ISO 8601. */
    followedAt: string;
}

interface LiveToken {
    id: string;
    createdAt?: string;
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
    const { region, role, labelSelector: selector, overlapSeconds } = inputs;
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
    if (overlapSeconds !== undefined && !hasUnknown(overlapSeconds) && !(overlapSeconds >= 0)) {
        fail("overlapSeconds", `is ${overlapSeconds}: give seconds from 0`);
    }
    return failures;
}

/** Apps that the token would open beside the one that it is for. `carriers`: those that its selector fits. */
export function strangers({ app }: TokenInputs, carriers: LiveApp[]): LiveApp[] {
    if (typeof app !== "object") return [];
    const isOurs = ({ id, spec }: LiveApp): boolean => {
        const label = spec.labels?.[adoptionLabelName] ?? "";
        // The App resource adds a mark of its own. Not known yet means that no app of ours can have it yet.
        const marked = !hasUnknown(app.adoptionLabel) && label.startsWith(`${app.adoptionLabel}-`);
        return marked || label === app.adoptionLabel || id === app.adopt;
    };
    return carriers.filter((one) => !goingStates.includes(one.status.state) && !isOurs(one));
}

/** The failure for a selector that other apps fit too. */
export function sharedSelector({ labelSelector = "", settingNames }: TokenInputs, others: LiveApp[]): CheckFailure {
    const [key, value] = labelSelector.split("=");
    const whose = others.map(({ id, spec }) => `${spec.name} (${id})`).join(", ");
    const step = /^[\w-]+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
    const setting = `${settingNames?.labels ?? "labels"}${step}`;
    const command = settingNames?.labels ? `: pulumi config set --path '${setting}' ${value}-2` : "";
    return {
        property: "labelSelector",
        reason:
            `"${labelSelector}" would open apps that are not of this stack too: ${whose}. ` +
            `Give ${setting} a value of its own, which only this stack's app has${command}`,
    };
}

/** What would change. `say`: a line for the person who looks at a preview. */
export function diff(
    olds: TokenOutputs,
    news: TokenInputs,
    say: (line: string) => void = () => undefined,
): { changes: boolean; replaces: string[] } {
    const replaces = replacing.filter((property) => (olds[property] ?? undefined) !== (news[property] ?? undefined));
    const rotated = isRotated(olds, news);
    const ended = endedBy(olds, news);
    if (ended.length > 0) say(`${news.name}: the value from before ${ended[0].followedAt} ends with this up`);
    return { changes: replaces.length > 0 || rotated || ended.length > 0, replaces: [...replaces] };
}

function isRotated(olds: TokenInputs, news: TokenInputs): boolean {
    return (olds.rotation ?? "") !== (news.rotation ?? "");
}

/** The tokens of before whose time is over. The moments lie runs apart, so it is the wall clock that tells. */
function endedBy({ previous = [] }: TokenOutputs, { overlapSeconds = 0 }: TokenInputs): Previous[] {
    return previous.filter(({ followedAt }) => !(Date.parse(followedAt) + overlapSeconds * 1000 > Date.now()));
}

/** One creation at a time: what appears in the list between two looks can then only be our own. */
let creations: Promise<unknown> = Promise.resolve();

function inTurn<T>(make: () => Promise<T>): Promise<T> {
    const made = creations.then(make);
    creations = made.catch(() => undefined);
    return made;
}

/** Makes a token. */
export function create(context: Context, inputs: TokenInputs): Promise<{ id: string; outs: TokenOutputs }> {
    return inTurn(() => post(context, inputs, inputs.name)).then(
        (live) => ({ id: live.id, outs: outputs(live, inputs) }),
        (error: unknown) => {
            throw explain(error, `creating token ${inputs.name}`, []);
        },
    );
}

/**
 * A new token with its value. After a POST without a clear answer, what it may have made is deleted: its value is lost.
 * A list may lag, so that it is looked at once more when all is well.
 */
async function post(context: Context, inputs: TokenInputs, name: string): Promise<LiveToken> {
    const { region, role, labelSelector } = inputs;
    const body = { name, region, role, ...(labelSelector ? { labelSelector } : {}) };
    const before = (await list(context, inputs)).map(({ id }) => id);
    const endNew = async (keep: string[]): Promise<void> => {
        const strays = (await list(context, inputs)).filter(
            ({ id, spec }) => !keep.includes(id) && isLike(spec, inputs, name),
        );
        for (const stray of strays) await end(context, inputs, stray.id);
    };
    for (let posts = 1; ; posts++) {
        try {
            const live = await context.client.post<LiveToken>(listPath(inputs), body);
            if (posts > 1) await endNew([...before, live.id]);
            if (live.status.value) return live;
            await end(context, inputs, live.id);
            throw new Error(
                `OVHcloud gave no value for the new token ${name}, which was deleted: run \`pulumi up\` again`,
            );
        } catch (error) {
            if (!isTransient(error)) throw error;
            await endNew(before);
            if (posts >= maxPosts) throw error;
        }
    }
}

/** Makes another value when `rotation` changed, and ends those of before whose time is over. */
export async function update(
    context: Context,
    id: string,
    olds: TokenOutputs,
    inputs: TokenInputs,
): Promise<{ outs: TokenOutputs }> {
    const current = olds.tokenId ?? id;
    const ended = endedBy(olds, inputs);
    const previous = (olds.previous ?? []).filter((one) => !ended.includes(one));
    try {
        for (const one of ended) await end(context, olds, one.id);
        if (!isRotated(olds, inputs)) {
            const { value, version } = olds;
            return { outs: { ...inputs, tokenId: current, value, version, ...kept(previous) } };
        }
        await endOrphans(context, id, olds, [current, ...previous.map((one) => one.id)]);
        const renewed = inputs.overlapSeconds ? undefined : await renew(context, current, inputs);
        if (renewed) return { outs: outputs(renewed, inputs) };
        const live = await inTurn(() => post(context, inputs, followersName(inputs, id) + markOf(inputs.rotation)));
        const followed = { id: current, followedAt: new Date().toISOString() };
        return { outs: { ...outputs(live, inputs), ...kept([...previous, followed]) } };
    } catch (error) {
        throw explain(error, `renewing token ${inputs.name} (${current})`, [olds.value]);
    }
}

/** The token with another value, which ends the present one at once; `undefined` when there is no such token. */
async function renew(context: Context, current: string, inputs: TokenInputs): Promise<LiveToken | undefined> {
    for (let posts = 1; ; posts++) {
        try {
            // A renewal whose answer was lost has to be repeated: nobody knows its value.
            const live = await context.client.post<LiveToken>(`${pathOf(inputs, current)}/renew`);
            if (live.status.value) return live;
            throw new Error(`OVHcloud gave no value for token ${current}: change rotation once more`);
        } catch (error) {
            if (error instanceof ApiError && error.gone && !(await isThere(context, inputs, current))) return undefined;
            if (!isTransient(error) || posts >= maxPosts) throw error;
        }
    }
}

/** How the names begin of the tokens that follow the first one of a resource, and of no others. */
function followersName({ name }: TokenInputs, id: string): string {
    return `${name}-${id.slice(0, 8)}-`;
}

function markOf(rotation = ""): string {
    return createHash("sha256").update(rotation).digest("hex").slice(0, 6);
}

/** Deletes what interrupted rotations of this resource have made: nobody has its value. */
async function endOrphans(context: Context, id: string, known: TokenInputs, keep: string[]): Promise<void> {
    const orphans = (await list(context, known)).filter(
        (token) => token.spec.name.startsWith(followersName(known, id)) && !keep.includes(token.id),
    );
    for (const orphan of orphans) await end(context, known, orphan.id);
}

/**
 * The token, `undefined` when it is gone. A value that somebody else renewed, or ended while an older one works on, shows
 * as a change of `rotation`, so that the next up makes another.
 */
export async function read(
    context: Context,
    id: string,
    known: TokenOutputs,
): Promise<{ outs: TokenOutputs; inputs: TokenInputs } | undefined> {
    const current = known.tokenId ?? id;
    try {
        const live = await look(context, known, current);
        const previous = known.previous?.length ? await stillThere(context, known, known.previous) : [];
        if (!live && previous.length === 0) return undefined;
        const inputs = live
            ? inputsFromLive(live, known, id)
            : { ...inputsOf(known), rotation: "ended outside of Pulumi" };
        const version = live?.status.version ?? known.version;
        const outs = {
            ...inputs,
            tokenId: current,
            value: live?.status.value || known.value,
            version,
            ...kept(previous),
        };
        return { outs: known.__provider === undefined ? outs : { ...outs, __provider: known.__provider }, inputs };
    } catch (error) {
        throw explain(error, `reading token ${known.name} (${current})`, [known.value]);
    }
}

/** A token; `undefined` only when it is not found, in a project that is found, and not listed there. */
async function look(context: Context, known: TokenInputs, id: string): Promise<LiveToken | undefined> {
    try {
        return await context.client.get<LiveToken>(pathOf(known, id));
    } catch (error) {
        if (!(error instanceof ApiError && error.gone)) throw error;
        if (await isThere(context, known, id)) throw error;
        return undefined;
    }
}

async function stillThere(context: Context, known: TokenInputs, previous: Previous[]): Promise<Previous[]> {
    const listed = new Set((await list(context, known)).map(({ id }) => id));
    return previous.filter(({ id }) => listed.has(id));
}

function inputsFromLive({ spec, status }: LiveToken, known: TokenOutputs, id: string): TokenInputs {
    const { labelSelector: _selector, ...others } = inputsOf(known);
    const inputs: TokenInputs = {
        ...others,
        name: spec.name.startsWith(followersName(known, id)) ? known.name : spec.name,
        region: spec.region,
        role: spec.role,
        ...(spec.labelSelector ? { labelSelector: spec.labelSelector } : {}),
    };
    if (status.version !== known.version) inputs.rotation = `renewed outside of Pulumi (version ${status.version})`;
    return inputs;
}

/** Deletes the token and those of before, whatever an interrupted rotation left included. */
export async function remove(context: Context, id: string, known: TokenOutputs): Promise<void> {
    const current = known.tokenId ?? id;
    try {
        for (const one of known.previous ?? []) await end(context, known, one.id);
        await end(context, known, current);
        await endOrphans(context, id, known, []);
    } catch (error) {
        throw explain(error, `deleting token ${known.name} (${current})`, [known.value]);
    }
}

/** Deletes a token. Not found counts, but not when it is the project that is not found, nor when it is listed. */
async function end(context: Context, known: TokenInputs, id: string): Promise<void> {
    if (await context.client.delete(pathOf(known, id))) return;
    if (await isThere(context, known, id)) {
        throw new Error(`token ${known.name} (${id}) is listed but cannot be deleted: run it again in a minute`);
    }
}

/** Whether the project's list has a token. Throws unless the platform answers for the project. */
async function isThere(context: Context, known: TokenInputs, id: string): Promise<boolean> {
    return (await list(context, known)).some((token) => token.id === id);
}

function list(context: Context, known: TokenInputs): Promise<LiveToken[]> {
    return context.client.get<LiveToken[]>(listPath(known));
}

function listPath({ serviceName }: TokenInputs): string {
    return aiPath(serviceName, "token");
}

function pathOf({ serviceName }: TokenInputs, id: string): string {
    return aiPath(serviceName, "token", idPart(id));
}

function outputs({ id, status }: LiveToken, inputs: TokenInputs): TokenOutputs {
    return { ...inputs, tokenId: id, value: status.value!, version: status.version };
}

function kept(previous: Previous[]): Pick<TokenOutputs, "previous"> {
    return previous.length > 0 ? { previous } : {};
}

function inputsOf(known: TokenOutputs): TokenInputs {
    const {
        tokenId: _id,
        value: _value,
        version: _version,
        previous: _previous,
        __provider: _provider,
        ...inputs
    } = known;
    return inputs;
}

function isLike(spec: LiveToken["spec"], inputs: TokenInputs, name: string): boolean {
    return (
        spec.name === name &&
        spec.region === inputs.region &&
        spec.role === inputs.role &&
        (spec.labelSelector ?? undefined) === inputs.labelSelector
    );
}
