import type { AuthorizationInputs } from "./args";
import type { CheckFailure } from "./app-check";
import type { Context } from "./app";
import { isTransient } from "./client";

export interface AuthorizationOutputs extends AuthorizationInputs {
    authorized: boolean;
    __provider?: string;
}

export function check(inputs: AuthorizationInputs): CheckFailure[] {
    if (inputs.serviceName) return [];
    return [
        {
            property: "serviceName",
            reason: "is not set: give the Public Cloud project id, here, as stack config ovh:serviceName, or as OVH_CLOUD_PROJECT_SERVICE",
        },
    ];
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
    const path = `/cloud/project/${inputs.serviceName}/ai/authorization`;
    const authorized = async (): Promise<boolean> =>
        (await context.client.get<{ authorized: boolean }>(path)).authorized;
    for (let attempt = 1; !(await authorized()); attempt++) {
        try {
            await context.client.post(path);
        } catch (error) {
            if (!isTransient(error) || attempt >= 3) throw error;
        }
        if (attempt > 10) {
            throw new Error(
                `project ${inputs.serviceName} is still not authorized for AI Solutions: activate AI Deploy once in the control panel`,
            );
        }
    }
    return { id: inputs.serviceName!, outs: { ...inputs, authorized: true } };
}

export async function read(
    context: Context,
    known: AuthorizationOutputs,
): Promise<{ outs: AuthorizationOutputs; inputs: AuthorizationInputs } | undefined> {
    const { authorized } = await context.client.get<{ authorized: boolean }>(
        `/cloud/project/${known.serviceName}/ai/authorization`,
    );
    return authorized ? { outs: { ...known, authorized }, inputs: { serviceName: known.serviceName } } : undefined;
}
