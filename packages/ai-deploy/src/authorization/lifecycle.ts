import type { AuthorizationInputs } from "./args";
import { checkProject, collectFailures, type CheckFailure } from "../errors/check-failure";
import type { Context } from "../process/context";
import { isTransient } from "../errors/request-errors";
import { explain } from "../errors/explain";
import { aiPath } from "../api/paths";

export interface AuthorizationOutputs extends AuthorizationInputs {
    authorized: boolean;
    __provider?: string;
}

const maxPosts = 3;
const maxLooks = 10;

export function check(inputs: AuthorizationInputs): CheckFailure[] {
    return collectFailures((fail) => checkProject(inputs.serviceName, fail));
}

export function diff(olds: AuthorizationInputs, news: AuthorizationInputs): { changes: boolean; replaces: string[] } {
    return olds.serviceName === news.serviceName
        ? { changes: false, replaces: [] }
        : { changes: true, replaces: ["serviceName"] };
}

/** Lets AI Solutions into the project, unless they are in already. */
export async function create(
    context: Context,
    inputs: AuthorizationInputs,
): Promise<{ id: string; outs: AuthorizationOutputs }> {
    const authorized = { id: inputs.serviceName!, outs: { ...inputs, authorized: true } };
    try {
        if (await isAuthorized(context, inputs)) return authorized;
        for (let posts = 1; ; posts++) {
            try {
                await context.client.post(path(inputs));
                break;
            } catch (error) {
                // Granting twice is granting once.
                if (!isTransient(error) || posts >= maxPosts) throw error;
            }
        }
        let looks = 0;
        await context.poller.until(async () => {
            if (await isAuthorized(context, inputs)) return true;
            if (++looks < maxLooks) return undefined;
            throw new Error(
                `project ${inputs.serviceName} is still not authorized for AI Solutions: activate AI Deploy once in the control panel`,
            );
        });
        return authorized;
    } catch (error) {
        throw explain(error, `authorizing AI Solutions in project ${inputs.serviceName}`, []);
    }
}

export async function read(
    context: Context,
    known: AuthorizationOutputs,
): Promise<{ outs: AuthorizationOutputs; inputs: AuthorizationInputs } | undefined> {
    try {
        const authorized = await isAuthorized(context, known);
        return authorized ? { outs: { ...known, authorized }, inputs: { serviceName: known.serviceName } } : undefined;
    } catch (error) {
        throw explain(error, `reading the authorization of project ${known.serviceName}`, []);
    }
}

async function isAuthorized(context: Context, inputs: AuthorizationInputs): Promise<boolean> {
    return (await context.client.get<{ authorized: boolean }>(path(inputs))).authorized;
}

function path({ serviceName }: AuthorizationInputs): string {
    return aiPath(serviceName, "authorization");
}
