import { describe, expect, it } from "vitest";
import { fixedPrice, replicaPrice } from "../../src/prices/cost";
import { limitFaults, limitWarnings } from "../../src/prices/limits";
import { costLine, money } from "../../src/prices/text";
import type { LimitsSettings } from "../../src/settings";
import { ministral, parse, toSet } from "../settings/config";
import { configSet } from "../settings/pulumi-config";
import { costBy, emulated } from "./world";

type Config = Record<string, unknown>;
const internal = { monitoring: { grafana: { access: "internal" } } };
const items = (config: Config) => costBy(config).items.map(({ what, count }) => [what, count.min, count.max]);

describe("what is billed", () => {
    it("of the reference architecture", () => {
        expect(items({})).toEqual([
            ["ministral, replica of 1 x h100-1-gpu", 1, 3],
            ["node b2-15", 3, 3],
            ["volume of prometheus, 50Gi csi-cinder-high-speed", 1, 1],
            ["volume of grafana, 10Gi csi-cinder-high-speed", 1, 1],
            ["volume of alertmanager, 10Gi csi-cinder-high-speed", 1, 1],
            ["load balancer S", 1, 1],
            ["gateway S", 1, 1],
            ["floating IP", 1, 1],
        ]);
        const { perHour, perMonth, idlePerHour, notPriced } = costBy({});
        const fixed = 3 * 0.1332 + 70 * 0.0000888 + 0.00777 + 0.00222 + 0.00333;
        expect(perHour!.min).toBeCloseTo(1.998 + fixed, 7);
        expect(perHour!.max).toBeCloseTo(3 * 1.998 + fixed, 7);
        expect(perMonth!.max).toBeCloseTo(730 * perHour!.max, 6);
        expect(idlePerHour).toEqual({ all: perHour!.min, replicas: 1.998 });
        expect(notPriced).toEqual([]);
    });

    it("goes by GPUs, and is nothing for a model that is stopped", () => {
        expect(costBy(ministral({ gpus: 2 })).items[0].pricePerHour).toBe(3.996);
        expect(costBy(ministral({ desiredState: "STOPPED" })).items[0]).toMatchObject({
            pricePerHour: 1.998,
            perHour: { min: 0, max: 0 },
        });
    });

    it("goes by the range of nodes, the plan, and how Grafana is reached", () => {
        const cluster = { nodePool: { autoscale: { min: 2, max: 5 } }, plan: "standard", region: "AP-SOUTH-MUM" };
        const lines = items({ cluster, ...internal });
        expect(lines.slice(1, 3)).toEqual([
            ["cluster, plan standard", 1, 1],
            ["node b2-15", 2, 5],
        ]);
        expect(lines.map(([what]) => what)).not.toContain("load balancer S");
        const inside = { network: "private", private: { vlanId: 100 } };
        expect(items({ cluster: inside, ...internal }).map(([what]) => what)).toContain("gateway S");
    });

    it("has one floating IP for each load balancer, kept or not", () => {
        const kept = { monitoring: { grafana: { ...toSet.monitoring.grafana, keepAddress: true } } };
        expect(items(kept)).toEqual(items({}));
    });

    it("counts a volume in GiB, whatever it is written in", () => {
        const sized = (prometheus: string) =>
            costBy({ monitoring: { ...toSet.monitoring, storage: { prometheus } } }).items[2].pricePerHour;
        expect(sized("1Ti")).toBe(sized("1024Gi"));
        expect(sized("2048Mi")).toBe(sized("2Gi"));
    });
});

describe("a price that is not found", () => {
    const without = emulated({ without: /^gateway|h100/ });
    const cost = costBy({}, without);

    it("is named, never zero", () => {
        expect(cost.notPriced).toEqual([
            "ministral, replica of 1 x h100-1-gpu (ai-app.h100-1-gpu.minute.consumption in GRA)",
            "gateway S (gateway.gateway-s.hour.consumption in GRA11)",
        ]);
        expect(cost.items[0]).not.toHaveProperty("perHour");
        expect(replicaPrice(cost, "ministral")).toBeUndefined();
        expect(costLine(cost, without)).toMatch(/^cost: at least 0\.42 EUR an hour, .*no price found of ministral/);
    });

    it("is told of a limit, which is held to the others all the same", () => {
        expect(limitFaults(cost, { eurosPerHour: 0.4 })).toHaveLength(1);
        expect(limitFaults(cost, { eurosPerHour: 5 })).toEqual([]);
        expect(limitWarnings(cost, { eurosPerHour: 5 })).toEqual([
            `limits.eurosPerHour is not held to ${cost.notPriced.join(", ")}: no price found`,
        ]);
    });

    it("at all leaves no sum", () => {
        const nothing = costBy({}, emulated({ without: /./ }));
        expect(nothing).not.toHaveProperty("perHour");
        expect(costLine(nothing, { source: "", remarks: ["why"] })).toMatch(
            /^cost: not known; no price found of .*; why$/,
        );
        expect(limitFaults(nothing, { eurosPerHour: 1 })).toEqual([]);
        expect(limitWarnings(nothing, { eurosPerHour: 1 })).toEqual([
            "limits.eurosPerHour is not checked: no price is known",
        ]);
    });

    it("of a replica is told of the limit that is acted on, with the command that gives it", () => {
        const limits: LimitsSettings = { eurosPerMonth: 4000, action: "stop" };
        const [, told] = limitWarnings(costBy({}, emulated({ without: /./ })), limits);
        expect(told).toMatch(
            /^limits\.action: while a replica of ministral has no price \(\S+\), nobody knows .*: pulumi config set --path prices\.file prices\.yaml$/,
        );
        // What else has none is in no sum of the controller's.
        const nodes = costBy({}, emulated({ without: /^b2-15/ }));
        expect(limitWarnings(nodes, limits).filter((line) => line.startsWith("limits.action"))).toEqual([]);
    });
});

