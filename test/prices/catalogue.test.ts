import { expect, it } from "vitest";
import { priceIn, readCatalogue } from "../../src/prices/catalogue";
import { catalogueText } from "./world";

const list = readCatalogue(catalogueText());

it("has prices per unit of the plan, what was used and not the month's", () => {
    expect(list.currency).toBe("EUR");
    expect(priceIn(list, "ai-app.h100-1-gpu.minute.consumption", "GRA")).toBe(0.0333);
    expect(priceIn(list, "b2-15.consumption", "GRA11")).toBe(0.1332);
    expect(priceIn(list, "octavia-loadbalancer.loadbalancer-s.hour.consumption", "GRA11")).toBe(0.00777);
    expect(list.plans).not.toHaveProperty(["b2-15.monthly.postpaid"]);
});

it("tells a region with three zones by the variant that names it", () => {
    expect(priceIn(list, "b3-8.consumption", "EU-WEST-PAR")).toBeCloseTo(1.111 * 8 * 0.00888, 8);
    expect(priceIn(list, "mks.standard.hour.consumption", "EU-WEST-PAR")).toBeCloseTo(1.111 * 0.0999, 8);
});

it("has none for a region that a plan does not name, nor for a plan that is a beginning of others", () => {
    expect(priceIn(list, "b2-15.consumption", "MARS1")).toBeUndefined();
    expect(priceIn(list, "volume.classic.consumption", "EU-WEST-PAR")).toBeUndefined();
    expect(priceIn(list, "b2.consumption", "GRA11")).toBeUndefined();
    expect(priceIn(list, "constructor", "GRA11")).toBeUndefined();
});

it("takes a region without number for those of its letters, and no other number for it", () => {
    const plans = { "a.consumption": { price: 1, regions: ["GRA11"] } };
    expect(priceIn({ currency: "EUR", plans }, "a.consumption", "GRA")).toBe(1);
    expect(priceIn({ currency: "EUR", plans }, "a.consumption", "GRA9")).toBeUndefined();
});

it.each([
    ["no JSON", "<html>", /is not JSON/],
    ["another answer", '{"message": "no"}', /is no price list/],
    ["a list of something", "[]", /is no price list/],
    ["a currency that is none", '{"locale": {"currencyCode": "euros"}, "addons": []}', /is no price list/],
])("refuses %s", (_, text, words) => {
    expect(() => readCatalogue(text)).toThrow(words);
});

it("passes over plans of another form, and keeps the others", () => {
    const plan = (planCode: unknown, price: unknown) => ({ planCode, pricings: [{ price }] });
    const addons = [
        null,
        plan(7, 1),
        plan("a.consumption", "1"),
        plan("b.consumption", -1),
        plan("c.consumption", 2e8),
    ];
    expect(readCatalogue(JSON.stringify({ locale: { currencyCode: "EUR" }, addons })).plans).toEqual({
        "c.consumption": { price: 2 },
    });
});

it("a price of 0 is one", () => {
    expect(priceIn(list, "mks.free.hour.consumption", "GRA11")).toBe(0);
});
