import * as pulumi from "@pulumi/pulumi";
import { HelmHistory, KubernetesApi, UnreachableError } from "pulumi-ovh-managed-kubernetes";
import { chartCrds, upgradeCrds, type ChartSource } from "./crds";
import { resizeVolumes } from "./volumes";

export interface HookedRelease {
    kubeconfig: pulumi.Output<string>;
    /** Reads the chart as it does for the release. */
    provider: pulumi.ProviderResource;
    namespace: string;
    release: string;
}

type ReleaseInputs = ChartSource & { values?: unknown };

/**
 * What is seen to before Helm touches the release, since Helm itself does not:
 *
 * - What an interruption left. A killed operation stays "in progress" in Helm's record, and a release that Pulumi could not
 *   note any more has its name "still in use". Only one `up` is at work on a stack at a time, so nothing that is in
 *   progress there still is.
 * - Definitions that are older than the chart (`crds.ts`).
 * - Volumes whose size or class is another now (`volumes.ts`); a preview says so, too.
 */
export function releaseHooks({ kubeconfig, provider, namespace, release }: HookedRelease): pulumi.ResourceHookBinding {
    const hook = (
        when: string,
        work: (api: KubernetesApi, inputs: ReleaseInputs, before: ReleaseInputs) => Promise<string[]>,
        opts?: pulumi.ResourceHookOptions,
    ) =>
        new pulumi.ResourceHook(
            `${release}-${when}`,
            async ({ newInputs, oldInputs }) => {
                const known = await valueIfKnown(kubeconfig);
                if (known === undefined) return;
                try {
                    const told = await work(
                        new KubernetesApi(known),
                        newInputs as ReleaseInputs,
                        oldInputs as ReleaseInputs,
                    );
                    for (const line of told) void pulumi.log.info(`Helm release ${release}: ${line}`);
                } catch (error) {
                    // The release's own attempt says it, with all that belongs to it.
                    if (!(error instanceof UnreachableError)) throw error;
                }
            },
            opts,
        );
    const crds = (api: KubernetesApi, inputs: ReleaseInputs, installing: boolean) =>
        upgradeCrds(api, installing, () => chartCrds(inputs, provider));

    return {
        beforeCreate: [
            hook("before-create", async (api, inputs) => [
                ...interrupted(await new HelmHistory(api, namespace, release).forget()),
                ...(await crds(api, inputs, true)),
            ]),
        ],
        beforeUpdate: [
            hook(
                "before-update",
                async (api, inputs, before) => {
                    // Refused before anything is touched.
                    const volumes = await resizeVolumes(api, namespace, inputs.values, pulumi.runtime.isDryRun());
                    if (pulumi.runtime.isDryRun()) return [...volumes, ...plannedCrds(before, inputs)];
                    const left = await new HelmHistory(api, namespace, release).endUnfinished();
                    return [...volumes, ...interrupted(left), ...(await crds(api, inputs, false))];
                },
                { onDryRun: true },
            ),
        ],
    };
}

function interrupted(mended: string[]): string[] {
    return mended.length > 0 ? [`taking up what was interrupted (${mended.join("; ")})`] : [];
}

/** In a preview, which does not read the charts. */
function plannedCrds(before: ReleaseInputs, after: ReleaseInputs): string[] {
    if (before.version === after.version) return [];
    return [
        `chart ${before.version} -> ${after.version}, and with it the custom resource definitions, unless they are newer`,
    ];
}

/** The value, or `undefined` in a preview that cannot know it. */
function valueIfKnown<T>(output: pulumi.Output<T>): Promise<T | undefined> {
    // Not in the types; what Pulumi's own runtime waits for.
    return (output as unknown as { promise(): Promise<T | undefined> }).promise();
}
