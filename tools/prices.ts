import { resolve } from "node:path";
import { configFiles, resolveEndpoint } from "../packages/ai-deploy/src/api/credentials";
import { getPublic } from "../packages/ai-deploy/src/api/public";
import { cacheFolder } from "../src/prices/cache";
import { europe, findPrices, type PriceList } from "../src/prices/price-list";
import type { PricesSettings } from "../src/settings";
import { project, type Stack } from "./stack";

/**
 * The prices that the program would take for a stack of this config. Throws a SettingsError for a wrong `prices.file`.
 * @param config of the stack, which may name an endpoint; empty: that of the environment, or else Europe's
 */
export function pricesOf(settings: PricesSettings, config: Stack["config"]): Promise<PriceList> {
    return findPrices(settings, {
        endpoint:
            resolveEndpoint({ config: (key) => config[key]?.value, env: process.env, files: configFiles() }) ?? europe,
        get: getPublic,
        cacheFolder: cacheFolder(),
        root: resolve(__dirname, ".."),
        project,
    });
}
