import { expect, it } from "vitest";
import { appInputs } from "./inputs";
import { startTestCloud } from "../cloud";
import { startProvider } from "../provider-process";
import { Stack } from "../stack";

/** All clocks run this much faster: a minute of the platform and of its rate limit takes three seconds. */
const speed = 20;
const apps = 20;
const minuteMs = 60_000 / speed;

it("20 apps at once: within 60 requests a minute, each brought up, with a bounded number of calls", async () => {
    const cloud = await startTestCloud({ speed });
    const { OVH_AI_DEPLOY_POLL_MS: _, ...env } = cloud.env;
    const provider = await startProvider({
        ...env,
        // The default of 50 a minute, of which 8 may come at once.
        OVH_AI_DEPLOY_REQUESTS_PER_MINUTE: String((50 - 8) * speed + 8),
        OVH_AI_DEPLOY_POLL_MS: String(2000 / speed),
    });
    try {
        const stacks = Array.from({ length: apps }, () => new Stack(provider));
        const started = Date.now();
        // A CPU flavor: the GPU quota is smaller than this.
        const resources = { flavor: "ai1-1-cpu", cpu: 1 };
        await Promise.all(stacks.map((stack, i) => stack.up(appInputs({ adoptionLabel: `app-${i}`, resources }))));
        const minutes = (Date.now() - started) / minuteMs;

        expect(new Set(cloud.api.apps().map(({ id }) => id)).size).toBe(apps);
        expect(cloud.api.apps().every(({ state }) => state === "RUNNING")).toBe(true);
        const requests = cloud.api.requests().filter(({ path }) => !path.endsWith("/auth/time"));
        const inWindow = requests.map(({ at }) => requests.filter((r) => r.at >= at && r.at < at + minuteMs).length);
        expect(Math.max(...inWindow)).toBeLessThanOrEqual(60);
        // Two looks and a POST for each, two look-ups for all, and polls of half the rate and one round more.
        const bound = 3 * apps + 2 + 25 * minutes + apps;
        expect(requests.length).toBeLessThanOrEqual(bound);
        console.log(
            `${requests.length} calls for ${apps} apps in ${minutes.toFixed(1)} minutes of the platform (bound ${Math.floor(bound)})`,
        );
    } finally {
        await provider.close();
        await cloud.close();
    }
});
