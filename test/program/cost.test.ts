import * as pulumi from "@pulumi/pulumi";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Cost } from "../../src/prices/cost";
import { recordedMetrics } from "../../src/monitoring/metrics";
import type { RuleGroup } from "../../src/monitoring/rules";
import { costBy, emulated } from "../prices/world";
import { deploy, type Deployment } from "./deploy";

const config = {
    projectId: "0123456789abcdef0123456789abcdef",
    huggingFaceToken: "hf_test",
    monitoring: { grafana: { allowedSources: ["198.51.100.7/32"] } },
};

const said = { info: [] as string[], warn: [] as string[] };
beforeEach(() => {
    for (const level of ["info", "warn"] as const) {
        said[level] = [];
        vi.spyOn(pulumi.log, level).mockImplementation(async (line) => void said[level].push(line));
    }
});
afterEach(() => void vi.restoreAllMocks());

const rules = (stack: Deployment, name: string) =>
    (stack.resources.find((one) => one.name === name)?.inputs.spec as { groups: RuleGroup[] } | undefined)?.groups[0]
        .rules;
const priceRules = (stack: Deployment) =>
    rules(stack, "ministral-rules")!.filter(
        (rule) => "record" in rule && rule.record === recordedMetrics.replicaPrice.name,
    );

describe.each([{ preview: true }, { preview: false }])("with preview $preview", ({ preview }) => {
    it("the cost is one line, an output, and the price of the dashboards", async () => {
        const stack = await deploy({ stack: "dev", config, preview });
        const { value, secret } = await stack.output("cost");
        expect(value).toEqual(costBy({}));
        expect(secret).toBe(false);
        expect(said.info.filter((line) => line.startsWith("cost: "))).toEqual([
            expect.stringMatching(/^cost: 2\.42 to 6\.41 EUR an hour, .* with no request at all 2\.42 an hour/),
        ]);
        expect(priceRules(stack)).toMatchObject([{ expr: "vector(1.998)", labels: { model: "ministral" } }]);
        expect(rules(stack, "monitoring-spend-rules")).toBeUndefined();
    });

    it("without any price nothing fails, and no zero is told", async () => {
        const prices = { ...emulated({ without: /./ }), currency: undefined, source: "", remarks: ["no list"] };
        const stack = await deploy({
            stack: "dev",
            config: { ...config, limits: { eurosPerHour: 5 } },
            preview,
            prices,
        });
        expect(said.info.filter((line) => line.startsWith("cost: "))).toEqual([
            expect.stringMatching(/^cost: not known; .*; no list$/),
        ]);
        expect(said.warn).toContain("limits.eurosPerHour is not checked: no price is known");
        expect(priceRules(stack)).toEqual([]);
        expect(((await stack.output("cost")).value as Cost).perHour).toBeUndefined();
    });

    it("a limit of a month is watched, what is no replica included", async () => {
        const stack = await deploy({ stack: "dev", config: { ...config, limits: { eurosPerMonth: 5000 } }, preview });
        expect(rules(stack, "monitoring-spend-rules")).toMatchObject([
            { alert: "SpendAbovePace", expr: expect.stringMatching(/\+ 0\.419136\) > 5000$/) },
        ]);
    });

    it("a limit of a month that is acted on is one of what is spent: what could be is not refused", async () => {
        const limits = { eurosPerMonth: 100, action: "stop" };
        const stack = await deploy({ stack: "dev", config: { ...config, limits }, preview });
        expect(stack.resources.some(({ name }) => name === "monitoring-spend-rules")).toBe(true);
    });

    it("a model's week is told with its price", async () => {
        const schedule = [{ days: "mon-fri", from: "08:00", to: "18:00", timeZone: "Europe/Paris", min: 2, max: 4 }];
        const models = { ministral: { schedule } };
        const { value } = await (await deploy({ stack: "dev", config: { ...config, models }, preview })).output("cost");
        const [replica] = (value as Cost).items;
        expect(replica.count).toEqual({ min: 1, max: 4 });
        expect(said.info.join("\n")).toMatch(
            /models\.ministral\.schedule, a week:\n[^]* replica-hours, \d+ to \d+ euros/,
        );
    });

    it("a limit that is too low refuses, before the first resource", async () => {
        const limits = { eurosPerHour: 5 };
        const refused = await deploy({ stack: "dev", config: { ...config, limits }, preview }).catch(
            (error: unknown) => error,
        );
        expect(refused).toBeInstanceOf(pulumi.RunError);
        expect((refused as Error).message).toMatch(
            /has 1 fault, so nothing was changed:\n {2}ovhcloud-llm-serving:limits\.eurosPerHour: 5; the stack can cost 6\.41 .*replicas\.max 2/,
        );
        expect((refused as Deployment).resources).toEqual([]);
    });
});
