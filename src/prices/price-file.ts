import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseDocument } from "yaml";
import { z } from "zod";
import type { Fault } from "../settings";

/** Negotiated prices. */
export interface PriceFile {
    /** ISO 4217. */
    currency: string;
    /** By plan code, per unit of the plan, without tax; in every region. */
    prices: Record<string, number>;
}

/** What a file looks like, for whoever has one that does not fit. */
const example = "`currency: EUR`, and under `prices:` lines such as `b2-15.consumption: 0.1` (docs/cost.md)";

const schema = z.strictObject({
    currency: z.string("give the currency, such as EUR").regex(/^[A-Z]{3}$/, "give three capitals, such as EUR"),
    prices: z.record(
        z.string(),
        z.number("give a number, per unit of the plan and without tax").nonnegative("give no less than 0"),
        "give prices by plan code, such as b2-15.consumption: 0.1",
    ),
});

/**
 * Reads a file of prices, YAML or JSON.
 * @param root folder that a relative path starts from
 * @returns the prices, or what is wrong with the file
 */
export function readPriceFile(path: string, root: string): PriceFile | Fault[] {
    const fault = (fix: string): Fault => ({ key: "prices.file", found: JSON.stringify(path), fix });
    let text: string;
    try {
        text = readFileSync(resolve(root, path), "utf8");
    } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        const why = code === "ENOENT" ? `there is no ${resolve(root, path)}` : `it cannot be read (${code})`;
        return [fault(`${why}: give a file of prices, or take it away: pulumi config rm --path prices.file`)];
    }
    const document = parseDocument(text);
    if (document.errors.length > 0) {
        const { line, col } = document.errors[0].linePos?.[0] ?? { line: 1, col: 1 };
        return [fault(`it is no YAML at line ${line}, column ${col}: write ${example}`)];
    }
    const { data, error } = schema.safeParse(document.toJS());
    if (data) return data;
    return error.issues.map((issue) => {
        const where = issue.path.map(String).join(": ");
        const wrong = issue.code === "unrecognized_keys" ? `${issue.keys.join(", ")} is unknown there` : issue.message;
        return fault(`${where ? `${where}: ` : ""}${wrong}; a file has ${example}`);
    });
}
