import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../../sandbox/http-server";
import { dashboards } from "../../../src/monitoring/dashboards/all";
import { render } from "../../../tools/dashboards/render";
import { single } from "../../monitoring/watched-models";
import { startLivePrometheus, type LivePrometheus } from "./live-prometheus";

const out = mkdtempSync(join(tmpdir(), "render-"));
let prometheus: LivePrometheus;

beforeAll(async () => {
    prometheus = await startLivePrometheus({ ...single, replicaPrice: 2 });
});
afterAll(async () => {
    await prometheus?.close();
    rmSync(out, { recursive: true, force: true });
});

describe.sequential("the dashboards drawn from a live Prometheus", () => {
    const draw = (log: (line: string) => void = () => undefined) =>
        render({ prometheus: prometheus.url, out, range: 60, log });

    it("names the panels that are empty while nothing is asked of the model", async () => {
        let faults: string[] = [];
        // Until Prometheus has read the model once, and evaluated the rules on what it read.
        do {
            await sleep(500);
            faults = await draw();
        } while (faults.some((fault) => /Endpoint|Replicas:/.test(fault)));
        expect(faults).toContainEqual(
            expect.stringMatching(/^vllm-ministral-monitoring, Time to first token: no data for histogram_quantile/),
        );
    });

    it("draws every panel of them once there is load, a picture of each dashboard", async () => {
        prometheus.load(1);
        let faults = ["not drawn yet"];
        const lines: string[] = [];
        while (faults.length > 0) {
            await sleep(1000);
            lines.length = 0;
            faults = await draw((line) => lines.push(line));
        }
        // What this Prometheus has not: the relay of several replicas, Alertmanager, volumes, a front door.
        const leftOut = lines.filter((line) => line.startsWith("left out"));
        expect(leftOut.filter((line) => !/relay|alertmanager|notifications_sent|kubelet|envoy/.test(line))).toEqual([]);
        const panels = dashboards.flatMap(({ rows }) => rows.flatMap((row) => row.panels)).length;
        expect(lines.at(-1)).toBe(`${panels - leftOut.length} of ${panels} panels drawn`);
        expect(readdirSync(out).sort()).toEqual(dashboards.map(({ uid }) => `${uid}.png`).sort());
        for (const { uid } of dashboards) expect(statSync(join(out, `${uid}.png`)).size).toBeGreaterThan(20_000);
    });

    it("says that there is no Prometheus where there is none", async () => {
        const nowhere = `http://127.0.0.1:${await freePort()}`;
        const drawing = render({ prometheus: nowhere, out, range: 60, log: () => undefined });
        await expect(drawing).rejects.toThrow(`no Prometheus at ${nowhere}`);
    });
});
