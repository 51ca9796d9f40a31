import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startTestCloud, type TestCloud } from "./cloud";
import { InitFailed, startProvider, type Bag, type ProviderProcess } from "./provider-process";
import { Stack } from "./stack";

let cloud: TestCloud;
let provider: ProviderProcess;

beforeAll(async () => {
    cloud = await startTestCloud();
    provider = await startProvider(cloud.env);
});
afterAll(async () => {
    await provider.close();
    await cloud.close();
});
beforeEach(async () => {
    cloud.api.faults.clear();
    cloud.script({});
    for (const { id } of cloud.api.apps()) await cloud.api.deleteApp(id);
});

let labels = 0;

export function appInputs(changes: Bag = {}): Bag {
    return {
        name: "test-app",
        region: "GRA",
        image: "vllm/vllm-openai:v0.13.0",
        resources: { flavor: "h100-1-gpu", gpu: 1 },
        command: ["bash", "-c", "vllm serve some/model"],
        defaultHttpPort: 8000,
        labels: { group: "test" },
        envVars: { HF_TOKEN: "hf_canary_of_the_tests", HF_HOME: "/hub" },
        volumes: [{ mountPath: "/hub", permission: "RW", volumeSource: { standalone: {} } }],
        readinessProbe: { path: "/v1/models", port: 8000 },
        adoptionLabel: `label-${labels}`,
        ...changes,
    };
}

/** Writes that the API has seen since the mark, without the project. */
function writesSince(mark: number): string[] {
    return cloud.api
        .requests()
        .slice(mark)
        .filter(({ method }) => method !== "GET")
        .map(({ method, path }) => `${method} ${path.replace(/.*\/cloud\/project\/[^/]+/, "")}`);
}

const mark = (): number => cloud.api.requests().length;

describe("an app through its life", () => {
    beforeEach(() => void labels++);

    it("up brings it up", async () => {
        const stack = new Stack(provider);
        await stack.up(appInputs());
        const [app] = cloud.api.apps();
        expect(app.state).toBe("RUNNING");
        expect(stack.resource?.outputs).toMatchObject({ appId: app.id, url: app.url, state: "RUNNING" });
        expect(await stack.preview(appInputs())).toBe("same");
        await stack.destroy();
        expect(cloud.api.apps()).toEqual([]);
        expect(cloud.api.violations()).toEqual([]);
    });

    it("an init error", async () => {
        const stack = new Stack(provider);
        cloud.script({ lines: ["401 Client Error: gated repo"], exitCode: 1 });
        await expect(stack.up(appInputs())).rejects.toBeInstanceOf(InitFailed);
        expect(writesSince(mark())).toEqual([]);
    });
});
