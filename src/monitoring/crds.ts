/**
 * The operator's custom resource definitions. Helm makes those of a chart once and never touches them again, and an
 * operator that is newer than its definitions fails on fields that they do not have. So they are brought to those of the
 * chart before Helm upgrades the release. They are never deleted, and never taken back to an older version: a deleted one
 * takes every object of its kind with it, and an older one takes fields away from objects that have them.
 */
import * as pulumi from "@pulumi/pulumi";
import type { KubernetesApi, ObjectMetadata } from "pulumi-ovh-managed-kubernetes";

/** A custom resource definition, in part. */
export interface Crd {
    kind: "CustomResourceDefinition";
    metadata: Pick<ObjectMetadata, "name" | "annotations">;
}

/** Where a release has its chart from, as among the inputs of `helm.v3.Release`. */
export interface ChartSource {
    /** Name in a repository, `oci://...` or a local path. */
    chart: string;
    version?: string;
    repositoryOpts?: { repo?: string };
}

const crdPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const manager = "ovhcloud-llm-serving";
/** Group of the operator's kinds, with which the definitions' names end. */
const group = ".monitoring.coreos.com";
/** What the operator's project writes into each: its version without "v". */
const versionAnnotation = "operator.prometheus.io/version";

/**
 * Brings the definitions in the cluster to those of the chart; gives what was done, in words.
 *
 * @param installing Helm makes what is missing itself then, and waits for it
 * @param readChart gives the chart's definitions
 */
export async function upgradeCrds(
    api: KubernetesApi,
    installing: boolean,
    readChart: () => Promise<Crd[]>,
): Promise<string[]> {
    const live = (await api.listMetadata(crdPath)).filter(({ name }) => name.endsWith(group));
    if (installing && live.length === 0) return [];
    const { outdated, newer } = compareCrds(live, await readChart());
    for (const crd of outdated) await api.apply(`${crdPath}/${crd.metadata.name}`, crd, manager);
    const told: string[] = [];
    if (outdated.length > 0) {
        const from = [
            ...new Set(outdated.map((crd) => versionOf(live.find(({ name }) => name === crd.metadata.name)))),
        ];
        told.push(
            `${outdated.length} custom resource definitions: ${from.join(", ")} -> ${versionOf(outdated[0].metadata)}`,
        );
    }
    if (newer.length > 0) {
        told.push(
            `${newer.length} custom resource definitions stay at ${versionOf(newer[0])}: they are newer than the chart's`,
        );
    }
    return told;
}

/** Which of the chart's definitions the cluster lacks or has in an older version, and which it has in a newer one. */
export function compareCrds(live: ObjectMetadata[], chart: Crd[]): { outdated: Crd[]; newer: ObjectMetadata[] } {
    const outdated: Crd[] = [];
    const newer: ObjectMetadata[] = [];
    for (const crd of chart) {
        const found = live.find(({ name }) => name === crd.metadata.name);
        const order = found ? compareVersions(versionOf(found), versionOf(crd.metadata)) : -1;
        if (order < 0) outdated.push(crd);
        else if (order > 0) newer.push(found!);
    }
    return { outdated, newer };
}

/** `none` where there is no definition, or one that does not say. */
function versionOf(metadata: Pick<ObjectMetadata, "annotations"> | undefined): string {
    return metadata?.annotations?.[versionAnnotation] ?? "none";
}

/** Below 0 when the first is older. One that is not known counts as older: what the chart brings is then applied. */
function compareVersions(one: string, other: string): number {
    const [a, b] = [one, other].map((text) => /^v?(\d+)\.(\d+)\.(\d+)/.exec(text)?.slice(1).map(Number));
    if (!a || !b) return -1;
    const place = a.findIndex((part, i) => part !== b[i]);
    return place < 0 ? 0 : a[place] - b[place];
}

/** The definitions that a chart brings, read as Helm reads it: from its repository, or locally. */
export async function chartCrds({ chart, version, repositoryOpts }: ChartSource, provider: pulumi.ProviderResource) {
    const repo = repositoryOpts?.repo;
    const isLocal = repo === undefined && !chart.startsWith("oci://");
    const source = isLocal ? { path: chart } : { chart, version, ...(repo !== undefined && { fetch_opts: { repo } }) };
    const options = { release_name: "crds", ...source };
    const { result } = (await pulumi.runtime.invoke(
        "kubernetes:helm:template",
        { jsonOpts: JSON.stringify(options) },
        { provider },
    )) as { result: { kind?: string }[] };
    return result.filter(({ kind }) => kind === "CustomResourceDefinition") as Crd[];
}
