import { z } from "zod";

/** OVHcloud's companies, each with a price list and a currency of its own. */
const subsidiaries = [
    ...["FR", "DE", "ES", "IE", "IT", "NL", "PT", "FI", "LT", "EU", "GB", "PL", "CZ", "MA", "SN", "TN"],
    ...["CA", "QC", "US", "WE", "WS", "ASIA", "AU", "SG", "IN"],
] as const;

/** Where the prices come from: OVHcloud's public list, and yours before it (docs/cost.md). */
export const pricesSchema = z.strictObject({
    /**
     * The company of OVHcloud's that bills the project, whose price list is asked for.
     * @default none: that of France; of Canada and the United States with the endpoints ovh-ca and ovh-us
     * @example pulumi config set --path prices.subsidiary DE
     * @change live
     */
    subsidiary: z.enum(subsidiaries).optional(),
    /**
     * A file of negotiated prices, by its path from the checkout; they go before those of the public list.
     * @default none
     * @example pulumi config set --path prices.file prices.yaml
     * @change live
     */
    file: z.string().min(1).optional(),
});

export type PricesSettings = z.output<typeof pricesSchema>;
