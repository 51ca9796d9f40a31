import { badRequest } from "./api-error";
import { nodeFlavors } from "./kube-flavors";

/**
 * The public price list, in the shape that OVHcloud's has. Names of plans are OVHcloud's as far as they were found in its control
 * panel's sources; every price is made up, and looks like it.
 */

/** Per minute. */
const aiFlavors = { "ai1-1-cpu": 0.000333, "l4-1-gpu": 0.0111, "l40s-1-gpu": 0.0222, "h100-1-gpu": 0.0333 };
/** Per hour and GB of memory. */
const memoryPrice = 0.00888;
/** Per hour and GB. */
const volumeTypes = { classic: 0.0000444, "high-speed": 0.0000888, "high-speed-gen2": 0.000111 };
/** Per hour. */
const hourly = {
    "octavia-loadbalancer.loadbalancer-s": 0.00777,
    "octavia-loadbalancer.loadbalancer-m": 0.0222,
    "gateway.gateway-s": 0.00222,
    "gateway.gateway-l": 0.0555,
    "floatingip.floatingip": 0.00333,
    "mks.standard": 0.0999,
};

const oneZone = ["BHS5", "DE1", "GRA7", "GRA9", "GRA11", "SBG5", "UK1", "WAW1"];
const threeZones = ["EU-WEST-PAR", "EU-SOUTH-MIL"];
/** In a region with three zones everything is so much dearer. */
const threeZonesFactor = 1.111;

/** By subsidiary; the others are billed in euros. */
const currencies: Record<string, string> = {
    ...{ CA: "CAD", QC: "CAD", US: "USD", WE: "USD", WS: "USD", ASIA: "USD", AU: "AUD", SG: "SGD", IN: "INR" },
    ...{ GB: "GBP", PL: "PLN", CZ: "CZK", MA: "MAD", SN: "XOF", TN: "TND" },
};
const inEuros = ["FR", "DE", "ES", "EU", "FI", "IE", "IT", "LT", "NL", "PT"];

/** Answers `GET /order/catalog/public/cloud`. Throws what OVHcloud answers for a subsidiary that there is not. */
export function publicCatalogue(query: URLSearchParams): object {
    const subsidiary = query.get("ovhSubsidiary") ?? "";
    if (!inEuros.includes(subsidiary) && !Object.hasOwn(currencies, subsidiary)) {
        throw badRequest(`ovhSubsidiary: "${subsidiary}" is none`);
    }
    return {
        catalogId: 1,
        locale: { currencyCode: currencies[subsidiary] ?? "EUR", subsidiary, taxRate: 20 },
        plans: [],
        products: [],
        planFamilies: [],
        addons: [
            ...Object.entries(aiFlavors).flatMap(([flavor, price]) =>
                ["ai-app", "ai-notebook", "ai-training"].map((product) =>
                    addon(`${product}.${flavor}.minute.consumption`, [consumption(price, "minute")]),
                ),
            ),
            ...nodeFlavors("GRA11").flatMap(({ name, ram }) => [
                ...inRegions(`${name}.consumption`, ram * memoryPrice),
                addon(`${name}.monthly.postpaid`, [monthly(ram * memoryPrice * 365)], oneZone),
            ]),
            ...Object.entries(volumeTypes).flatMap(([type, price]) =>
                // There are no spinning disks in a region with three zones.
                inRegions(`volume.${type}.consumption`, price).slice(0, type === "classic" ? 1 : 2),
            ),
            ...Object.entries(hourly).flatMap(([plan, price]) => inRegions(`${plan}.hour.consumption`, price)),
            ...inRegions("mks.free.hour.consumption", 0),
        ],
    };
}

/** A plan, and its variant for regions with three zones. */
function inRegions(planCode: string, price: number): object[] {
    // Some plans have a price for whoever pays by the month, beside the one for what was used.
    const pricings = (amount: number) => [monthly(amount * 600), consumption(amount, "hour")];
    return [
        addon(planCode, pricings(price), oneZone),
        addon(
            `${planCode}.${planCode.startsWith("mks.") ? "3az" : "3AZ"}`,
            pricings(price * threeZonesFactor),
            threeZones,
        ),
    ];
}

function addon(planCode: string, pricings: object[], regions?: string[]): object {
    const region = { name: "region", isCustom: false, isMandatory: true, values: regions };
    return {
        planCode,
        invoiceName: planCode.split(".")[0],
        product: `publiccloud-${planCode.split(".")[0]}`,
        pricingType: "consumption",
        addonFamilies: [],
        configurations: regions ? [region] : [],
        pricings,
    };
}

function consumption(price: number, intervalUnit: string): object {
    return { ...pricing(price), intervalUnit, capacities: ["consumption"], type: "consumption" };
}

function monthly(price: number): object {
    return { ...pricing(price), intervalUnit: "month", capacities: ["renew"], type: "rental" };
}

function pricing(price: number): object {
    return {
        price: Math.round(price * 1e8),
        tax: Math.round(price * 0.2 * 1e8),
        interval: 1,
        mode: "default",
        phase: 1,
        commitment: 0,
        description: "made up",
        mustBeCompleted: false,
        quantity: { min: 1 },
        repeat: { min: 1 },
        strategy: "tiered",
    };
}
