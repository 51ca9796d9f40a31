import { hoursPerMonth, type Cost, type Range } from "./cost";
import type { PriceList } from "./price-list";

/** An amount for people: with cents, from a thousand on without; one of less than a cent is not shown as nothing. */
export function money(amount: number): string {
    if (amount !== 0 && Math.abs(amount) < 0.01) return String(Number(amount.toPrecision(2)));
    const digits = Math.abs(amount) >= 1000 ? 0 : 2;
    return amount.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** How the line with the cost begins, which every run of the program says. */
export const costLineBegins = "cost: ";

/** The cost of a stack in one line, with all that is not known of it. */
export function costLine(cost: Cost, { source, remarks }: Pick<PriceList, "source" | "remarks">): string {
    const missing = cost.notPriced.length > 0 ? [`no price found of ${cost.notPriced.join(", ")}`] : [];
    return [`${costLineBegins}${amounts(cost)}`, ...(source ? [`prices: ${source}`] : []), ...missing, ...remarks].join(
        "; ",
    );
}

/** What a model's front door costs beside the nodes that it runs on; undefined where that is nothing. */
export function frontDoorLine(model: string, { items, currency = "" }: Cost): string | undefined {
    const own = items.filter(({ what }) => what.endsWith(` of ${model}'s front door`));
    if (own.length === 0) return undefined;
    const priced = own.every(({ pricePerHour }) => pricePerHour !== undefined);
    const perHour = own.reduce((sum, one) => sum + (one.pricePerHour ?? 0), 0);
    const amount = priced
        ? `${money(perHour)} ${currency} an hour, ${money(perHour * hoursPerMonth)} ${currency} a month`
        : "no price found";
    return `${model}'s front door: a load balancer and its address, ${amount}, day and night; without them: frontDoor.access internal`;
}

function amounts({ currency = "", perHour, perMonth, idlePerHour, notPriced }: Cost): string {
    if (!perHour || !perMonth || !idlePerHour) return "not known";
    const least = notPriced.length > 0 ? "at least " : "";
    const span = (range: Range) =>
        range.min === range.max ? money(range.min) : `${money(range.min)} to ${money(range.max)}`;
    const ends = perHour.min === perHour.max ? "" : ", from the fewest to the most replicas";
    return (
        `${least}${span(perHour)} ${currency} an hour, ${span(perMonth)} ${currency} a month${ends}, without tax; ` +
        `with no request at all ${money(idlePerHour.all)} an hour, ${money(idlePerHour.replicas)} of it for replicas`
    );
}
