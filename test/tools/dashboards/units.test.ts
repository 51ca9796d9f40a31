import { expect, it } from "vitest";
import { formatTick, formatValue } from "../../../tools/dashboards/page/units";

it.each([
    [0.0123, "s", "12.3 ms"],
    [90, "s", "90 s"],
    [7200, "s", "2 h"],
    [12.3, "ms", "12.3 ms"],
    [900_000, "ms", "15 min"],
    [0.5, "percentunit", "50 %"],
    [5.4e10, "bytes", "50.3 GiB"],
    [1234567, "short", "1.23 M"],
    [3130, "tokens/s", "3.13 K tokens/s"],
    [2.5, "currencyEUR", "€2.5"],
    [0, "reqps", "0 req/s"],
])("%d in %s is written %s", (value, unit, text) => {
    expect(formatValue(value, unit)).toBe(text);
});

it("leaves a unit of words out beside an axis", () => {
    expect(formatTick(2000, "tokens/s")).toBe("2 K");
    expect(formatTick(200, "ms")).toBe("200 ms");
});
