import { describe, expect, it } from "vitest";
import { appInputs } from "./inputs";
import type { TestCloud } from "../cloud";
import { startCloudAndProvider, startEachEmpty } from "../cloud-and-provider";
import { InitFailed, startProvider, type Bag, type ProviderProcess } from "../provider-process";
import { Stack } from "../stack";

let cloud: TestCloud;
let provider: ProviderProcess;

startCloudAndProvider((started) => ({ cloud, provider } = started));
const label = startEachEmpty(() => cloud);

async function failedUp(changes: Bag = {}): Promise<{ error: Error; stack: Stack }> {
    const stack = new Stack(provider);
    const error = await stack.up(appInputs({ adoptionLabel: label(), ...changes })).then(
        () => new Error("it should have failed"),
        (failed: Error) => failed,
    );
    return { error, stack };
}

describe("an app that fails says why and what to do", () => {
    it.each<[string, string[], string | undefined, RegExp]>([
        [
            "gated model",
            [
                "huggingface_hub.errors.GatedRepoError: 401 Client Error. Cannot access gated repo for url https://huggingface.co/x",
            ],
            undefined,
            /accept the model's terms with the account of HF_TOKEN/,
        ],
        [
            "no GPU memory",
            ["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"],
            undefined,
            /lower --max-model-len or --gpu-memory-utilization/,
        ],
        [
            "too little KV cache",
            [
                "ValueError: To serve at least one request with the models's max seq len (131072), 20 GiB KV cache is needed, which is larger than the available KV cache memory (3 GiB)",
            ],
            undefined,
            /lower --max-model-len/,
        ],
        [
            "a bad argument",
            ["api_server.py: error: unrecognized arguments: --max-model-length 4096"],
            undefined,
            /the log line above names the argument/,
        ],
        [
            "a probe that comes too soon",
            ["INFO loading weights took 80.12 seconds"],
            "liveness probe /health failed after 60 s",
            /raise livenessProbe.initialDelaySeconds above the model's load time/,
        ],
        ["something unknown", ["Segmentation fault"], undefined, /The log above says why/],
    ])("%s", async (_what, lines, reason, hint) => {
        cloud.script({ lines, exitCode: 1, reason });
        const { error, stack } = await failedUp();
        const [app] = cloud.api.apps();
        expect(error).toBeInstanceOf(InitFailed);
        expect(error.message).toContain(`app test-app (${app.id}) is FAILED`);
        expect(error.message).toContain(lines[0].slice(0, 40));
        expect(error.message).toMatch(hint);
        // It is known to the state, with what Pulumi needs to read and delete it.
        expect(stack.resource).toMatchObject({ id: app.id, outputs: { __provider: expect.any(String) as string } });
        await stack.destroy();
        expect(cloud.api.apps()).toEqual([]);
    });

    it("an image that cannot be pulled", async () => {
        const { error } = await failedUp({ image: "vllm/vllm-openai:" });
        expect(error.message).toMatch(/JOB_IMAGE_PULL_BACKOFF[^]*check its name and tag/);
    });

    it("a quota that is used up: refused with the platform's words, its query id, and what to do; nothing is made", async () => {
        const { error, stack } = await failedUp({
            resources: { flavor: "h100-1-gpu", gpu: 4 },
            scalingStrategy: { fixed: { replicas: 10 } },
        });
        expect(error.message).toMatch(
            /^creating app test-app: POST \/ai\/app: OVHcloud answered 409: GPU quota exceeded.*\(X-Ovh-QueryID sandbox\.[^)]+\)\n {2}The project's quota is used up/,
        );
        expect(stack.resource).toBeUndefined();
        expect(cloud.api.apps()).toEqual([]);
    });

    it("shows the last 20 lines of the log and no more", async () => {
        cloud.script({ lines: Array.from({ length: 50 }, (_, i) => `line-${i};`), exitCode: 1 });
        const { error } = await failedUp();
        expect(error.message).toContain("line-49;");
        expect(error.message).not.toContain("line-29;");
        expect(error.message.split("\n").filter((line) => line.startsWith("    "))).toHaveLength(20);
    });
});

describe("what the API refuses says what to do", () => {
    it.each<[number, RegExp]>([
        [401, /OVHcloud answered 401: .*\n {2}OVHcloud refuses these credentials/],
        [403, /OVHcloud answered 403: .*\n {2}OVHcloud refuses these credentials: they need GET, POST, PUT and DELETE/],
        [404, /OVHcloud answered 404: .*\n {2}.*check the project id/],
        [429, /OVHcloud answered 429: .*\n {2}The rate limit/],
        [503, /OVHcloud answered 503: .*\n {2}.*Nothing is lost/],
    ])("%i", async (status, expected) => {
        cloud.api.faults.add({ path: "/ai/app", kind: "status", status });
        const { error, stack } = await failedUp();
        expect(error.message).toMatch(/^creating app test-app: GET \/ai\/app/);
        expect(error.message).toMatch(expected);
        expect(error.message).toMatch(/X-Ovh-QueryID/);
        expect(stack.resource).toBeUndefined();
    });

    it("no credentials: preview works, up says what to set", async () => {
        const own = await startProvider({});
        const stack = new Stack(own);
        const args = appInputs({ serviceName: "p", adoptionLabel: "x" });
        expect(await stack.preview(args)).toBe("create");
        await expect(stack.up(args)).rejects.toThrow(/OVHcloud endpoint is not set: set OVH_ENDPOINT/);
        await own.close();
    });

    it("a region or flavor that does not exist is refused in preview, with those there are", async () => {
        const stack = new Stack(provider);
        const args = appInputs({ adoptionLabel: "x", region: "GRA", resources: { flavor: "h200-1-gpu", gpu: 1 } });
        await expect(stack.preview(args)).rejects.toThrow(
            /resources.flavor "h200-1-gpu" does not exist in GRA: there are ai1-1-cpu, l4-1-gpu, l40s-1-gpu, h100-1-gpu/,
        );
    });

    it("the offer is asked for once per process, and an outage is no failure", async () => {
        const own = await startProvider(cloud.env);
        const stack = new Stack(own);
        const since = cloud.mark();
        for (let i = 0; i < 3; i++) await stack.preview(appInputs({ adoptionLabel: "x" }));
        expect(since().filter(({ path }) => path.includes("/capabilities/"))).toHaveLength(2);
        await own.close();
        const other = await startProvider(cloud.env);
        cloud.api.faults.add({ path: "/capabilities/", kind: "status", status: 503 });
        expect(await new Stack(other).preview(appInputs({ adoptionLabel: "x", region: "XXX" }))).toBe("create");
        await other.close();
    });

    it("no error carries a stack", async () => {
        cloud.api.faults.add({ path: "/ai/app", kind: "status", status: 403 });
        await failedUp();
        expect(provider.output()).not.toMatch(/^\s+at /m);
    });
});
