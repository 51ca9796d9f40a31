import { z } from "zod";
import type { Cost, CostLine } from "../../src/prices/cost";
import { money } from "../../src/prices/text";

const range = z.object({ min: z.number(), max: z.number() });
const costSchema = z.object({
    currency: z.string().optional(),
    items: z.array(
        z.object({
            what: z.string(),
            model: z.string().optional(),
            planCode: z.string(),
            region: z.string(),
            count: range,
            pricePerHour: z.number().optional(),
            perHour: range.optional(),
        }),
    ),
    perHour: range.optional(),
    perMonth: range.optional(),
    notPriced: z.array(z.string()),
});

/** A cost as it was before; the rest of what a `Cost` says is not compared. */
export type EarlierCost = z.output<typeof costSchema>;

/** Reads the output `cost` of a stack, or what `npm run cost -- --json` printed. Throws an Error for people. */
export function readCost(text: string, file: string): EarlierCost {
    let json: unknown;
    try {
        json = JSON.parse(text);
    } catch {
        throw new Error(`--against ${file}: it is no JSON`);
    }
    const { data } = costSchema.safeParse(json);
    if (data) return data;
    throw new Error(`--against ${file}: it is no cost: write one with npm run --silent cost -- --json > ${file}`);
}

/** What changes in cost, as Markdown for a pull request; `before` undefined: there was nothing to compare with. */
export function costDifference(before: EarlierCost | undefined, after: Cost): string {
    const currency = after.currency ?? "";
    if (before && before.currency !== after.currency) {
        return `The cost is now in ${after.currency ?? "no currency"}, and was in ${before.currency ?? "none"}: it cannot be compared.`;
    }
    const total = (name: string, range: "perHour" | "perMonth", end: "min" | "max") =>
        row(name, before?.[range]?.[end], after[range]?.[end]);
    const missing = after.notPriced.map((what) => `- no price found, and not in these sums: ${cell(what)}`);
    return [
        `| ${currency} without tax | now | then | difference |`,
        "| --- | ---: | ---: | ---: |",
        total("an hour, fewest replicas", "perHour", "min"),
        total("an hour, most replicas", "perHour", "max"),
        total("a month, fewest replicas", "perMonth", "min"),
        total("a month, most replicas", "perMonth", "max"),
        ...changedItems(before?.items ?? [], after.items),
        ...(missing.length > 0 ? ["", ...missing] : []),
    ].join("\n");
}

function changedItems(before: CostLine[], after: CostLine[]): string[] {
    // A model goes on under another flavor, everything else is told by what it is.
    const key = ({ model, what }: CostLine) => (model === undefined ? what : `model ${model}`);
    const keys = [...new Set([...after, ...before].map(key))];
    const at = (lines: CostLine[], name: string) => lines.find((line) => key(line) === name);
    const changed = keys
        .map((name) => [at(before, name), at(after, name)] as const)
        .filter(([old, now]) => said(old) !== said(now));
    if (changed.length === 0) return ["", "Nothing of what is billed changes."];
    return [
        "",
        "| an hour | now | then |",
        "| --- | --- | --- |",
        ...changed.map(([old, now]) => `| ${cell((now ?? old)!.what)} | ${cell(said(old))} | ${cell(said(now))} |`),
    ];
}

function said(line: CostLine | undefined): string {
    if (!line) return "none";
    const { what, count, pricePerHour } = line;
    const number = count.min === count.max ? String(count.max) : `${count.min} to ${count.max}`;
    return `${number} x ${pricePerHour === undefined ? "no price" : Number(pricePerHour.toFixed(5))}, ${what}`;
}

function row(name: string, before: number | undefined, after: number | undefined): string {
    const shown = (amount: number | undefined) => (amount === undefined ? "not known" : money(amount));
    const difference = before === undefined || after === undefined ? "" : signed(after - before);
    return `| ${name} | ${shown(before)} | ${shown(after)} | ${difference} |`;
}

function signed(amount: number): string {
    if (Math.abs(amount) < 0.005) return "0";
    return `${amount > 0 ? "+" : ""}${money(amount)}`;
}

/** Text of a file of another branch, which is to be no Markdown of its own. */
function cell(text: string): string {
    return text.replace(/[|`<>\\[\]\n\r@]/g, " ");
}
