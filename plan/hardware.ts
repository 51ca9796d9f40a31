import { kvBlocks, type Profile } from "../sandbox/vllm/profiles";
import { appPlanCode } from "../src/prices/cost-items";
import type { PriceList } from "../src/prices/price-list";
import type { Capacity } from "./capacity";

/** What a replica runs on. */
export interface Hardware {
    /** As `models.NAME.flavor` has it. */
    flavor: string;
    /** As `models.NAME.gpus` has it. */
    gpus: number;
    /** Of one of these GPUs. */
    profile: Profile;
    /** Of one replica, with all its GPUs, for an hour. Absent: not known. */
    price?: Price;
}

export interface Price {
    perHour: number;
    /** ISO 4217. */
    currency: string;
}

/** GPUs of a replica that are tried: more than four no flavor of AI Deploy has. */
const gpuCounts = [1, 2, 4];

/** OVHcloud's name for a flavor with one GPU of this kind. */
export function flavorOf({ gpu }: Profile): string {
    return `${gpu.toLowerCase()}-1-gpu`;
}

/** The profile of this flavor's GPU. */
export function profileOf(flavor: string, profiles: Profile[]): Profile | undefined {
    return profiles.find(({ gpu }) => flavor.toLowerCase().startsWith(`${gpu.toLowerCase()}-`));
}

/** Hardware for which there is a profile, and whose memory holds the model: of these flavors, or of all; with so many GPUs, or any. */
export function hardwareFor(profiles: Profile[], flavor?: string, gpus?: number): Hardware[] {
    const flavors = flavor === undefined ? profiles.map(flavorOf) : [flavor];
    return [...new Set(flavors)].flatMap((one) => {
        const profile = profileOf(one, profiles);
        const counts = gpus === undefined ? gpuCounts : [gpus];
        return profile
            ? counts.filter((count) => holds(profile, count)).map((count) => ({ flavor: one, gpus: count, profile }))
            : [];
    });
}

/** Whether some KV blocks are left beside the weights. */
function holds(profile: Profile, gpus: number): boolean {
    return kvBlocks(profile, gpus, 0.9, 16) > 1;
}

/** The hardware with its price; where the list has none, the name of the plan that is missing. */
export function priced(hardware: Hardware, region: string, list: PriceList): Hardware | string {
    const code = appPlanCode(hardware.flavor);
    const perUnit = list.find(code, region);
    if (perUnit === undefined || list.currency === undefined) return `${code} in ${region}`;
    // Of a minute and a GPU.
    const perHour = Number((60 * hardware.gpus * perUnit).toFixed(8));
    return { ...hardware, price: { perHour, currency: list.currency } };
}

export function hardwareText({ flavor, gpus }: Pick<Hardware, "flavor" | "gpus">): string {
    return `${gpus} x ${flavor}`;
}

/** About the least that a traffic can cost an hour on this: replicas that are always busy, one at least unless the app may sleep. */
export function leastPerHour({ price }: Hardware, { demand, rate }: Capacity, least: number): number {
    if (rate === 0) return Infinity;
    const busy = demand.reduce((sum, now) => sum + Math.max(least, now / rate), 0) / demand.length;
    return busy * (price?.perHour ?? 1);
}
