import type { OvhClient } from "../api/client";
import { aiPath, idPart } from "../api/paths";
import { ApiError, isTransient } from "../errors/request-errors";
import type { Context } from "../process/context";
import type { TokenInputs } from "./args";

/** A token as the API shows it. */
export interface LiveToken {
    id: string;
    createdAt?: string;
    spec: { name: string; region: string; role: TokenInputs["role"]; labelSelector?: string | null };
    /** The value is shown once, when it is new. */
    status: { value?: string | null; version: number };
}

const maxPosts = 3;

/** One creation at a time: what appears in the list between two looks can then only be our own. */
let creations: Promise<unknown> = Promise.resolve();

/** The AI tokens of a project. */
export class ProjectTokens {
    private readonly client: OvhClient;
    private readonly serviceName: string | undefined;

    constructor({ client }: Context, { serviceName }: Pick<TokenInputs, "serviceName">) {
        this.client = client;
        this.serviceName = serviceName;
    }

    list(): Promise<LiveToken[]> {
        return this.client.get<LiveToken[]>(this.path());
    }

    /** A token; `undefined` only when it is not found, in a project that is found, and not listed there. */
    async find(id: string): Promise<LiveToken | undefined> {
        try {
            return await this.client.get<LiveToken>(this.path(id));
        } catch (error) {
            if (!(error instanceof ApiError && error.gone)) throw error;
            if (await this.isListed(id)) throw error;
            return undefined;
        }
    }

    /** A new token with its value. `name`: in place of that of the inputs. */
    create(inputs: TokenInputs, name = inputs.name): Promise<LiveToken> {
        const created = creations.then(() => this.post(inputs, name));
        creations = created.catch(() => undefined);
        return created;
    }

    /**
     * After a POST without a clear answer, what it may have made is deleted: its value is lost. A list may lag, so that it
     * is looked at once more when all is well.
     */
    private async post(inputs: TokenInputs, name: string): Promise<LiveToken> {
        const { region, role, labelSelector } = inputs;
        const body = { name, region, role, ...(labelSelector ? { labelSelector } : {}) };
        const before = (await this.list()).map(({ id }) => id);
        const deleteNew = async (keep: string[]): Promise<void> => {
            const strays = (await this.list()).filter(
                ({ id, spec }) => !keep.includes(id) && isLike(spec, inputs, name),
            );
            for (const stray of strays) await this.delete(stray.id, inputs.name);
        };
        for (let posts = 1; ; posts++) {
            try {
                const live = await this.client.post<LiveToken>(this.path(), body);
                if (posts > 1) await deleteNew([...before, live.id]);
                if (live.status.value) return live;
                await this.delete(live.id, inputs.name);
                throw new Error(
                    `OVHcloud gave no value for the new token ${name}, which was deleted: run \`pulumi up\` again`,
                );
            } catch (error) {
                if (!isTransient(error)) throw error;
                await deleteNew(before);
                if (posts >= maxPosts) throw error;
            }
        }
    }

    /** The token with another value, which ends the present one at once; `undefined` when there is no such token. */
    async renew(id: string): Promise<LiveToken | undefined> {
        for (let posts = 1; ; posts++) {
            try {
                // A renewal whose answer was lost has to be repeated: nobody knows its value.
                const live = await this.client.post<LiveToken>(`${this.path(id)}/renew`);
                if (live.status.value) return live;
                throw new Error(`OVHcloud gave no value for token ${id}: change rotation once more`);
            } catch (error) {
                if (error instanceof ApiError && error.gone && !(await this.isListed(id))) return undefined;
                if (!isTransient(error) || posts >= maxPosts) throw error;
            }
        }
    }

    /**
     * Not found counts as deleted, but not when it is the project that is not found, nor when it is listed. `name`: for the
     * message.
     */
    async delete(id: string, name: string): Promise<void> {
        if (await this.client.delete(this.path(id))) return;
        if (await this.isListed(id)) {
            throw new Error(`token ${name} (${id}) is listed but cannot be deleted: run it again in a minute`);
        }
    }

    /** Throws unless the platform answers for the project. */
    private async isListed(id: string): Promise<boolean> {
        return (await this.list()).some((token) => token.id === id);
    }

    private path(id?: string): string {
        return aiPath(this.serviceName, "token", ...(id === undefined ? [] : [idPart(id)]));
    }
}

function isLike(spec: LiveToken["spec"], inputs: TokenInputs, name: string): boolean {
    return (
        spec.name === name &&
        spec.region === inputs.region &&
        spec.role === inputs.role &&
        (spec.labelSelector ?? undefined) === inputs.labelSelector
    );
}
