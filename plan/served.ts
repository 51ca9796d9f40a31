import { defaultModel, defaultPrices } from "../src/settings/defaults";
import type { ModelSettings } from "../src/settings";
import type { PriceList } from "../src/prices/price-list";
import { pricesOf } from "../tools/prices";
import { readStack, stackSettings, type Stack } from "../tools/stack";
import { UsageError } from "../tools/loadtest/usage-error";

/** The model that is planned for, as the stack config or the defaults have it. */
export interface Served {
    /** Its key in `models`. */
    name: string;
    model: Pick<ModelSettings, "flavor" | "gpus" | "region" | "targets" | "drain" | "deploymentStrategy" | "vllm">;
    /** Asks for the prices by which its stack is billed. */
    prices(): Promise<PriceList>;
}

/** A model that is in no stack yet. */
export function defaultServed(name = "ministral"): Served {
    const model = defaultModel(name) as unknown as ModelSettings;
    return { name, model, prices: () => pricesOf(defaultPrices, {}) };
}

/** A model of a stack's config; the stack need not be up. Throws an Error for people. */
export async function servedBy(stackName: string | undefined, wanted: string | undefined): Promise<Served> {
    return servedOf(await readStack(stackName), wanted);
}

export function servedOf(stack: Stack, wanted: string | undefined): Served {
    const { models, prices } = stackSettings(stack);
    const names = Object.keys(models);
    const name = wanted ?? (names.length === 1 ? names[0] : undefined);
    if (name === undefined || !Object.hasOwn(models, name)) {
        const found = wanted === undefined ? "the stack has several models" : `the stack has no model "${wanted}"`;
        throw new UsageError(`${found}: choose one with --model ${names.join(" or --model ")}`);
    }
    return { name, model: models[name], prices: () => pricesOf(prices, stack.config) };
}
