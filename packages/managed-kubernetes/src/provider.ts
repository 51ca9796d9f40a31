/** What the stub in `resources.ts` calls: the methods of Pulumi's dynamic provider, in Pulumi's provider process. */
import { assertFreshBuild } from "pulumi-ovh-ai-deploy/dist/process/fresh-build";
import { endWaitsOnCancel } from "pulumi-ovh-ai-deploy/dist/waiting/cancellation";
import type { OvhClient } from "pulumi-ovh-ai-deploy/dist/api/client";
import { openConnection } from "pulumi-ovh-ai-deploy/dist/api/connection";
import { explain } from "pulumi-ovh-ai-deploy/dist/errors/explain";
import { giveBack, type ClusterContentsInputs } from "./cluster-contents";

assertFreshBuild(__dirname);
endWaitsOnCancel();

interface Config {
    get(key: string): string | undefined;
}

let config: Config | undefined;

const tell = (line: string): void => console.log(line);

/** Runs `work` as whom the stack's config or the environment name. */
async function withClient<T>(doing: string, work: (client: OvhClient) => Promise<T>): Promise<T> {
    const { client, secrets } = openConnection((key) => config?.get(key), tell);
    try {
        return await work(client);
    } catch (error) {
        throw explain(error, doing, secrets);
    }
}

export const clusterContents = {
    /** Pulumi does not wait for it before it calls the others, so it does not either. */
    configure: (request: { config: Config }): Promise<void> => {
        config = request.config;
        return Promise.resolve();
    },
    check: async (_olds: ClusterContentsInputs, inputs: ClusterContentsInputs) => ({ inputs, failures: [] }),
    diff: async (_id: string, olds: ClusterContentsInputs, news: ClusterContentsInputs) => {
        const replaces = (["serviceName", "kubeId"] as const).filter((key) => olds[key] !== news[key]);
        const changed = olds.namespace !== news.namespace || olds.timeoutSeconds !== news.timeoutSeconds;
        return { changes: changed || replaces.length > 0, replaces };
    },
    create: async (inputs: ClusterContentsInputs) => ({ id: inputs.kubeId, outs: inputs }),
    update: async (_id: string, _olds: ClusterContentsInputs, news: ClusterContentsInputs) => ({ outs: news }),
    read: async (id: string, known: ClusterContentsInputs) => ({ id, props: known }),
    delete: async (_id: string, known: ClusterContentsInputs) =>
        withClient(`giving back what cluster ${known.kubeId} has`, (client) =>
            giveBack(known, {
                client,
                progress: tell,
                pauseMs: Number(process.env.OVH_AI_DEPLOY_POLL_MS) || 3000,
                now: () => performance.now(),
            }),
        ),
};
