import { describe, expect, it } from "vitest";
import { checkApp } from "../../../packages/ai-deploy/src/app/check";
import type { AppInputs } from "../../../packages/ai-deploy/src/app/args";
import type { Flavor, Offer } from "../../../packages/ai-deploy/src/api/offer";
import { check as checkDataSync } from "../../../packages/ai-deploy/src/data-sync/lifecycle";
import { check as checkToken } from "../../../packages/ai-deploy/src/token/check";
import { unknownValue } from "../../../packages/ai-deploy/src/values/unknown";
import { stub } from "../../../packages/ai-deploy/src/resources";
import { appInputs, autoscaling } from "./inputs";
import { startProvider } from "../provider-process";

const flavor = (id: string, type: "cpu" | "gpu", max: number): Flavor => ({
    id,
    type,
    max,
    description: id,
    default: false,
    resourcesPerUnit: { cpu: 1, memory: 1, ephemeralStorage: 1, publicNetwork: 1, privateNetwork: 0 },
});
const offer: Offer = {
    regions: ["GRA", "BHS"],
    flavors: [flavor("h100-1-gpu", "gpu", 4), flavor("ai1-1-cpu", "cpu", 12)],
};

function failures(changes: Record<string, unknown>, known: Offer = offer): string[] {
    const inputs = { serviceName: "project", ...appInputs(changes) } as unknown as AppInputs;
    return checkApp(inputs, known).map(({ property, reason }) => `${property} ${reason}`);
}

const automatic = (changes: object): Record<string, unknown> => ({ scalingStrategy: autoscaling(changes) });

