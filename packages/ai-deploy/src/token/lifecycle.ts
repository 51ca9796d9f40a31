/** What Pulumi asks of a token: what would change, and to create, update, read and delete it. */
import { explain } from "../errors/explain";
import type { Context } from "../process/context";
import { shortDigest } from "../values/hash";
import type { TokenInputs } from "./args";
import { ProjectTokens, type LiveToken } from "./project-tokens";

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

const replacing = ["serviceName", "name", "region", "role", "labelSelector"] as const;

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

/** Whether there will be another value. */
export function isRotated(olds: TokenInputs, news: TokenInputs): boolean {
    return (olds.rotation ?? "") !== (news.rotation ?? "");
}

/** The tokens of before whose time is over. The moments lie runs apart, so it is the wall clock that tells. */
function endedBy({ previous = [] }: TokenOutputs, { overlapSeconds = 0 }: TokenInputs): Previous[] {
    return previous.filter(({ followedAt }) => !(Date.parse(followedAt) + overlapSeconds * 1000 > Date.now()));
}

/** Makes a token. */
export async function create(context: Context, inputs: TokenInputs): Promise<{ id: string; outs: TokenOutputs }> {
    try {
        const live = await new ProjectTokens(context, inputs).create(inputs);
        return { id: live.id, outs: outputs(live, inputs) };
    } catch (error) {
        throw explain(error, `creating token ${inputs.name}`, []);
    }
}

/** Makes another value when `rotation` changed, and ends those of before whose time is over. */
export async function update(
    context: Context,
    id: string,
    olds: TokenOutputs,
    inputs: TokenInputs,
): Promise<{ outs: TokenOutputs }> {
    const tokens = new ProjectTokens(context, inputs);
    const current = olds.tokenId ?? id;
    const ended = endedBy(olds, inputs);
    const previous = (olds.previous ?? []).filter((token) => !ended.includes(token));
    try {
        for (const token of ended) await tokens.delete(token.id, olds.name);
        if (!isRotated(olds, inputs)) {
            const { value, version } = olds;
            return { outs: { ...inputs, tokenId: current, value, version, ...ifAny(previous) } };
        }
        await deleteOrphans(tokens, id, olds, [current, ...previous.map((token) => token.id)]);
        const renewed = inputs.overlapSeconds ? undefined : await tokens.renew(current);
        if (renewed) return { outs: outputs(renewed, inputs) };
        const name = followersName(inputs, id) + shortDigest(inputs.rotation ?? "", 6);
        const live = await tokens.create(inputs, name);
        const followed = { id: current, followedAt: new Date().toISOString() };
        return { outs: { ...outputs(live, inputs), ...ifAny([...previous, followed]) } };
    } catch (error) {
        throw explain(error, `renewing token ${inputs.name} (${current})`, [olds.value]);
    }
}

/** How the names begin of the tokens that follow the first one of a resource, and of no others. */
function followersName({ name }: TokenInputs, id: string): string {
    return `${name}-${id.slice(0, 8)}-`;
}

/** Deletes what interrupted rotations of this resource have made: nobody has its value. */
async function deleteOrphans(tokens: ProjectTokens, id: string, known: TokenInputs, keep: string[]): Promise<void> {
    const orphans = (await tokens.list()).filter(
        (token) => token.spec.name.startsWith(followersName(known, id)) && !keep.includes(token.id),
    );
    for (const orphan of orphans) await tokens.delete(orphan.id, known.name);
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
    const tokens = new ProjectTokens(context, known);
    const current = known.tokenId ?? id;
    try {
        const live = await tokens.find(current);
        const previous = known.previous?.length ? await stillListed(tokens, known.previous) : [];
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
            ...ifAny(previous),
        };
        return { outs: known.__provider === undefined ? outs : { ...outs, __provider: known.__provider }, inputs };
    } catch (error) {
        throw explain(error, `reading token ${known.name} (${current})`, [known.value]);
    }
}

async function stillListed(tokens: ProjectTokens, previous: Previous[]): Promise<Previous[]> {
    const listed = new Set((await tokens.list()).map(({ id }) => id));
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
    const tokens = new ProjectTokens(context, known);
    const current = known.tokenId ?? id;
    try {
        for (const token of known.previous ?? []) await tokens.delete(token.id, known.name);
        await tokens.delete(current, known.name);
        await deleteOrphans(tokens, id, known, []);
    } catch (error) {
        throw explain(error, `deleting token ${known.name} (${current})`, [known.value]);
    }
}

function outputs({ id, status }: LiveToken, inputs: TokenInputs): TokenOutputs {
    return { ...inputs, tokenId: id, value: status.value!, version: status.version };
}

function ifAny(previous: Previous[]): Pick<TokenOutputs, "previous"> {
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
