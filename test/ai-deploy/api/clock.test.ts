import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { appInputs } from "../app/inputs";
import { startTestCloud } from "../cloud";
import { startProvider } from "../provider-process";
import { Stack } from "../stack";

/** A wall clock that somebody sets: a day back, then right, then a day forth, every fifth of a second. */
const jumping = `
const real = Date.now;
const days = () => (Math.floor(real() / 200) % 3) - 1;
Date.now = () => real() + days() * 86400000;
`;

it("a wall clock that is set back and forth hurts neither signatures nor waits", async () => {
    const folder = mkdtempSync(join(tmpdir(), "clock-test-"));
    const preload = join(folder, "jumping-clock.js");
    writeFileSync(preload, jumping);
    const cloud = await startTestCloud({ speed: 200 });
    const provider = await startProvider({ ...cloud.env, NODE_OPTIONS: `--require ${preload}` });
    try {
        const app = new Stack(provider);
        const token = new Stack(provider, "token");
        await app.up(appInputs());
        await token.up({ name: "t", region: "GRA", role: "ai_training_read", labelSelector: "group=test" });
        await app.up(appInputs({ image: "vllm/vllm-openai:v0.14.0" }));
        await app.refresh();
        // An app that cannot come up in its time is told so after that time, not after a jump.
        cloud.script({ exitCode: 1 });
        await expect(app.up(appInputs({ image: "vllm/vllm-openai:v0.15.0" }))).rejects.toThrow(/is FAILED/);
        await app.destroy();
        await token.destroy();
        expect(cloud.api.apps()).toEqual([]);
        // Time was told in full seconds from the start, never in days.
        const told = [...provider.output().matchAll(/after (-?\d+) s/g)].map(([, seconds]) => Number(seconds));
        expect(told.length).toBeGreaterThan(3);
        expect(told.filter((seconds) => seconds < 0 || seconds > 600)).toEqual([]);
    } finally {
        await provider.close();
        await cloud.close();
        rmSync(folder, { recursive: true, force: true });
    }
});
