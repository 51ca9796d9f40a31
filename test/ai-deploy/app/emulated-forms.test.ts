import { describe, expect, it } from "vitest";
import { forms, type Form } from "../../../sandbox/ovhcloud/forms";
import { appInputs, autoscaling } from "./inputs";
import type { TestCloud } from "../cloud";
import { startCloudAndProvider } from "../cloud-and-provider";
import type { Bag, ProviderProcess } from "../provider-process";
import { Stack } from "../stack";

/** The provider against an API that writes what it was asked for in other forms. */

let cloud: TestCloud;
let provider: ProviderProcess;
let labels = 0;

startCloudAndProvider((started) => ({ cloud, provider } = started));

async function write(form: Form): Promise<void> {
    const url = cloud.api.url.replace(/\/v1$/, "/sandbox/form");
    const answer = await fetch(url, { method: "POST", body: JSON.stringify({ form }) });
    expect(await answer.json()).toEqual({ form });
}

const small: Bag = { resources: { flavor: "ai1-1-cpu", cpu: 1 }, volumes: undefined, envVars: undefined };
const large: Bag = {
    image: "docker.io/vllm/vllm-openai:v0.13.0",
    grpcPort: 9000,
    labels: { group: "tests", team: "a" },
    envVars: { A: "1", B: "2" },
    volumes: [
        { mountPath: "/hub", permission: "RW", volumeSource: { standalone: {} } },
        { mountPath: "/data", permission: "RO", volumeSource: { dataStore: { alias: "GRA", container: "weights" } } },
        {
            mountPath: "/out",
            permission: "RW",
            volumeSource: { publicGit: { url: "https://git.example.org/some/repository" } },
        },
    ],
    livenessProbe: { path: "/health", port: 8000, initialDelaySeconds: 300 },
    readinessProbe: { path: "/v1/models", port: 8000 },
    resources: { flavor: "h100-1-gpu", flavorCount: 1 },
    deploymentStrategy: { terminationGracePeriodSeconds: 60 },
    scalingStrategy: autoscaling(),
};

describe.each([
    ["a small app", small],
    ["an app of many fields", large],
])("%s", (_, changes) => {
    const inputs = (more: Bag = {}): Bag => appInputs({ adoptionLabel: `form-${labels}`, ...changes, ...more });
    const writes = (since: ReturnType<TestCloud["mark"]>): string[] =>
        since()
            .filter(({ method }) => method !== "GET")
            .map(({ method, path }) => `${method} ${path.replace(/.*\/ai\/app/, "")}`);

    it.each(forms)("written %s is made, read and changed without drift, whatever the form is later", async (form) => {
        labels++;
        await write(form);
        const stack = new Stack(provider);
        await stack.up(inputs());
        const { id } = stack.resource!;
        for (const later of [form, ...forms]) {
            await write(later);
            const since = cloud.mark();
            expect(await stack.preview(inputs()), later).toBe("same");
            await stack.refresh();
            expect(stack.resource, later).toMatchObject({ id });
            expect(await stack.preview(inputs()), later).toBe("same");
            await stack.up(inputs());
            expect(writes(since), later).toEqual([]);
        }
        const since = cloud.mark();
        await stack.up(inputs({ image: "vllm/vllm-openai:v0.13.1" }));
        expect(writes(since)).toEqual([`PUT /${id}`]);
        const { spec } = cloud.api.stored().find((app) => app.id === id)!;
        expect(spec.image).toBe("vllm/vllm-openai:v0.13.1");
        // Somebody else's change is still seen.
        await write(form);
        spec.command = ["another", "command"];
        await stack.refresh();
        expect(await stack.preview(inputs({ image: "vllm/vllm-openai:v0.13.1" }))).toBe("update");
        await stack.destroy();
        expect(cloud.api.violations()).toEqual([]);
    });

    it.each(forms)("written %s is found again by a creation that was interrupted", async (form) => {
        labels++;
        await write(form);
        await expect(new Stack(provider).up(inputs(), { crash: true })).rejects.toThrow(/engine died/);
        const [{ id }] = cloud.labelled(`form-${labels}`);
        const stack = new Stack(provider);
        await stack.up(inputs());
        expect(stack.resource!.id).toBe(id);
        expect(cloud.labelled(`form-${labels}`)).toHaveLength(1);
        await stack.destroy();
    });
});
