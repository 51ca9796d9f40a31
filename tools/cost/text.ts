import { styled, table } from "../../machine/terminal";
import type { Cost, Range } from "../../src/prices/cost";
import type { PriceList } from "../../src/prices/price-list";
import { money } from "../../src/prices/text";
import type { LimitsSettings } from "../../src/settings";
import type { Spent } from "./spent";
import type { UnownedApp } from "./unowned";

/** What each part costs, and all of it. */
export function costTable(cost: Cost, { source, remarks }: PriceList, limits: LimitsSettings): string {
    const { currency, perHour, perMonth, idlePerHour, notPriced } = cost;
    const rows = cost.items.map(({ what, count, pricePerHour, perHour }) => [
        what,
        span(count, String),
        pricePerHour === undefined ? "no price" : String(Number(pricePerHour.toFixed(5))),
        perHour ? span(perHour, money) : "no price",
    ]);
    const sum = notPriced.length > 0 ? "at least" : "all";
    const head = ["", "number", "each", `${currency ?? ""} an hour, without tax`.trim()];
    return [
        table([head, ...rows, ...(perHour ? [[sum, "", "", span(perHour, money)]] : [])]),
        "",
        ...(perMonth ? [`a month (730 hours): ${span(perMonth, money)} ${currency}`] : ["nothing has a price"]),
        ...(idlePerHour
            ? [
                  `with no request at all: ${money(idlePerHour.all)} an hour, ${money(idlePerHour.replicas)} of it for replicas`,
              ]
            : []),
        ...Object.entries(limits).map(([name, limit]) => `limits.${name}: ${limit}`),
        ...(source ? [`prices: ${source}`] : []),
        ...notPriced.map((what) => styled("yellow", `no price found: ${what}`)),
        ...remarks.map((remark) => styled("yellow", remark)),
    ].join("\n");
}

/** What the stack has cost. */
export function spentTable({ from, to, hours, models, fixed, total }: Spent, currency: string | undefined): string {
    const amount = (value: number | undefined) => (value === undefined ? "no price" : money(value));
    const rows = models.map(({ model, replicaHours, hoursUnseen, cost }) => [
        `${model}, replicas`,
        `${replicaHours.toFixed(2)} h`,
        amount(cost),
        hoursUnseen >= 0.1 ? `${hoursUnseen.toFixed(1)} h without a replica seen: asleep, stopped, or not scraped` : "",
    ]);
    return [
        table([
            ["", "", `${currency ?? ""} by the prices of now`.trim(), ""],
            ...rows,
            ["all else", `${hours.toFixed(2)} h`, amount(fixed), ""],
            ["all", "", amount(total), ""],
        ]),
        "",
        `from ${from} to ${to}; replicas that start are billed and not counted, some minutes each`,
    ].join("\n");
}

/** The apps that no stack owns, and what to do with one. */
export function unownedText(apps: UnownedApp[], currency: string | undefined): string {
    const lines = apps.map(({ id, name, region, state, replicas, perHour, marked, canary }) => {
        const price = perHour === undefined ? "no price" : `${money(perHour)} ${currency} an hour`;
        const by = canary
            ? `a canary of ${canary.of}, until ${canary.until.toISOString()}: npm run canary -- --clean-up removes it`
            : marked
              ? "made by a stack that is not here: of another backend, or removed without it"
              : "made by no stack";
        return `  ${name} (${id}) in ${region}: ${state}, ${replicas} replica(s), ${price}; ${by}`;
    });
    const fix =
        "Take one over with pulumi config set --path models.NAME.adopt ID, or stop it: ovhai app stop ID, and delete it: ovhai app delete ID";
    return [styled("yellow", "Billed in this project, and in the state of none of these stacks:"), ...lines, fix].join(
        "\n",
    );
}

function span({ min, max }: Range, written: (value: number) => string): string {
    return min === max ? written(max) : `${written(min)} to ${written(max)}`;
}
