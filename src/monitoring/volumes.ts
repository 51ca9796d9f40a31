/**
 * The volumes of Prometheus, Alertmanager and Grafana when their settings change. Kubernetes lets a claim grow, where its
 * class allows that, and nothing else: the operator and Helm would take a new size or class, break half-way or leave the
 * volume as it was, and go on as if all were well.
 */
import type { KubernetesApi } from "pulumi-ovh-managed-kubernetes";

/** A volume as the chart's values have it. */
export interface WantedVolume {
    /** The setting of its size, below `monitoring.storage`. */
    setting: "prometheus" | "alertmanager" | "grafana";
    /** The claims of it: one for each replica. */
    claims: RegExp;
    /** Whether the chart has the claim itself: then Helm lets it grow. */
    ofHelm: boolean;
    size: string;
    class?: string;
}

/** A PersistentVolumeClaim, in part. */
export interface Claim {
    metadata: { name: string; deletionTimestamp?: string };
    spec: { storageClassName?: string; resources: { requests: { storage: string } } };
}

interface StorageClass {
    metadata: { name: string };
    allowVolumeExpansion?: boolean;
}

export interface VolumePlan {
    /** Why the volumes cannot be as wanted, and what helps. */
    faults: string[];
    /** Claims that are to grow. */
    grow: { claim: string; from: string; to: string; ofHelm: boolean }[];
}

/** The volumes that the chart's values ask for; one that they leave out is none of ours to judge. */
export function wantedVolumes(values: unknown): WantedVolume[] {
    const at = (path: string): any => path.split(".").reduce((value: any, key) => value?.[key], values);
    const ofOperator = (setting: "prometheus" | "alertmanager", path: string): WantedVolume[] => {
        const { storageClassName, resources } = at(`${path}.volumeClaimTemplate.spec`) ?? {};
        const size = resources?.requests?.storage as unknown;
        if (typeof size !== "string") return [];
        const object = `${setting}-monitoring-${setting}`;
        const claims = new RegExp(`^${object}-db-${object}(-shard-\\d+)?-\\d+$`);
        return [{ setting, claims, ofHelm: false, size, class: storageClassName as string | undefined }];
    };
    const { enabled, size, storageClassName } = at("grafana.persistence") ?? {};
    const grafana: WantedVolume[] =
        enabled === true && typeof size === "string"
            ? [{ setting: "grafana", claims: /^monitoring-grafana$/, ofHelm: true, size, class: storageClassName }]
            : [];
    return [
        ...ofOperator("prometheus", "prometheus.prometheusSpec.storageSpec"),
        ...ofOperator("alertmanager", "alertmanager.alertmanagerSpec.storage"),
        ...grafana,
    ];
}

/** What the change of the values means for the claims that are there. One on its way out is followed by a new one. */
export function planVolumes(wanted: WantedVolume[], claims: Claim[], classes: StorageClass[]): VolumePlan {
    const plan: VolumePlan = { faults: [], grow: [] };
    const beginAnew = "to begin with an empty one, see docs/upgrading.md#volumes";
    for (const volume of wanted) {
        const there = claims.filter(({ metadata }) => volume.claims.test(metadata.name) && !metadata.deletionTimestamp);
        for (const { metadata, spec } of there) {
            const from = spec.resources.requests.storage;
            const keep = (key: string, value: string) =>
                `Keep it: pulumi config set --path monitoring.storage.${key} ${value}`;
            if (volume.class !== undefined && spec.storageClassName !== volume.class) {
                plan.faults.push(
                    `monitoring.storage.class: "${volume.class}"; the volume ${metadata.name} is of ${spec.storageClassName}, ` +
                        `and no volume changes its class. ${keep("class", spec.storageClassName ?? "")}; ${beginAnew}`,
                );
                continue;
            }
            const difference = bytes(volume.size) - bytes(from);
            if (difference < 0) {
                plan.faults.push(
                    `monitoring.storage.${volume.setting}: "${volume.size}"; the volume ${metadata.name} has ${from}, and no ` +
                        `volume shrinks. ${keep(volume.setting, from)}; ${beginAnew}`,
                );
            } else if (difference > 0) {
                const found = classes.find((one) => one.metadata.name === spec.storageClassName);
                if (found?.allowVolumeExpansion !== true) {
                    plan.faults.push(
                        `monitoring.storage.${volume.setting}: "${volume.size}"; the volume ${metadata.name} has ${from}, and ` +
                            `its class ${spec.storageClassName} lets none grow. ${keep(volume.setting, from)}; ${beginAnew}`,
                    );
                } else plan.grow.push({ claim: metadata.name, from, to: volume.size, ofHelm: volume.ofHelm });
            }
        }
    }
    return plan;
}

const powers: Record<string, number> = {
    "": 1,
    ...Object.fromEntries(["k", "M", "G", "T", "P"].map((unit, i) => [unit, 1000 ** (i + 1)])),
    ...Object.fromEntries(["Ki", "Mi", "Gi", "Ti", "Pi"].map((unit, i) => [unit, 1024 ** (i + 1)])),
};

/** A quantity of Kubernetes, such as `50Gi`. */
function bytes(quantity: string): number {
    const [, amount, unit] = /^([\d.]+)(|[kMGTP]|[KMGTP]i)$/.exec(quantity) ?? [];
    return Number(amount) * powers[unit];
}

/**
 * Looks at what a change of the values means for the volumes, and lets those grow that are to and that Helm does not see
 * to. Gives what is done, in words. Throws an Error that says what to do when a volume cannot be as wanted.
 *
 * @param values of the chart
 * @param onlyLook as in a preview
 */
export async function resizeVolumes(
    api: KubernetesApi,
    namespace: string,
    values: unknown,
    onlyLook: boolean,
): Promise<string[]> {
    const path = `/api/v1/namespaces/${namespace}/persistentvolumeclaims`;
    const { items: claims } = await api.get<{ items: Claim[] }>(path);
    const { items: classes } = await api.get<{ items: StorageClass[] }>("/apis/storage.k8s.io/v1/storageclasses");
    const { faults, grow } = planVolumes(wantedVolumes(values), claims, classes);
    if (faults.length > 0) throw new Error(faults.join("\n"));
    for (const { claim, to, ofHelm } of grow) {
        if (!onlyLook && !ofHelm) {
            await api.patch(`${path}/${claim}`, { spec: { resources: { requests: { storage: to } } } });
        }
    }
    return grow.map(({ claim, from, to }) => `volume ${claim} grows from ${from} to ${to}, and its pod restarts`);
}
