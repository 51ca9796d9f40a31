import { describe, expect, it } from "vitest";
import { deploy, type Json } from "./deploy";

const toSet = {
    projectId: "0123456789abcdef0123456789abcdef",
    huggingFaceToken: "hf_test",
    monitoring: { grafana: { allowedSources: ["198.51.100.7/32"] } },
};
const up = (ministral: Json, preview = false) =>
    deploy({ stack: "dev", config: { ...toSet, models: { ministral } }, preview });

describe("that a model serves", () => {
    it.each([false, true])("is waited for apart from its app, after everything else (preview %s)", async (preview) => {
        const stack = await up({}, preview);
        expect(stack.find("App").inputs.waitUntilRunning).toBe(false);
        const ready = stack.find("AppReady");
        expect(ready.inputs.serviceName).toBe(toSet.projectId);
        if (!preview) expect(ready.inputs).toMatchObject({ appId: expect.stringMatching(/^1{8}-/), revision: 1 });
        expect(ready.dependsOn).toEqual(expect.arrayContaining(["App ministral", "Release monitoring"]));
        expect(stack.resources.filter(({ dependsOn }) => dependsOn.includes("AppReady ministral"))).toEqual([]);
    });

    it("is not waited for where it is to be stopped", async () => {
        const stack = await up({ desiredState: "STOPPED" });
        expect(stack.find("App").inputs.desiredState).toBe("STOPPED");
        expect(stack.resources.filter(({ type }) => type.endsWith(":AppReady"))).toEqual([]);
    });
});

it("what a killed run leaves of an app is known before the app is made, and protected like it", async () => {
    const stack = await up({ protect: true, timeouts: { deleteSeconds: 90 } });
    const [app, leftovers] = [stack.find("App"), stack.find("AppLeftovers")];
    expect(app.dependsOn).toEqual(expect.arrayContaining(["AppLeftovers ministral", "Authorization authorization"]));
    expect(app.inputs.adoptionLabel).toMatch(/-[0-9a-f]{8}$/);
    expect(leftovers.inputs).toMatchObject({
        ...{ serviceName: toSet.projectId, name: app.inputs.name as string },
        ...{ adoptionLabel: app.inputs.adoptionLabel as string, timeouts: { deleteSeconds: 90 } },
    });
    expect([app.protect, leftovers.protect]).toEqual([true, true]);
});

it("an app is replaced the other way round, and protected, when the model says so", async () => {
    const plain = (await up({})).find("App");
    expect([plain.protect, plain.inputs.replaceFirst]).toEqual([false, undefined]);
    const asked = (await up({ replaceFirst: true, protect: true })).find("App");
    expect([asked.protect, asked.inputs.replaceFirst]).toEqual([true, true]);
});