it.each([
    [1234.5, "1,235"],
    [12.345, "12.35"],
    [0, "0.00"],
    [0.00444, "0.0044"],
])("%d is written %s", (amount, text) => {
    expect(money(amount)).toBe(text);
});

describe("the line of preview and up", () => {
    it("says both ends, an hour and a month, and what is billed idle", () => {
        const prices = emulated();
        expect(costLine(costBy({}, prices), prices)).toBe(
            "cost: 2.42 to 6.41 EUR an hour, 1,765 to 4,682 EUR a month, from the fewest to the most replicas, without tax; " +
                "with no request at all 2.42 an hour, 2.00 of it for replicas; " +
                "prices: OVHcloud's public list (FR) of 2026-11-26",
        );
    });

    it("names one amount where there is one", () => {
        expect(costLine(costBy(ministral({ replicas: { min: 2, max: 2 } })), emulated())).toMatch(
            /^cost: 4\.42 EUR an hour, 3,223 EUR a month, without tax;/,
        );
    });
});

describe("limits", () => {
    const two = { models: { ministral: { replicas: { max: 4 } }, qwen: { model: "Qwen/Qwen3-8B" } } };
    const refused = (config: Config, limits: LimitsSettings) => limitFaults(costBy(config), limits);
    const commands = (fix: string) =>
        [...fix.matchAll(/pulumi config set --path [\w.-]+ [\d.]*\d/g)].map(([line]) => line);
    const after = (config: Config, lines: string[]) =>
        lines.reduce<Config>((before, line) => configSet(before, line), { ...toSet, ...config });

    it("that hold everything are no fault", () => {
        expect(refused({}, {})).toEqual([]);
        expect(refused({}, { eurosPerHour: 6.5, eurosPerMonth: 4700 })).toEqual([]);
    });

    it.each<[string, Config, LimitsSettings]>([
        ["an hour, by one model", {}, { eurosPerHour: 5 }],
        ["a month, by one model", {}, { eurosPerMonth: 4000 }],
        ["an hour, by two models", two, { eurosPerHour: 5 }],
    ])("%s: what pushes over, and two ways that work as pasted", (_, config, limits) => {
        const [{ key, fix }] = refused(config, limits);
        expect(fix).toMatch(/^the stack can cost [\d.,]+ \(\d x ministral, replica of 1 x h100-1-gpu: /);
        const all = commands(fix);
        const fewer = all.filter((line) => line.includes("replicas.max"));
        expect(fewer.length).toBeGreaterThan(0);
        expect(limitFaults(costBy(after(config, fewer)), limits)).toEqual([]);
        const raised = parse(
            after(
                config,
                all.filter((line) => line.includes(key)),
            ),
        ).limits;
        expect(limitFaults(costBy(config), { ...limits, ...raised })).toEqual([]);
    });

    it("take no more replicas away than needed", () => {
        expect(refused({}, { eurosPerHour: 5 })[0].fix).toContain("models.ministral.replicas.max 2");
    });

    it("that the fewest replicas exceed can only be raised", () => {
        const [{ key, found, fix }] = refused({}, { eurosPerHour: 1 });
        expect([key, found]).toEqual(["limits.eurosPerHour", "1"]);
        expect(commands(fix)).toEqual(["pulumi config set --path limits.eurosPerHour 6.42"]);
    });

    it("each by itself", () => {
        expect(refused({}, { eurosPerHour: 1, eurosPerMonth: 1 }).map(({ key }) => key)).toEqual([
            "limits.eurosPerHour",
            "limits.eurosPerMonth",
        ]);
    });

    it("in euros are refused beside prices in another currency, which is no price of the dashboards either", () => {
        const dollars = costBy({}, emulated({ subsidiary: "US" }));
        expect(limitFaults(dollars, { eurosPerHour: 1000 })[0].fix).toMatch(
            /the prices are in USD.*pulumi config rm --path limits\.eurosPerHour/,
        );
        expect([replicaPrice(dollars, "ministral"), fixedPrice(dollars)]).toEqual([undefined, undefined]);
    });

    it("in the stack config have to be amounts", () => {
        expect(() => parse({ limits: { eurosPerHour: 0 } })).toThrow(/limits\.eurosPerHour: 0; give more than 0/);
        expect(() => parse({ limits: { eurosPerDay: 5 } })).toThrow(/limits\.eurosPerDay: no such setting/);
        expect(() => parse({ prices: { subsidiary: "XX" } })).toThrow(/prices\.subsidiary: "XX"; give one of "FR"/);
    });
});
