import { describe, expect, it } from "vitest";
import { probeJob, relayedJob, relayJob, scrapeJob } from "../../src/monitoring/scrape-jobs";

const rest = { model: "ministral", labels: { service: "vllm" }, interval: "15s", timeout: "10s" };

describe("scrapeJob", () => {
    it.each([
        ["https://app-id.app.gra.ai.cloud.ovh.net", "HTTPS", "app-id.app.gra.ai.cloud.ovh.net"],
        ["https://app-id.app.gra.ai.cloud.ovh.net/", "HTTPS", "app-id.app.gra.ai.cloud.ovh.net"],
        ["https://127.0.0.1:34567", "HTTPS", "127.0.0.1:34567"],
        ["http://relay:9400/any/path", "HTTP", "relay:9400"],
    ])("%s", (url, scheme, target) => {
        const job = scrapeJob({ ...rest, url });
        expect(job).toMatchObject({ scheme, metricsPath: "/metrics", staticConfigs: [{ targets: [target] }] });
        // Certificates are verified as long as nothing says otherwise.
        expect(JSON.stringify(job)).not.toMatch(/insecure|tlsConfig|bearer/);
    });

    it.each(["", "app-id.app.gra.ai.cloud.ovh.net", "ftp://x"])("refuses the address %j", (url) => {
        expect(() => scrapeJob({ ...rest, url })).toThrow(/model ministral: the platform gave/);
    });
});

it.each([
    ["ministral", "vllm-auth-token"],
    ["qwen", "vllm-auth-token-qwen"],
])("%s is scraped with the token of its own Secret, %s", (model, name) => {
    expect(scrapeJob({ ...rest, model, url: "https://app.example.net" }).authorization).toEqual({
        type: "Bearer",
        credentials: { name, key: "token" },
    });
});

describe("a model behind the relay", () => {
    const args = { ...rest, url: "https://app.example.net" };

    it("is scraped at the relay, without the token, as the app that it is", () => {
        expect(relayedJob(args, "vllm-relay-ministral.monitoring.svc:9400")).toEqual({
            jobName: "vllm-ministral",
            scheme: "HTTP",
            metricsPath: "/replicas",
            scrapeInterval: "15s",
            scrapeTimeout: "10s",
            trackTimestampsStaleness: true,
            staticConfigs: [
                {
                    targets: ["vllm-relay-ministral.monitoring.svc:9400"],
                    labels: { service: "vllm", instance: "app.example.net" },
                },
            ],
        });
    });

    it("is probed at its public address, of which nothing is kept: no sum counts a replica twice", () => {
        const { metricRelabelings, jobName, ...job } = probeJob(args);
        const { jobName: _, ...direct } = scrapeJob(args);
        expect(job).toEqual(direct);
        expect(jobName).toBe("vllm-ministral-direct");
        expect(metricRelabelings).toEqual([{ sourceLabels: ["__name__"], regex: ".+", action: "drop" }]);
    });

    it("has a relay that says for which model it speaks, whatever the labels of the model's own series", () => {
        expect(relayJob({ ...args }, "vllm-relay-ministral.monitoring.svc:9400")).toMatchObject({
            jobName: "replica-relay",
            metricsPath: "/metrics",
            staticConfigs: [{ labels: { service: "vllm-relay", model: "ministral" } }],
        });
    });
});
