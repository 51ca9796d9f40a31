import { publicCatalogue } from "../../sandbox/ovhcloud/catalogue";
import { readCatalogue } from "../../src/prices/catalogue";
import { costOf, type Cost } from "../../src/prices/cost";
import { priceIn } from "../../src/prices/catalogue";
import type { PriceList } from "../../src/prices/price-list";
import { parse } from "../settings/config";

/** What the emulated OVHcloud answers for a subsidiary, as text. */
export function catalogueText(subsidiary = "FR"): string {
    return JSON.stringify(publicCatalogue(new URLSearchParams({ ovhSubsidiary: subsidiary })));
}

/** The emulated price list, some of its plans left out. */
export function emulated({ without = /^$/, subsidiary = "FR" } = {}): PriceList {
    const catalogue = readCatalogue(catalogueText(subsidiary));
    return {
        currency: catalogue.currency,
        source: `OVHcloud's public list (${subsidiary}) of 2026-11-26`,
        remarks: [],
        find: (code, region) => (without.test(code) ? undefined : priceIn(catalogue, code, region)),
    };
}

/** Cost of a stack of this config by the emulated list. */
export function costBy(config: Record<string, unknown>, prices = emulated()): Cost {
    return costOf(parse(config), prices);
}
