import { isIP } from "node:net";
import { SettingsError, type PricesSettings } from "../settings";
import { keep, readKept, type Dated } from "./cache";
import { cataloguePath, priceIn, readCatalogue, type Catalogue } from "./catalogue";
import { readPriceFile } from "./price-file";

/** The prices that a stack is billed by, as far as they are known. */
export interface PriceList {
    /** ISO 4217; undefined: no prices at all. */
    currency?: string;
    /** Where they come from, such as `OVHcloud's public list (FR) of 2026-11-26`. */
    source: string;
    /** What whoever reads a cost has to know of the list: its age, what of it was not had. */
    remarks: string[];
    /** Price of a plan in a region, per unit of the plan and without tax; undefined: not found. */
    find(planCode: string, region: string): number | undefined;
}

export interface PriceSources {
    /** Where OVHcloud's API is: `ovh-eu` or a URL, and its address with `/v1`. */
    endpoint: { name: string; baseUrl: string };
    /** Asks without credentials; rejects without an answer in time. */
    get: (baseUrl: string, path: string, timeoutMs: number) => Promise<string>;
    /** Where lists are kept. */
    cacheFolder: string;
    /** Folder that `prices.file` starts from. */
    root: string;
    /** Name of the project, for messages. */
    project: string;
    now?: Date;
}

/** Where no endpoint is set: a preview without any set-up has prices too. */
export const europe = { name: "ovh-eu", baseUrl: "https://eu.api.ovh.com/v1" };

/** Prices change a few times a year. */
const freshDays = 7;
/** A preview does not wait longer; half an hour of a laptop without network does it each time. */
const timeoutMs = 5000;

/**
 * The prices by which a stack is billed: those of `prices.file` before those of OVHcloud's list, which is kept for a week, and
 * used for longer when OVHcloud does not answer. Only a wrong `prices.file` is an error.
 * @throws SettingsError that names each fault of the file
 */
export async function findPrices(settings: PricesSettings, sources: PriceSources): Promise<PriceList> {
    const file = settings.file === undefined ? undefined : readPriceFile(settings.file, sources.root);
    if (Array.isArray(file)) throw new SettingsError(file, sources.project);
    const subsidiary = settings.subsidiary ?? subsidiaryOf(sources.endpoint.name);
    const remarks: string[] = [];
    const dated = await publicList(subsidiary, sources, remarks);
    const foreign = file && dated && file.currency !== dated.catalogue.currency;
    if (foreign) {
        const own = `${settings.file} is in ${file.currency}`;
        remarks.push(`${own}, OVHcloud's list in ${dated.catalogue.currency}: only the prices of the file are used`);
    }
    const catalogue = foreign ? undefined : dated?.catalogue;
    if (file && catalogue) remarks.push(...unknownPlans(Object.keys(file.prices), catalogue));
    const list = dated && catalogue && `OVHcloud's public list (${subsidiary}) of ${dated.asked.slice(0, 10)}`;
    return {
        currency: file?.currency ?? catalogue?.currency,
        source: [...(settings.file === undefined ? [] : [settings.file]), ...(list ? [list] : [])].join(", then "),
        remarks,
        find: (planCode, region) =>
            file && Object.hasOwn(file.prices, planCode)
                ? file.prices[planCode]
                : catalogue && priceIn(catalogue, planCode, region),
    };
}

/** Those of the endpoints of a continent; the API of Europe has the list of France, in euros. */
function subsidiaryOf(endpoint: string): string {
    return ({ "ovh-ca": "CA", "ovh-us": "US" } as Record<string, string>)[endpoint] ?? "FR";
}

async function publicList(
    subsidiary: string,
    { endpoint: { baseUrl }, get, cacheFolder, now = new Date() }: PriceSources,
    remarks: string[],
): Promise<Dated | undefined> {
    const { hostname } = new URL(baseUrl);
    const name = `prices-${subsidiary}-${encodeURIComponent(hostname)}`;
    // A simulated OVHcloud on this machine answers at once, and another one may have its address tomorrow.
    const isKept = hostname !== "localhost" && !(isIP(hostname) === 4 && hostname.startsWith("127."));
    const kept = isKept ? readKept(cacheFolder, name) : undefined;
    const ageDays = kept ? (now.getTime() - Date.parse(kept.asked)) / 86_400_000 : Infinity;
    if (ageDays >= 0 && ageDays < freshDays) return kept;
    let fresh: Dated;
    try {
        const text = await get(baseUrl, cataloguePath(subsidiary), timeoutMs);
        fresh = { asked: now.toISOString(), catalogue: readCatalogue(text) };
    } catch (error) {
        const why = (error as Error).message.slice(0, 200);
        const instead = kept
            ? `its prices of ${kept.asked.slice(0, 10)} are used`
            : "nothing has a price but by prices.file";
        remarks.push(`OVHcloud's price list cannot be had (${why}): ${instead}`);
        return kept;
    }
    try {
        if (isKept) keep(cacheFolder, name, fresh);
    } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        remarks.push(
            `the price list cannot be kept in ${cacheFolder} (${code ?? message}), and is asked for each time`,
        );
    }
    return fresh;
}

/** Plans of a file that OVHcloud's list does not have: most likely misspelt. */
function unknownPlans(codes: string[], { plans }: Catalogue): string[] {
    const unknown = codes.filter((code) => !Object.hasOwn(plans, code));
    return unknown.length > 0 ? [`prices.file has plans that OVHcloud's list does not: ${unknown.join(", ")}`] : [];
}
