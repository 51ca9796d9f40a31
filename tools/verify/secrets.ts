import { AppsV1Api, CoreV1Api, type KubeConfig } from "@kubernetes/client-node";
import { clusterAnswers } from "./cluster";
import { expect, type Check } from "./check";

/** A secret value of the stack, by what it is called. */
export type Secrets = Record<string, string>;

/** What `pulumi` shows without being asked for secrets. */
export interface Shown {
    /** `pulumi stack output --json`. */
    outputs: () => Promise<string>;
    /** `pulumi stack export`: the state as it is stored. */
    state: () => Promise<string>;
}

/** Checks that no secret of the stack lies where everybody who looks can read it. */
export async function checkSecrets(
    check: Check,
    secrets: Secrets,
    { outputs, state }: Shown,
    kubernetes: KubeConfig,
    namespace: string,
): Promise<void> {
    await check("secret outputs are marked as such", async () => {
        const found = inClear(await outputs(), secrets);
        expect(found.length === 0, `pulumi stack output shows ${found.join(", ")}`, "pulumi up marks them again");
        return Object.keys(secrets).join(", ");
    });
    await check("the state holds no secret in clear", async () => {
        const text = await state();
        const found = inClear(text, secrets);
        const fix = "rotate what is named; a secrets provider: pulumi stack change-secrets-provider";
        expect(found.length === 0, `in clear in the state: ${found.join(", ")}`, fix);
        return `${Math.round(text.length / 1024)} KiB looked through`;
    });
    await check(
        "no ConfigMap and no pod holds a secret in clear",
        async () => {
            const core = kubernetes.makeApiClient(CoreV1Api);
            const apps = kubernetes.makeApiClient(AppsV1Api);
            const lists = await Promise.all([
                core.listNamespacedConfigMap({ namespace }),
                core.listNamespacedPod({ namespace }),
                apps.listNamespacedDeployment({ namespace }),
                apps.listNamespacedStatefulSet({ namespace }),
            ]);
            const objects = lists.flatMap(({ items }) => items as { metadata?: { name?: string } }[]);
            const faults = objects.flatMap((object) =>
                inClear(JSON.stringify(object), secrets).map((name) => `${name} in ${object.metadata?.name}`),
            );
            expect(faults.length === 0, faults.join(", "), "take it out there, and rotate it");
            return `${objects.length} objects of ${namespace}`;
        },
        { needs: [clusterAnswers] },
    );
}

/** Names of the secrets that a text holds, as they are or in Base64. */
function inClear(text: string, secrets: Secrets): string[] {
    const forms = (value: string): string[] => [value, Buffer.from(value).toString("base64")];
    return Object.entries(secrets)
        .filter(([, value]) => value !== "" && forms(value).some((form) => text.includes(form)))
        .map(([name]) => name);
}
