import { createRequire } from "node:module";
import { expect, it } from "vitest";

// As the SDK does, from within.
const sdk = createRequire(require.resolve("@pulumi/pulumi"));
const isLoaded = (name: string): boolean =>
    Object.keys(sdk.cache).some((file) => file.includes(`/node_modules/${name}/`));

it("Pulumi's SDK starts without what it rarely needs, and gets the real one when it does", async () => {
    const { runtime } = sdk("@pulumi/pulumi") as typeof import("@pulumi/pulumi");
    expect([isLoaded("typescript"), isLoaded("@npmcli/arborist")]).toEqual([false, false]);

    const { text } = await runtime.serializeFunction(() => "made up");
    expect(text).toContain("made up");
    const { Arborist } = sdk("@npmcli/arborist") as { Arborist: { name: string } };
    expect(Arborist.name).toBe("Arborist");
    expect([isLoaded("typescript"), isLoaded("@npmcli/arborist")]).toEqual([true, true]);
});
