import { z } from "zod";

/** A plan of OVHcloud's price list that is billed by use. */
export interface Plan {
    /** Per unit of the plan, which its code names (minute, hour; a volume's: GB and hour), without tax. */
    price: number;
    /** Regions that it is for; without, or empty: not said. */
    regions?: string[];
}

/** What is billed by use, of a subsidiary's price list. */
export interface Catalogue {
    /** ISO 4217. */
    currency: string;
    /** By plan code, such as `b2-15.consumption`. */
    plans: Record<string, Plan>;
}

/** The API writes prices as whole numbers of so many parts of the currency's unit. */
const partsOfUnit = 1e8;

const answerSchema = z.object({
    locale: z.object({ currencyCode: z.string().regex(/^[A-Z]{3}$/) }),
    addons: z.array(z.unknown()),
});

const addonSchema = z.object({
    planCode: z.string(),
    pricings: z.array(
        z.object({
            price: z.number().nonnegative(),
            intervalUnit: z.string().optional(),
            capacities: z.array(z.string()).optional(),
            mode: z.string().optional(),
        }),
    ),
    configurations: z
        .array(z.object({ name: z.string(), values: z.array(z.string()).nullish() }))
        .nullish()
        .catch(undefined),
});
type Addon = z.output<typeof addonSchema>;

/** Path of the price list in OVHcloud's API. */
export function cataloguePath(subsidiary: string): string {
    return `/order/catalog/public/cloud?ovhSubsidiary=${encodeURIComponent(subsidiary)}`;
}

/**
 * Reads the answer of `GET /order/catalog/public/cloud`. A plan that does not have the known form is left out: whoever looks
 * for it is told that it has no price.
 * @throws Error for a text that is no price list
 */
export function readCatalogue(text: string): Catalogue {
    let json: unknown;
    try {
        json = JSON.parse(text);
    } catch {
        throw new Error("the answer is not JSON");
    }
    const { success, data } = answerSchema.safeParse(json);
    if (!success) throw new Error("the answer is no price list: it has no currency or no plans");
    const plans = data.addons.flatMap((addon): [string, Plan][] => {
        const { success, data } = addonSchema.safeParse(addon);
        const plan = success && data.planCode.includes("consumption") ? planOf(data) : undefined;
        return success && plan ? [[data.planCode, plan]] : [];
    });
    return { currency: data.locale.currencyCode, plans: Object.fromEntries(plans) };
}

function planOf({ pricings, configurations }: Addon): Plan | undefined {
    // The same plan may have a price for a month too, which is another way to pay for it.
    const used = pricings.filter(
        ({ capacities, intervalUnit = "none", mode = "default" }) =>
            (capacities ?? ["consumption"]).includes("consumption") &&
            ["none", "minute", "hour"].includes(intervalUnit) &&
            mode === "default",
    );
    if (used.length === 0) return undefined;
    const regions = configurations?.find(({ name }) => name === "region")?.values ?? [];
    return { price: used[0].price / partsOfUnit, ...(regions.length > 0 && { regions }) };
}

/**
 * Price of a plan in a region, per unit of the plan. Regions with three zones and local zones have variants of a plan, told
 * by an ending (`b2-15.consumption.3AZ`) and the regions they name.
 * @returns undefined where the list has no price of it for this region
 */
export function priceIn({ plans }: Catalogue, planCode: string, region: string): number | undefined {
    const exact = Object.hasOwn(plans, planCode) ? plans[planCode] : undefined;
    if (exact && (!exact.regions || exact.regions.some((one) => isSame(one, region)))) return exact.price;
    return Object.entries(plans).find(
        ([code, { regions }]) => code.startsWith(`${planCode}.`) && regions?.some((one) => isSame(one, region)),
    )?.[1].price;
}

/** AI Deploy's regions are called like those of instances without the number: GRA, GRA11. */
function isSame(one: string, other: string): boolean {
    const letters = (name: string) => name.replace(/\d+$/, "");
    return one === other || letters(one) === other || letters(other) === one;
}
