import { describe, expect, it } from "vitest";
import { appArgs, platformMonitoringUrl, scalingStrategy, tokenArgs } from "../../src/inference/app-args";
import { parseSettings, type ModelSettings } from "../../src/settings";

function model(settings: Record<string, unknown>): ModelSettings {
    const values = {
        projectId: "p",
        huggingFaceToken: "t",
        models: JSON.stringify({ ministral: settings }),
        monitoring: '{"grafana":{"access":"internal"}}',
    };
    return parseSettings({ values, secretKeys: new Set(["huggingFaceToken"]) }, "test", []).models.ministral;
}
const context = { name: "ministral", projectId: "p", huggingFaceToken: "t", adoptionLabel: "label" };

describe("appArgs", () => {
    it("lets probes, address and metric follow the port", () => {
        const args = appArgs(model({ port: 8080 }), context);
        expect(args).toMatchObject({
            defaultHttpPort: 8080,
            livenessProbe: { port: 8080 },
            readinessProbe: { port: 8080 },
            scalingStrategy: { automatic: { customMetrics: { apiUrl: "http://<SELF>:8080/metrics" } } },
        });
    });

    it("keeps a probe's own port", () => {
        expect(appArgs(model({ probes: { liveness: { port: 9000 } } }), context).livenessProbe).toMatchObject({
            port: 9000,
            path: "/health",
            initialDelaySeconds: 300,
        });
    });

    it("mounts named volumes and object storage", () => {
        const volumes = [
            { path: "/hub", permission: "RWD", name: "weights" },
            { path: "/data", permission: "RO", dataStore: { alias: "GRA", container: "prompts", prefix: "v1/" } },
        ];
        expect(appArgs(model({ volumes }), context).volumes).toEqual([
            { mountPath: "/hub", permission: "RWD", volumeSource: { standalone: { name: "weights" } } },
            {
                mountPath: "/data",
                permission: "RO",
                volumeSource: { dataStore: { alias: "GRA", container: "prompts", prefix: "v1/" } },
            },
        ]);
    });

    it("mounts the model's files, serves them under the model's name, and lets the platform keep them", () => {
        const args = appArgs(model({ drain: false, weights: { dataStore: "GRA", container: "w" } }), context);
        expect((args.volumes as object[]).at(-1)).toEqual({
            mountPath: "/weights",
            permission: "RO",
            cache: true,
            volumeSource: { dataStore: { alias: "GRA", container: "w" } },
        });
        const [, , line] = args.command as string[];
        expect(line).toMatch(/ --model \/weights .*--served-model-name mistralai\/Ministral-3-14B-Instruct-2512$/);
        const named = model({
            drain: false,
            weights: { dataStore: "GRA", container: "w" },
            vllm: { servedModelName: "chat" },
        });
        expect((appArgs(named, context).command as string[])[2]).toMatch(/--served-model-name chat$/);
    });

    it("asks for the grace period in any case, since taking it away would replace the app", () => {
        const grace = (settings: object) => appArgs(model({ ...settings }), context).deploymentStrategy;
        expect(grace({})).toEqual({ terminationGracePeriodSeconds: 120 });
        expect(grace({ drain: false })).toEqual({ terminationGracePeriodSeconds: 30 });
        expect(grace({ deploymentStrategy: { maxSurge: 1, terminationGracePeriodSeconds: 60 } })).toEqual({
            maxSurge: "1",
            terminationGracePeriodSeconds: 60,
        });
    });

    it("hands on what the model says of its life", () => {
        const adopt = "00000000-0000-4000-8000-000000000001";
        const timeouts = { createSeconds: 3600, updateSeconds: 900, deleteSeconds: 300 };
        const life = { timeouts, adopt, desiredState: "STOPPED", deploymentStrategy: { maxSurge: "25%" } };
        expect(appArgs(model(life), context)).toMatchObject({ ...life, waitUntilRunning: false });
    });

    it("names every property by a setting that there is", () => {
        const given = { deploymentStrategy: { maxSurge: "1" }, adopt: "00000000-0000-4000-8000-000000000001" };
        const known = model({ ...given, vllm: { maxModelLen: 1, gpuMemoryUtilization: 0.9 } });
        const named = Object.values(appArgs(known, context).settingNames as Record<string, string>);
        for (const key of named.filter((name) => !["projectId", "huggingFaceToken"].includes(name))) {
            const [models, name, ...path] = key.split(".");
            expect([models, name]).toEqual(["models", "ministral"]);
            const value = path.reduce<unknown>((part, step) => (part as Record<string, unknown>)[step], known);
            expect(value, key).toBeDefined();
        }
    });

    it("takes the label of the resource, never the open door", () => {
        expect(appArgs(model({}), context)).toMatchObject({ adoptionLabel: "label", unsecureHttp: false });
    });
});

it("every parameter of the autoscaling can be set", () => {
    const scaling = {
        metric: "vllm:num_requests_waiting",
        target: 5,
        aggregation: "MAX",
        scaleUpStabilizationSeconds: 30,
        scaleDownStabilizationSeconds: 600,
    };
    expect(scalingStrategy(model({ replicas: { min: 2, max: 8 }, scaling }))).toEqual({
        automatic: {
            replicasMin: 2,
            replicasMax: 8,
            customMetrics: {
                apiUrl: "http://<SELF>:8000/metrics",
                format: "PROMETHEUS",
                valueLocation: "vllm:num_requests_waiting",
                targetValue: 5,
                aggregationType: "MAX",
            },
            scaleUpStabilizationWindowSeconds: 30,
            scaleDownStabilizationWindowSeconds: 600,
        },
    });
});

describe("tokenArgs", () => {
    it("binds each token to the app's label, and turns each by itself", () => {
        const settings = model({
            labels: { team: "search" },
            tokens: { label: "team", scrapeRotation: 2, clientRotation: "2026-11", overlapSeconds: 60 },
        });
        expect(tokenArgs(settings, "scrape", context)).toEqual({
            serviceName: "p",
            name: "vllm-ministral-14B-autoscaling-custom-metric-scrape",
            region: "GRA",
            role: "ai_training_read",
            labelSelector: "team=search",
            rotation: "2",
            overlapSeconds: 60,
            app: { adoptionLabel: "label" },
            settingNames: { labels: "models.ministral.labels", adopt: "models.ministral.adopt" },
        });
        expect(tokenArgs(settings, "client", context)).toMatchObject({
            rotation: "2026-11",
            labelSelector: "team=search",
        });
    });
});

it("the platform's dashboard is named by region in lower case", () => {
    expect(platformMonitoringUrl("BHS", "abc")).toBe(
        "https://monitoring.bhs.ai.cloud.ovh.net/d/app/app-monitoring?var-app=abc&orgId=1",
    );
});
