import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import { App, AppReady, DataSync } from "pulumi-ovh-ai-deploy";
import { stub } from "../../packages/ai-deploy/src/resources";

interface Asked {
    type: string;
    name: string;
    inputs: Record<string, any>;
}

const asked: Asked[] = [];

beforeAll(async () => {
    await pulumi.runtime.setMocks(
        {
            newResource: ({ type, name, inputs }) => {
                asked.push({ type, name, inputs: inputs as Record<string, any> });
                return { id: `${name}-id`, state: inputs };
            },
            call: ({ inputs }) => inputs as Record<string, any>,
        },
        "project",
        "stack",
    );
});

const args = {
    name: "a",
    region: "GRA",
    image: "i",
    resources: { flavor: "h100-1-gpu", gpu: 1 },
    adoptionLabel: "same",
};

/** What the program asked the engine for. */
async function inputsOf(resource: pulumi.CustomResource): Promise<Record<string, any>> {
    const name = await new Promise<string>((resolve) => void resource.id.apply((id) => resolve(id.replace("-id", ""))));
    return asked.find((one) => one.name === name)!.inputs;
}

describe("the stub", () => {
    it.each(["app", "appReady", "appLeftovers", "token", "authorization", "dataSync"] as const)(
        "of %s never changes, and is under 1 KB",
        async (kind) => {
            expect(stub(kind)).toBe(`exports.handler = () => require("pulumi-ovh-ai-deploy/dist/provider").${kind};`);
            expect(Buffer.byteLength(stub(kind))).toBeLessThan(1024);
        },
    );

    it("is what each resource carries, whatever its arguments", async () => {
        const app = new App("stub-a", { ...args, envVars: { SECRET: pulumi.secret("canary") } });
        const other = new App("stub-b", { ...args, name: "b" });
        const [one, two] = [await inputsOf(app), await inputsOf(other)];
        expect(one.__provider).toBe(two.__provider);
        expect(one.__provider).not.toContain("canary");
    });
});

describe("the adoption label", () => {
    it("differs for each resource that is given the same, and stays for each", async () => {
        const apps = [
            new App("label-a", args),
            new App("label-b", args),
            new App("label-c", args, { parent: new pulumi.ComponentResource("t:i:T", "parent") }),
        ];
        const labels = await Promise.all(apps.map(async (app) => (await inputsOf(app)).adoptionLabel as string));
        expect(new Set(labels).size).toBe(3);
        for (const label of labels) expect(label).toMatch(/^same-[0-9a-f]{8}$/);
        // The URN's hash: a change of this would relabel every app there is.
        expect(labels[0]).toBe("same-7e3faf10");
    });

    it("in a component is that of the URN, and waits for none of the component's children", async () => {
        class Served extends pulumi.ComponentResource {
            readonly app: App;
            readonly sync: DataSync;
            readonly ready: AppReady;

            constructor() {
                super("t:i:Served", "served");
                this.app = new App("served-app", args, { parent: this });
                const child = { parent: this, dependsOn: this.app };
                this.sync = new DataSync("served-sync", { appId: this.app.appId, direction: "pull" }, child);
                this.ready = new AppReady("served-ready", { appId: this.app.appId }, child);
                this.registerOutputs();
            }
        }
        const { app, sync, ready } = new Served();
        for (const child of [sync, ready]) expect(await inputsOf(child)).toBeDefined();
        // As in release 0.1: the hash of urn:pulumi:stack::project::t:i:Served$pulumi-nodejs:dynamic/ovh-ai-deploy:App::served-app.
        expect((await inputsOf(app)).adoptionLabel).toBe("same-c68fd733");
    });
});
