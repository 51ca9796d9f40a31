import { expect, it } from "vitest";
import { stub } from "../../../packages/ai-deploy/src/resources";
import { appInputs } from "../app/inputs";
import { projectId, startTestCloud } from "../cloud";
import { InitFailed, startProvider } from "../provider-process";

it("Ctrl-C ends a wait of half an hour at once, and what exists is kept", async () => {
    // In real time, so that the app boots for minutes.
    const cloud = await startTestCloud({ speed: 1 });
    const provider = await startProvider(cloud.env);
    try {
        const creation = provider.create(appInputs({ serviceName: projectId, __provider: stub("app") })).then(
            () => new Error("it should have been stopped"),
            (error: Error) => error,
        );
        while (cloud.api.apps().length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
        const [{ id }] = cloud.api.apps();
        await provider.cancel();
        const stopped = await creation;
        expect(stopped).toBeInstanceOf(InitFailed);
        expect(stopped).toMatchObject({ id, properties: { appId: id } });
        expect(stopped.message).toMatch(/stopped waiting, as asked: nothing is lost/);
        expect(cloud.api.apps()).toHaveLength(1);
    } finally {
        await provider.close();
        await cloud.close();
    }
});
