import { costItems, type BilledSettings, type CostItem } from "./cost-items";
import type { PriceList } from "./price-list";

/** Hours of a month: a twelfth of a year. */
export const hoursPerMonth = 730;

/** An amount at the fewest and at the most replicas and nodes. */
export interface Range {
    min: number;
    max: number;
}

/** An item with its price, in the currency of the cost it is part of. */
export interface CostLine extends Pick<CostItem, "what" | "model" | "planCode" | "region" | "count"> {
    /** Of one of them; undefined: no price was found. */
    pricePerHour?: number;
    perHour?: Range;
}

/** What a stack costs, without tax; what the stack's output `cost` and `npm run cost -- --json` hold. */
export interface Cost {
    /** ISO 4217; undefined: nothing has a price. */
    currency?: string;
    items: CostLine[];
    /** Sum of the items that have a price: less than the truth when `notPriced` names any. */
    perHour?: Range;
    perMonth?: Range;
    /** Per hour with no request at all: the sum at the fewest replicas, and what of it is for GPUs. */
    idlePerHour?: { all: number; replicas: number };
    /** What has no price: `node b2-15 (b2-15.consumption in GRA11)`. */
    notPriced: string[];
}

/** What a stack of these settings costs by these prices. */
export function costOf(settings: BilledSettings, prices: PriceList): Cost {
    const items = costItems(settings).map((item) => priced(item, prices));
    const known = items.filter(({ perHour }) => perHour !== undefined);
    const sum = (lines: CostLine[], end: keyof Range) =>
        exact(lines.reduce((total, { perHour }) => total + (perHour?.[end] ?? 0), 0));
    const notPriced = items
        .filter(({ pricePerHour }) => pricePerHour === undefined)
        .map(({ what, planCode, region }) => `${what} (${planCode} in ${region})`);
    if (known.length === 0) return { items, notPriced };
    const perHour = { min: sum(known, "min"), max: sum(known, "max") };
    return {
        currency: prices.currency,
        items,
        perHour,
        perMonth: { min: exact(perHour.min * hoursPerMonth), max: exact(perHour.max * hoursPerMonth) },
        idlePerHour: { all: perHour.min, replicas: sum(known.filter(isReplica), "min") },
        notPriced,
    };
}

function priced({ unitsPerHour, ...item }: CostItem, prices: PriceList): CostLine {
    const price = prices.find(item.planCode, item.region);
    if (price === undefined) return item;
    const pricePerHour = exact(price * unitsPerHour);
    const perHour = { min: exact(pricePerHour * item.count.min), max: exact(pricePerHour * item.count.max) };
    return { ...item, pricePerHour, perHour };
}

/** As far as prices go, without what arithmetic adds behind. */
function exact(amount: number): number {
    return Number(amount.toFixed(8));
}

const isReplica = ({ model }: CostLine) => model !== undefined;

/** Euros per hour of a replica of a model; undefined where that is not known, or the prices are in another currency. */
export function replicaPrice({ currency, items }: Cost, model: string): number | undefined {
    return currency === "EUR" ? items.find((item) => item.model === model)?.pricePerHour : undefined;
}

/** Euros per hour of one GPU of what the models run on, once for each flavor and region; without those that `replicaPrice` does not know. */
export function unitPrices(
    cost: Cost,
    models: BilledSettings["models"],
): { flavor: string; region: string; eurosPerHour: number }[] {
    const known = Object.entries(models).flatMap(([name, { flavor, region, gpus }]) => {
        const price = replicaPrice(cost, name);
        return price === undefined ? [] : [{ flavor, region, eurosPerHour: exact(price / gpus) }];
    });
    return [...new Map(known.map((one) => [`${one.flavor} ${one.region}`, one])).values()];
}

/** Per hour of all that is no replica and has a price, at the most nodes. */
export function fixedPerHour({ items }: Cost): number {
    return exact(items.filter((item) => !isReplica(item)).reduce((sum, { perHour }) => sum + (perHour?.max ?? 0), 0));
}

/** The same in euros; undefined like `replicaPrice`. */
export function fixedPrice(cost: Cost): number | undefined {
    return cost.currency === "EUR" ? fixedPerHour(cost) : undefined;
}
