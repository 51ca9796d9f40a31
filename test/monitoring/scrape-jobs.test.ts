import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { probeJob, relayedJob, scrapeJob, tokenKey } from "../../src/monitoring/scrape-jobs";

const rest = { model: "ministral", labels: { service: "vllm" }, interval: "15s", timeout: "10s" };

describe("scrapeJob", () => {
    it.each([
        ["https://app-id.app.gra.ai.cloud.ovh.net", "https", "app-id.app.gra.ai.cloud.ovh.net"],
        ["https://app-id.app.gra.ai.cloud.ovh.net/", "https", "app-id.app.gra.ai.cloud.ovh.net"],
        ["https://127.0.0.1:34567", "https", "127.0.0.1:34567"],
        ["http://relay:9400/any/path", "http", "relay:9400"],
    ])("%s", (url, scheme, target) => {
        const job = scrapeJob({ ...rest, url });
        expect(job).toMatchObject({ scheme, metrics_path: "/metrics", static_configs: [{ targets: [target] }] });
        // Certificates are verified as long as nothing says otherwise.
        expect(JSON.stringify(job)).not.toMatch(/insecure|tls_config|bearer_token/);
    });

    it.each(["", "app-id.app.gra.ai.cloud.ovh.net", "ftp://x"])("refuses the address %j", (url) => {
        expect(() => scrapeJob({ ...rest, url })).toThrow(/model ministral: the platform gave/);
    });
});

it("no two models share a key of the Secret, whichever others there are", () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/).filter((text) => text !== "token");
    fc.assert(
        fc.property(fc.uniqueArray(fc.oneof(name, fc.constant("ministral"))), (models) => {
            expect(new Set(models.map(tokenKey)).size).toBe(models.length);
        }),
    );
});

describe("a model behind the relay", () => {
    const args = { ...rest, url: "https://app.example.net" };

    it("is scraped at the relay, without the token, as the app that it is", () => {
        expect(relayedJob(args, "vllm-relay.monitoring.svc:9400")).toEqual({
            job_name: "vllm-ministral",
            scheme: "http",
            metrics_path: "/metrics/ministral",
            scrape_interval: "15s",
            scrape_timeout: "10s",
            track_timestamps_staleness: true,
            static_configs: [
                {
                    targets: ["vllm-relay.monitoring.svc:9400"],
                    labels: { service: "vllm", instance: "app.example.net" },
                },
            ],
        });
    });

    it("is probed at its public address, of which nothing is kept: no sum counts a replica twice", () => {
        const { metric_relabel_configs, job_name, ...job } = probeJob(args);
        const { job_name: _, ...direct } = scrapeJob(args);
        expect(job).toEqual(direct);
        expect(job_name).toBe("vllm-ministral-direct");
        expect(metric_relabel_configs).toEqual([{ source_labels: ["__name__"], regex: ".+", action: "drop" }]);
    });
});
