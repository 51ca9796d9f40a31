import { pace } from "../../packages/ai-deploy/src/api/connection";
import type { Credentials } from "../../packages/ai-deploy/src/api/credentials";
import { defaultRequestsPerMinute, OvhClient } from "../../packages/ai-deploy/src/api/client";
import * as appLife from "../../packages/ai-deploy/src/app/lifecycle";
import { listApps } from "../../packages/ai-deploy/src/app/list";
import { goingStates, type LiveApp } from "../../packages/ai-deploy/src/app/live";
import type { Context } from "../../packages/ai-deploy/src/process/context";
import { ProjectTokens } from "../../packages/ai-deploy/src/token/project-tokens";
import { Poller } from "../../packages/ai-deploy/src/waiting/poller";
import { adoptionLabelOf, canaryLabels, markOf, type CanaryMark } from "./marks";

/** What the provider's lifecycles need, for a process that is not Pulumi's. Paced by the variables of the provider. */
export function lifecycleContext(credentials: Credentials, progress: (line: string) => void): Context {
    const { requestsPerMinute = defaultRequestsPerMinute, requestTimeoutMs, pollMs } = pace();
    return {
        client: new OvhClient(credentials, { requestsPerMinute, requestTimeoutMs, backoffMs: pollMs, log: progress }),
        poller: new Poller({ requestsPerMinute, fixedMs: pollMs }),
        progress,
        run: { fromState: new Set(), fromCreate: new Set(), restarts: new Map(), removed: new Set() },
    };
}

/** What `create` was given, as far as its removal needs it. */
export interface Removable {
    projectId: string;
    mark: CanaryMark;
    /** Of the app, for messages. */
    name: string;
    deleteSeconds?: number;
}

/**
 * Stops and deletes the app, or what a POST of a moment ago may still make of it, and its token; waits until the platform says
 * that it is gone. Where there is none, that is fine.
 */
export async function removeCanary(
    context: Context,
    { projectId, mark, name, deleteSeconds }: Removable,
): Promise<void> {
    const known = {
        ...{ serviceName: projectId, name, adoptionLabel: adoptionLabelOf(mark), timeouts: { deleteSeconds } },
        // Not looked at by a removal that goes by the label.
        ...{ region: "", image: "", resources: { flavor: "" } },
        ...{ appId: "", url: "", monitoringUrl: "", state: "UNKNOWN" as const, availableReplicas: 0 },
    };
    await appLife.remove(context, "", known);
    await removeTokens(context, projectId, (selector) => selector === `${canaryLabels.id}=${mark.id}`);
}

/** The canaries of a project that are not on their way out, of one model or of all. */
export async function canariesOf(context: Context, projectId: string, model?: string): Promise<Canary[]> {
    const apps = await listApps((path) => context.client.get<LiveApp[]>(path), projectId);
    return apps.flatMap((app) => {
        const mark = markOf(app);
        if (!mark || goingStates.includes(app.status.state) || (model ?? mark.of) !== mark.of) return [];
        return [{ appId: app.id, name: app.spec.name, mark }];
    });
}

export interface Canary {
    appId: string;
    name: string;
    mark: CanaryMark;
}

/** Tokens of canaries that are there no more: they open nothing, and nobody has their value. */
export async function removeStrayTokens(context: Context, projectId: string): Promise<void> {
    const living = new Set((await canariesOf(context, projectId)).map(({ mark }) => `${canaryLabels.id}=${mark.id}`));
    await removeTokens(context, projectId, (selector) => !living.has(selector));
}

async function removeTokens(context: Context, projectId: string, which: (selector: string) => boolean): Promise<void> {
    const tokens = new ProjectTokens(context, { serviceName: projectId });
    for (const { id, spec } of await tokens.list()) {
        const selector = spec.labelSelector ?? "";
        if (selector.startsWith(`${canaryLabels.id}=`) && which(selector)) await tokens.delete(id, spec.name);
    }
}
