// The process of `startBenchCloud`: an emulated OVHcloud with apps. Told what to start as JSON in its first argument, it
// prints a `CloudAnswer` once all is up, and its `Usage` for each line on stdin; the end of stdin ends it.
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { appBody, scaling, startTestCloud } from "../../test/sandbox/ovhcloud/cloud";
import type { CloudAnswer, CloudOrder, Usage } from "./start";

async function main({ apps, replicas, speed, flags = [], body: own }: CloudOrder): Promise<void> {
    const started = performance.now();
    const test = await startTestCloud({ gpuQuota: Math.max(16, apps * replicas) });
    const { cloud } = test;
    const token = await test.api("POST", "/ai/token", { name: "bench", region: "GRA", role: "ai_training_read" });
    const body = {
        command: ["vllm", "serve", "Qwen/Qwen3-14B", ...flags],
        probe: { path: "/v1/models", port: 8000, initialDelaySeconds: 250 },
        livenessProbe: { path: "/health", port: 8000, initialDelaySeconds: 900 },
        scalingStrategy: scaling({ replicasMin: replicas, replicasMax: replicas }),
        ...own,
    };
    for (let n = 0; n < apps; n++) await test.api("POST", "/ai/app", appBody({ ...body, name: `bench-${n}` }));
    for (;;) {
        const there = cloud.status().apps;
        const failed = there.find(({ state }) => state === "FAILED");
        if (failed) throw new Error(`app ${failed.name} failed: ${failed.message}`);
        if (there.every((app) => app.availableReplicas === replicas)) break;
        await sleep(200);
    }
    await test.control("POST", "speed", { speed });
    const answer: CloudAnswer = {
        urls: cloud.apps().map(({ url }) => url),
        ids: cloud.apps().map(({ id }) => id),
        token: token.status.value as string,
        caFile: cloud.caFile,
        controls: cloud.url.replace(/\/v1$/, "/sandbox"),
        port: cloud.status().apps[0].replicas[0].port,
        startSeconds: (performance.now() - started) / 1000,
    };
    console.log(JSON.stringify(answer));
    for await (const _ of createInterface({ input: process.stdin })) {
        const { user, system } = process.cpuUsage();
        const usage: Usage = { cpuSeconds: (user + system) / 1e6, rss: process.memoryUsage().rss };
        console.log(JSON.stringify(usage));
    }
    await test.close();
}

main(JSON.parse(process.argv[2]) as CloudOrder).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
});
