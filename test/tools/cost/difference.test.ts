import { expect, it } from "vitest";
import { costDifference, readCost } from "../../../tools/cost/difference";
import { ministral } from "../../settings/config";
import { costBy, emulated } from "../../prices/world";

const before = readCost(JSON.stringify(costBy({})), "before.json");

it("names sums now and then, and what makes the difference", () => {
    const after = costBy({ ...ministral({ replicas: { max: 4 } }), cluster: { nodePool: { nodes: 2 } } });
    expect(costDifference(before, after).split("\n")).toEqual([
        "| EUR without tax | now | then | difference |",
        "| --- | ---: | ---: | ---: |",
        "| an hour, fewest replicas | 2.42 | 2.28 | -0.13 |",
        "| an hour, most replicas | 6.41 | 8.28 | +1.86 |",
        "| a month, fewest replicas | 1,765 | 1,667 | -97.24 |",
        "| a month, most replicas | 4,682 | 6,043 | +1,361 |",
        "",
        "| an hour | now | then |",
        "| --- | --- | --- |",
        "| ministral, replica of 1 x h100-1-gpu | 1 to 3 x 1.998, ministral, replica of 1 x h100-1-gpu | " +
            "1 to 4 x 1.998, ministral, replica of 1 x h100-1-gpu |",
        "| node b2-15 | 3 x 0.1332, node b2-15 | 2 x 0.1332, node b2-15 |",
    ]);
});

it("follows a model to another flavor, and tells what comes and goes", () => {
    const text = costDifference(
        before,
        costBy({ ...ministral({ flavor: "l40s-1-gpu" }), monitoring: { grafana: { access: "internal" } } }),
    );
    expect(text).toMatch(/replica of 1 x h100-1-gpu \| 1 to 3 x 1\.332, ministral, replica of 1 x l40s-1-gpu/);
    expect(text).toMatch(/\| floating IP \| 1 x 0\.00333, floating IP \| none \|/);
});

it("says so when nothing changes", () => {
    const text = costDifference(before, costBy({}));
    expect(text).toContain("Nothing of what is billed changes.");
    expect(text).toContain("| an hour, most replicas | 6.41 | 6.41 | 0 |");
});

it("of a first stack there is no now", () => {
    expect(costDifference(undefined, costBy({}))).toContain("| an hour, most replicas | not known | 6.41 |  |");
});

it("names what has no price, and compares no currencies", () => {
    expect(costDifference(before, costBy({}, emulated({ without: /^gateway/ })))).toMatch(
        /- no price found, and not in these sums: gateway S \(gateway\.gateway-s/,
    );
    expect(costDifference(before, costBy({}, emulated({ subsidiary: "US" })))).toBe(
        "The cost is now in USD, and was in EUR: it cannot be compared.",
    );
});

it.each([
    ["", /is no JSON/],
    ["[]", /is no cost: write one with npm run --silent cost -- --json > f\.json/],
    ['{"items": [{"what": 1}], "notPriced": []}', /is no cost/],
])("refuses %j", (text, words) => {
    expect(() => readCost(text, "f.json")).toThrow(words);
});

it("lets a file of another branch write no Markdown", () => {
    const evil = { ...before, items: [{ ...before.items[1], what: "x | [a](https://e.example) <img> @team\n# h" }] };
    const text = costDifference(evil, costBy({}));
    expect(text).not.toMatch(/[<@]|\]\(|\n#/);
});
