import { describe, expect, it } from "vitest";
import { engineFamilies, httpFamilies, processFamilies, type FamilySpec } from "../../sandbox/vllm/metric-families";
import { ownMetrics as controllerOwnMetrics } from "../../src/controller/controller";
import { controllerMetrics, metricGroups, relayMetrics } from "../../src/monitoring/metrics";
import {
    conditionalMetrics,
    dashboardMetrics,
    goneMetrics,
    metricsOf,
    serverMetrics,
    vllmMetrics,
    type Metric,
} from "../../src/vllm/metrics";
import { vllmVersionOf, vllmVersions } from "../../src/vllm/versions";
import { ownMetrics } from "../../src/monitoring/relay/relay";
import { gauge, rate } from "../../src/monitoring/promql";
import { families, recordedPage } from "./metrics-page";

describe.each(vllmVersions)("the page of vLLM %s", (version) => {
    const page = families(recordedPage(version));
    const catalogue = metricsOf(version);

    it("has the metrics of the catalogue, and no other", () => {
        expect([...page.keys()].sort()).toEqual(catalogue.map(({ name }) => name).sort());
    });

    it.each(catalogue.map((metric): [string, Metric] => [metric.name, metric]))("%s", (name, metric) => {
        const { type, labels, bounds } = page.get(name)!;
        expect(type).toBe(metric.type);
        if (name === vllmMetrics.cacheConfigInfo.name) {
            // Each version has fields of its own besides.
            expect([...labels]).toEqual(expect.arrayContaining([...metric.labels]));
        } else {
            expect([...labels].sort()).toEqual([...metric.labels].sort());
        }
        const lengths = [1, 2, 5].flatMap((digit) => [0, 1, 2, 3, 4, 5].map((power) => digit * 10 ** power));
        const expected =
            metric.buckets === "upToModelLength"
                ? lengths.filter((bound) => bound <= 262144).sort((a, b) => a - b)
                : (metric.buckets ?? []);
        expect(bounds).toEqual(expected);
    });

    it("has nothing that is said to be gone", () => {
        expect(Object.keys(goneMetrics).filter((name) => page.has(name))).toEqual([]);
    });
});

describe("the catalogue", () => {
    const groups = [vllmMetrics, conditionalMetrics, serverMetrics, ...metricGroups];

    it("names nothing twice, and says of each what it means", () => {
        const all = groups.flatMap((group) => Object.values<Metric>(group));
        const names = all.map(({ name }) => name);
        expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
        for (const { name, meaning } of all) expect(meaning, name).toMatch(/^[A-Z01].{10,}\.$|^1; .*\.$/);
    });

    it("holds the ten metrics of the reference architecture", () => {
        expect([...dashboardMetrics].sort()).toEqual(
            [
                "vllm:time_to_first_token_seconds",
                "vllm:inter_token_latency_seconds",
                "vllm:e2e_request_latency_seconds",
                "vllm:request_success_total",
                "vllm:kv_cache_usage_perc",
                "vllm:num_requests_running",
                "vllm:num_requests_waiting",
                "vllm:num_preemptions_total",
                "vllm:prompt_tokens_total",
                "vllm:generation_tokens_total",
            ].sort(),
        );
    });

    it("is what the simulated vLLM exports", () => {
        const specs = [engineFamilies, processFamilies, httpFamilies].flatMap((group) =>
            Object.values<FamilySpec>(group),
        );
        const exposed = specs.map(({ name, type }) => (type === "counter" ? `${name}_total` : name));
        const always = metricsOf("0.13.0").map(({ name }) => name);
        expect(always.filter((name) => !exposed.includes(name))).toEqual([]);
        const onDemand = Object.values<Metric>(conditionalMetrics).map(({ name }) => name);
        expect(exposed.filter((name) => !always.includes(name) && !onDemand.includes(name))).toEqual([]);
    });

    it("is what the relay exports of itself", () => {
        const exported: Record<string, readonly string[]> = ownMetrics;
        for (const { name, type } of Object.values(relayMetrics)) expect(exported[name]?.[0], name).toBe(type);
        const own = Object.keys(exported).filter((name) => name.startsWith("vllm_relay_"));
        expect(own.sort()).toEqual(
            Object.values<Metric>(relayMetrics)
                .map(({ name }) => name)
                .sort(),
        );
    });

    it("is what the controller exports of itself", () => {
        const exported = Object.entries(controllerOwnMetrics).filter(([name]) => name.startsWith("vllm_controller_"));
        const known = Object.values<Metric>(controllerMetrics).map(({ name, type }) => [name, type]);
        expect(exported.map(([name, [type]]) => [name, type]).sort()).toEqual(known.sort());
    });

    it("lets no expression be written that some version or type does not allow", () => {
        // @ts-expect-error 0.13.0 does not have it
        expect(rate(vllmMetrics.promptTokensCached, {}, "5m")).toBeTruthy();
        // @ts-expect-error no such metric
        expect(() => gauge(vllmMetrics.gpuCacheUsage, {})).toThrow();
        // @ts-expect-error a gauge has no rate
        expect(rate(vllmMetrics.kvCacheUsage, {}, "5m")).toBeTruthy();
        // @ts-expect-error no such label
        expect(rate(vllmMetrics.requestSuccess, { reason: "=stop" }, "5m")).toBeTruthy();
        expect(rate(vllmMetrics.requestSuccess, { finished_reason: '=~st"op' }, "5m")).toBe(
            'rate(vllm:request_success_total{finished_reason=~"st\\"op"}[5m])',
        );
    });
});

it.each([
    ["vllm/vllm-openai:v0.13.0", "0.13.0"],
    ["vllm/vllm-openai:0.13.0", "0.13.0"],
    ["registry.example.org:5000/vllm:v0.33.0-cu129", "0.33.0"],
    ["vllm/vllm-openai:v0.14.1", undefined],
    ["vllm/vllm-openai:v0.13.01", undefined],
    ["registry.example.org:5000/team/own-image", undefined],
    [`vllm/vllm-openai@sha256:${"0".repeat(64)}`, undefined],
])("the image %s is of version %s", (image, version) => {
    expect(vllmVersionOf(image)).toBe(version);
});
