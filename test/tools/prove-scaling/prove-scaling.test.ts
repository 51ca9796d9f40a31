import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OvhClient } from "../../../packages/ai-deploy/src/api/client";
import type { ModelSettings } from "../../../src/settings";
import { drawProof } from "../../../tools/prove-scaling/drawing";
import { proveScaling, type Proof } from "../../../tools/prove-scaling/run";
import { model as served, startRunningApp, type RunningApp } from "../../sandbox/running-app";
import { ministral, parse } from "../../settings/config";

let app: RunningApp;
beforeAll(async () => {
    app = await startRunningApp({ min: 1, max: 2 }, { speed: 600, drain: true });
    await app.control("POST", "speed", { speed: 600 });
});
afterAll(() => app.close());

/** The settings of the running app, with a target that a handful of workers pass; `scaling` as no stack config may have it. */
function settings(scaling: Partial<ModelSettings["scaling"]> = {}, maxNumSeqs?: number) {
    const { ministral: model } = parse(
        ministral({ replicas: { min: 1, max: 2 }, scaling: { target: 4, scaleDownStabilizationSeconds: 3600 } }),
    ).models;
    return {
        ...model,
        name: "ministral",
        scaling: { ...model.scaling, ...scaling },
        vllm: { ...model.vllm, maxNumSeqs },
    };
}

async function prove(
    more: { model?: ReturnType<typeof settings>; workers?: number; patience?: number } = {},
): Promise<Proof> {
    const credentials = {
        baseUrl: app.env.OVH_ENDPOINT,
        auth: { kind: "token" as const, accessToken: app.env.OVH_ACCESS_TOKEN },
    };
    await app.control("POST", "speed", { speed: 600 });
    return proveScaling({
        model: more.model ?? settings(),
        served,
        appId: app.id,
        appUrl: app.url,
        endpoint: { baseUrl: `${app.url}/v1`, token: app.token, ca: [readFileSync(app.cloud.caFile, "utf8")] },
        api: {
            client: new OvhClient(credentials, { requestsPerMinute: 60_000 }),
            projectId: app.env.OVH_CLOUD_PROJECT_SERVICE,
        },
        options: {
            workers: more.workers ?? 12,
            baseline: 1,
            baselineSeconds: 2,
            patienceSeconds: more.patience ?? 60,
            downPatienceSeconds: 60,
            maxTokens: 64,
            platformPeriodMs: 200,
            speed: 600,
        },
        log: () => undefined,
    });
}

async function setTarget(target: number, valueLocation = "vllm:num_requests_running"): Promise<void> {
    const { OVH_ENDPOINT, OVH_CLOUD_PROJECT_SERVICE, OVH_ACCESS_TOKEN } = app.env;
    const answer = await fetch(
        `${OVH_ENDPOINT}/cloud/project/${OVH_CLOUD_PROJECT_SERVICE}/ai/app/${app.id}/scalingstrategy`,
        {
            method: "PUT",
            headers: { authorization: `Bearer ${OVH_ACCESS_TOKEN}`, "content-type": "application/json" },
            body: JSON.stringify({
                automatic: {
                    replicasMin: 1,
                    replicasMax: 2,
                    scaleDownStabilizationWindowSeconds: 3600,
                    customMetrics: {
                        apiUrl: "http://<SELF>:8000/metrics",
                        format: "PROMETHEUS",
                        valueLocation,
                        targetValue: target,
                        aggregationType: "AVERAGE",
                    },
                },
            }),
        },
    );
    expect(answer.status, await answer.text()).toBeLessThan(300);
}

describe.sequential("a stack is proved to scale, on the emulated platform", () => {
    it("scales up, recovers, scales down and loses no request: 0, every moment in its order, a picture", async () => {
        await setTarget(4);
        const proof = await prove();
        // The app is drained, as every stack's is by default.
        expect(proof.verdict, JSON.stringify(proof.moments)).toMatchObject({ code: 0 });
        expect(proof.lost).toEqual({ up: 0, down: 0 });
        const { loadOn, metricOver, serving, firstToken, recovered, loadOff, down } = proof.moments;
        expect(metricOver!).toBeGreaterThan(loadOn);
        expect(firstToken!).toBeGreaterThan(loadOn);
        expect(recovered!).toBeGreaterThanOrEqual(serving!);
        expect(down!).toBeGreaterThan(loadOff!);
        expect(Math.max(...proof.seen.platform.map(({ ready }) => ready))).toBe(2);
        expect(proof.seen.platform.at(-1)!.ready).toBe(1);
        for (const way of [proof.parts.slice(0, 5), proof.parts.slice(5)]) {
            expect(way.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
        }
        const picture = drawProof(proof, settings());
        expect(picture).toContain("Scaled and recovered");
        expect(picture.match(/<polyline points="[^"]+"/g)).toHaveLength(3);
    });

    it("a target over max-num-seqs: 1, before any load", async () => {
        const { verdict, requests } = await prove({ model: settings({ target: 3.9 }, 4) });
        expect(verdict).toMatchObject({ code: 1, cause: "target above max-num-seqs" });
        expect(verdict.words).toContain("pulumi config set --path models.ministral.scaling.target 2");
        expect(requests).toEqual([]);
    });

    it("no load to speak of: 1, and says how far it came", async () => {
        await setTarget(40);
        const { verdict } = await prove({ model: settings({ target: 40 }), workers: 3, patience: 8 });
        expect(verdict).toMatchObject({ code: 1, cause: "load too low" });
        expect(verdict.words).toMatch(/came to \d/);
    });

    it("a metric that the image does not have: 1", async () => {
        await setTarget(4, "vllm:no_such_metric");
        const { verdict } = await prove({
            model: settings({ metric: "vllm:no_such_metric" }),
            patience: 8,
        });
        expect(verdict).toMatchObject({ code: 1, cause: "metric missing" });
    });

    it("no GPU left: 1, in the platform's words", async () => {
        await setTarget(4);
        await app.control("POST", "platform/faults", { kind: "quota" });
        const { verdict } = await prove({ patience: 15 });
        await app.control("DELETE", "platform/faults");
        expect(verdict).toMatchObject({ code: 1, cause: "no GPU free" });
        expect(verdict.words).toMatch(/GPU/);
    });

    it("a revoked token: 1", async () => {
        await app.control("POST", "platform/faults", { kind: "token-revoked" });
        const { verdict } = await prove({ patience: 20 });
        expect(verdict).toMatchObject({ code: 1, cause: "token" });
    });
});