describe("check of an app", () => {
    it("accepts what the guide deploys", () => {
        expect(failures({})).toEqual([]);
        expect(failures(automatic({ scaleUpStabilizationWindowSeconds: 0 }))).toEqual([]);
    });

    it.each<[string, Record<string, unknown>, RegExp]>([
        ["a name with a space", { name: "my app" }, /^name "my app" cannot be a name/],
        ["an empty image", { image: "" }, /^image is required/],
        ["no project", { serviceName: undefined }, /^serviceName is not set/],
        [
            "an unknown region, with those there are",
            { region: "XXX" },
            /^region "XXX" has no AI Deploy: there are GRA, BHS/,
        ],
        [
            "an unknown flavor, with those there are",
            { resources: { flavor: "a100-1-gpu", gpu: 1 } },
            /^resources.flavor "a100-1-gpu" does not exist in GRA: there are h100-1-gpu, ai1-1-cpu/,
        ],
        [
            "more GPUs than the flavor has",
            { resources: { flavor: "h100-1-gpu", gpu: 5 } },
            /^resources.gpu is 5: .*at most 4/,
        ],
        [
            "more units than the flavor has",
            { resources: { flavor: "h100-1-gpu", flavorCount: 9 } },
            /flavorCount is 9: .*at most 4/,
        ],
        [
            "GPUs of a CPU flavor",
            { resources: { flavor: "ai1-1-cpu", gpu: 1 } },
            /^resources.gpu does not fit ai1-1-cpu/,
        ],
        ["half a GPU", { resources: { flavor: "h100-1-gpu", gpu: 0.5 } }, /^resources.gpu is 0.5/],
        ["two counts", { resources: { flavor: "h100-1-gpu", gpu: 1, flavorCount: 1 } }, /exclude each other/],
        [
            "both scaling kinds",
            {
                scalingStrategy: {
                    fixed: { replicas: 1 },
                    automatic: { replicasMin: 1, replicasMax: 1, resourceType: "CPU" },
                },
            },
            /^scalingStrategy fixed and automatic exclude/,
        ],
        ["neither scaling kind", { scalingStrategy: {} }, /^scalingStrategy give fixed or automatic/],
        [
            "11 fixed replicas",
            { scalingStrategy: { fixed: { replicas: 11 } } },
            /replicas is 11: the platform allows 1 to 10/,
        ],
        ["min above max", automatic({ replicasMin: 4 }), /replicasMin 4 is above replicasMax 3/],
        ["a target of 0", automatic({ customMetrics: { targetValue: 0 } }), /targetValue is 0: give a number above 0/],
        ["a negative target", automatic({ customMetrics: { targetValue: -1 } }), /targetValue is -1/],
        [
            "a window too long",
            automatic({ scaleDownStabilizationWindowSeconds: 3601 }),
            /Seconds is 3601: give whole seconds from 0 to 3600/,
        ],
        ["a negative window", automatic({ scaleUpStabilizationWindowSeconds: -1 }), /Seconds is -1/],
        ["a cooldown that never counts", automatic({ cooldownPeriodSeconds: 60 }), /only counts with replicasMin 0/],
        [
            "a percentage above 100",
            automatic({ customMetrics: undefined, resourceType: "CPU", averageUsageTarget: 120 }),
            /averageUsageTarget is 120/,
        ],
        ["nothing to scale on", automatic({ customMetrics: undefined }), /give customMetrics, or resourceType/],
        ["liveness that needs two successes", { livenessProbe: { successThreshold: 2 } }, /must be 1 for liveness/],
        ["a probe path without slash", { readinessProbe: { path: "health" } }, /^readinessProbe.path is "health"/],
        ["a probe period of 0", { readinessProbe: { periodSeconds: 0 } }, /^readinessProbe.periodSeconds is 0/],
        [
            "the same mount twice",
            {
                volumes: [
                    { mountPath: "/hub", permission: "RW" },
                    { mountPath: "/hub/", permission: "RO" },
                ],
            },
            /^volumes\[1\].mountPath \/hub is mounted twice/,
        ],
        [
            "a mount that is no path",
            { volumes: [{ mountPath: "hub", permission: "RW" }] },
            /^volumes\[0\].mountPath is "hub"/,
        ],
        [
            "a permission that does not exist",
            { volumes: [{ mountPath: "/hub", permission: "WO" }] },
            /permission is "WO"/,
        ],
        [
            "two sources",
            {
                volumes: [
                    { mountPath: "/a", permission: "RO", volumeSource: { standalone: {}, publicGit: { url: "u" } } },
                ],
            },
            /give one source/,
        ],
        [
            "a cache of a git volume",
            {
                volumes: [
                    { mountPath: "/a", permission: "RO", cache: true, volumeSource: { publicGit: { url: "u" } } },
                ],
            },
            /cache does not work with publicGit/,
        ],
        [
            "a label of the platform",
            { labels: { "ovh/type": "app" } },
            /^labels.ovh\/type labels that begin with ovh\//,
        ],
        [
            "our own label",
            { labels: { "pulumi-adoption-id": "x" } },
            /^labels.pulumi-adoption-id is set from adoptionLabel/,
        ],
        ["a variable that is no name", { envVars: { "1A": "x" } }, /^envVars.1A is no name/],
        ["an empty variable", { envVars: { A: "" } }, /^envVars.A is empty/],
        ["a port out of range", { defaultHttpPort: 70000 }, /^defaultHttpPort is 70000/],
        ["one port for both protocols", { grpcPort: 8000 }, /^grpcPort is 8000, which defaultHttpPort is too/],
        ["a command in one word", { command: ["vllm serve model"] }, /is one word, so a program of that name/],
        ["a shell without script", { command: ["bash", "-c"] }, /needs the script/],
        [
            "a shell that drops words",
            { command: ["bash", "-c", "vllm", "serve"] },
            /runs only "vllm", the texts after it are lost/,
        ],
        ["a roll-out that cannot move", { deploymentStrategy: { maxSurge: "0", maxUnavailable: "0%" } }, /both 0/],
        ["a share that is none", { deploymentStrategy: { maxSurge: "some" } }, /maxSurge is "some"/],
        ["a state that cannot be wanted", { desiredState: "PAUSED" }, /^desiredState is "PAUSED"/],
        ["a label value that is none", { adoptionLabel: "a b" }, /^adoptionLabel "a b" cannot/],
    ])("refuses %s", (_what, changes, expected) => {
        expect(failures(changes).join("\n")).toMatch(expected);
    });

    it("tells everything at once, by property", () => {
        const all = failures({ name: "", region: "XXX", defaultHttpPort: 0, envVars: { "a-b": "x" } });
        expect(all.map((line) => line.split(" ")[0])).toEqual(["name", "region", "defaultHttpPort", "envVars.a-b"]);
    });

    it("accepts every shell script that takes its words", () => {
        expect(failures({ command: ["bash", "-c", 'exec "$@"', "bash", "vllm"] })).toEqual([]);
    });

    it("says nothing of the platform's offer when that is not known", () => {
        expect(failures({ region: "XXX", resources: { flavor: "any", gpu: 99 } }, {})).toEqual([]);
    });

    const properties = Object.keys(appInputs()).concat(
        ["livenessProbe", "scalingStrategy", "deploymentStrategy", "grpcPort", "unsecureHttp", "timeouts"],
        ["desiredState", "adopt", "partnerId"],
    );
    it.each(properties)("passes %s when it is unknown in preview", (property) => {
        expect(failures({ [property]: unknownValue })).toEqual([]);
    });

    it("passes unknown values inside", () => {
        expect(
            failures({
                resources: { flavor: unknownValue, gpu: unknownValue },
                envVars: { A: unknownValue },
                labels: { a: unknownValue },
                volumes: [unknownValue],
                readinessProbe: { path: unknownValue, port: unknownValue, periodSeconds: unknownValue },
                ...automatic({ replicasMin: unknownValue, customMetrics: unknownValue }),
            }),
        ).toEqual([]);
    });
});

describe("check of the others", () => {
    it("a token: role, selector, region", () => {
        const inputs = { serviceName: "p", name: "t", region: "XXX", role: "admin", labelSelector: "group" };
        const found = checkToken(inputs as never, ["GRA"]).map(({ property }) => property);
        expect(found).toEqual(["region", "role", "labelSelector"]);
    });

    it("a data sync: app and direction", () => {
        expect(checkDataSync({ appId: "", direction: "up" } as never).map(({ property }) => property)).toEqual([
            "serviceName",
            "appId",
            "direction",
        ]);
    });
});

it("a fault within an input reaches the engine without a property, to which it would add a value or <nil>", async () => {
    const provider = await startProvider({ OVH_CLOUD_PROJECT_SERVICE: "p" });
    try {
        const inputs = appInputs({ resources: { flavor: "h100-1-gpu", gpu: 0 } });
        expect((await provider.check({}, { ...inputs, __provider: stub("app") })).failures).toEqual([
            { property: "", reason: "resources.gpu is 0: give a whole number from 1" },
        ]);
    } finally {
        await provider.close();
    }
});
