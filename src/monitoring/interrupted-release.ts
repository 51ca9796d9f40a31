import * as pulumi from "@pulumi/pulumi";
import { HelmHistory, KubernetesApi, UnreachableError } from "pulumi-ovh-managed-kubernetes";

export interface ReleaseIdentity {
    kubeconfig: pulumi.Output<string>;
    namespace: string;
    release: string;
}

/**
 * Hooks for a Helm release, so that the next `up` takes up what an interruption left. Helm itself refuses: a killed
 * operation stays "in progress" in its record, and a release that Pulumi could not note any more has its name "still in
 * use". Only one `up` is at work on a stack at a time, so nothing that is in progress there still is.
 */
export function takeUpInterruptedRelease({
    kubeconfig,
    namespace,
    release,
}: ReleaseIdentity): pulumi.ResourceHookBinding {
    const known = new Promise<string>((resolve) => kubeconfig.apply(resolve));
    const hook = (when: string, mend: (history: HelmHistory) => Promise<string[]>) =>
        new pulumi.ResourceHook(`${release}-${when}`, async () => {
            try {
                const mended = await mend(new HelmHistory(new KubernetesApi(await known), namespace, release));
                if (mended.length === 0) return;
                void pulumi.log.info(`Helm release ${release}: taking up what was interrupted (${mended.join("; ")})`);
            } catch (error) {
                // The release's own attempt says it, with all that belongs to it.
                if (!(error instanceof UnreachableError)) throw error;
            }
        });
    return {
        beforeCreate: [hook("before-create", (history) => history.forget())],
        beforeUpdate: [hook("before-update", (history) => history.endUnfinished())],
    };
}
