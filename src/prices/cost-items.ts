import { replicaRange } from "../hours/schedule";
import { leaseEnded } from "../hours/wanted";
import type { ClusterSettings, ModelSettings, MonitoringSettings } from "../settings";

/** The settings that decide what is billed. */
export interface BilledSettings {
    models: Record<string, ModelSettings>;
    cluster: ClusterSettings;
    monitoring: MonitoringSettings;
}

/** Something that is billed. */
export interface CostItem {
    /** For people: `ministral, replica of 1 x h100-1-gpu`. */
    what: string;
    /** The model that it is a replica of. */
    model?: string;
    /** Code in OVHcloud's price list. */
    planCode: string;
    region: string;
    /** How many of the plan's units one of them takes in an hour: minutes, GPUs, GB. */
    unitsPerHour: number;
    /** How many there are: the fewest, which is what is billed with no request at all, and the most. */
    count: { min: number; max: number };
}

/** Everything of a stack that OVHcloud bills. Traffic is free; object storage is not the stack's, and not in here. */
export function costItems({ models, cluster, monitoring }: BilledSettings): CostItem[] {
    return [
        ...Object.entries(models).map(([name, model]) => replicas(name, model)),
        ...clusterItems(cluster),
        ...volumes(monitoring, cluster.region),
        ...networkItems(cluster, monitoring, models),
    ];
}

/** Plan of an app's replicas, billed per minute and GPU, or CPU. */
export function appPlanCode(flavor: string): string {
    return `ai-app.${flavor}.minute.consumption`;
}

function replicas(name: string, { flavor, gpus, region, desiredState, lease, ...model }: ModelSettings): CostItem {
    return {
        what: `${name}, replica of ${gpus} x ${flavor}`,
        model: name,
        planCode: appPlanCode(flavor),
        region,
        unitsPerHour: 60 * gpus,
        count: desiredState === "STOPPED" || leaseEnded(lease, new Date()) ? { min: 0, max: 0 } : replicaRange(model),
    };
}

function clusterItems({ plan, region, nodePool: { flavor, nodes, autoscale } }: ClusterSettings): CostItem[] {
    const hourly = { region, unitsPerHour: 1 };
    const node: CostItem = {
        ...hourly,
        what: `node ${flavor}`,
        planCode: `${flavor}.consumption`,
        count: autoscale ? { min: autoscale.min, max: autoscale.max } : { min: nodes, max: nodes },
    };
    // The plan `free` is.
    if (plan === "free") return [node];
    const planCode = `mks.${plan}.hour.consumption`;
    return [{ ...hourly, what: `cluster, plan ${plan}`, planCode, count: { min: 1, max: 1 } }, node];
}

function volumes({ storage: { class: storageClass, ...sizes } }: MonitoringSettings, region: string): CostItem[] {
    return Object.entries(sizes).map(([part, size]) => ({
        what: `volume of ${part}, ${size} ${storageClass}`,
        planCode: `volume.${storageClass.replace(/^csi-cinder-/, "")}.consumption`,
        region,
        unitsPerHour: gibibytes(size),
        count: { min: 1, max: 1 },
    }));
}

function gibibytes(size: string): number {
    const factor = { Mi: 1 / 1024, Gi: 1, Ti: 1024 }[size.slice(-2) as "Mi" | "Gi" | "Ti"];
    return parseInt(size) * factor;
}

/** A public load balancer needs a gateway on its network, of which a private network has one anyway. */
function networkItems(
    { network, region }: ClusterSettings,
    { grafana: { access } }: MonitoringSettings,
    models: BilledSettings["models"],
): CostItem[] {
    const item = (what: string, planCode: string): CostItem => ({
        ...{ what, planCode, region },
        ...{ unitsPerHour: 1, count: { min: 1, max: 1 } },
    });
    const balanced = [
        ...(access === "loadBalancer" ? [""] : []),
        ...Object.entries(models).flatMap(([name, { frontDoor }]) =>
            frontDoor?.access === "loadBalancer" ? [` of ${name}'s front door`] : [],
        ),
    ];
    const gateway = balanced.length > 0 || network === "private";
    return [
        ...balanced.map((of) => item(`load balancer S${of}`, "octavia-loadbalancer.loadbalancer-s.hour.consumption")),
        ...(gateway ? [item("gateway S", "gateway.gateway-s.hour.consumption")] : []),
        ...balanced.map((of) => item(`floating IP${of}`, "floatingip.floatingip.hour.consumption")),
    ];
}
