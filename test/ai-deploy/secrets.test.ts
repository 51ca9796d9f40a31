import { expect, it } from "vitest";
import { appInputs } from "./app/inputs";
import { canary, startTestCloud } from "./cloud";
import { startProvider } from "./provider-process";
import { Stack } from "./stack";

const envCanaries = ["hf_canary_of_the_tests", "canary-of-a-variable"];
const args = appInputs({ envVars: { HF_TOKEN: envCanaries[0], OTHER: envCanaries[1] } });

it("no credential, variable or token shows in logs, errors, debug output or __provider", async () => {
    const cloud = await startTestCloud();
    // What Node prints of its HTTP client for debugging.
    const debug = { NODE_DEBUG: "undici,fetch" };
    const provider = await startProvider({ ...cloud.env, ...debug });
    const errors: string[] = [];
    const note = (error: Error): void => void errors.push(`${error.message} ${error.stack}`);
    try {
        const token = new Stack(provider, "token", false);
        await token.up({ name: "t", region: "GRA", role: "ai_training_read", labelSelector: "a=b" });
        const app = new Stack(provider);
        // The log and the platform's own message repeat what they were given.
        cloud.script({
            lines: envCanaries.map((value) => `got ${value}`),
            exitCode: 1,
            reason: `bad ${envCanaries[0]}`,
        });
        await app.up(args).catch(note);
        cloud.script({});
        await app.up(args);
        await app.refresh();
        await token.refresh();
        for (const status of [400, 403, 404, 500]) {
            cloud.api.faults.add({ kind: "status", status });
            await app.up({ ...args, image: "other" }).catch(note);
            await app.refresh().catch(note);
            await token.up({ name: "other", region: "GRA", role: "ai_training_read" }).catch(note);
            cloud.api.faults.clear();
        }
        expect(errors.length).toBeGreaterThan(8);
        expect(errors[0]).toContain("[secret]");
        const said = errors.join("\n") + provider.output();
        const { value } = token.resource!.outputs as { value: string };
        for (const secret of [...envCanaries, value, canary.applicationSecret, canary.consumerKey]) {
            expect(said).not.toContain(secret);
        }
        for (const { outputs } of [app.resource!, token.resource!]) {
            const text = JSON.stringify(outputs.__provider);
            for (const secret of [...envCanaries, value, ...Object.values(canary)]) expect(text).not.toContain(secret);
            // Credentials are in no output either; variables and the token are, for the engine to encrypt.
            for (const secret of Object.values(canary)) expect(JSON.stringify(outputs)).not.toContain(secret);
        }
        // They survive the refresh where they belong.
        expect(app.resource!.inputs.envVars).toEqual(args.envVars);
    } finally {
        await provider.close();
        await cloud.close();
    }
});

it("credentials from stack config are as silent", async () => {
    const cloud = await startTestCloud();
    const { OVH_APPLICATION_SECRET: secret, ...env } = cloud.env;
    const provider = await startProvider(env, { "ovh:applicationSecret": secret });
    try {
        const app = new Stack(provider);
        await app.up(args);
        cloud.api.faults.add({ kind: "status", status: 403 });
        const error = await app.refresh().catch((failed: Error) => failed);
        expect(`${String(error)} ${provider.output()} ${JSON.stringify(app.resource)}`).not.toContain(secret);
    } finally {
        await provider.close();
        await cloud.close();
    }
});
