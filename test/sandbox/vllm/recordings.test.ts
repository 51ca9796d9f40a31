import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { differences, differencesText } from "../../../sandbox/vllm/differences";
import { differingPaths, recordedAnswers, recordedReplica, simulatedAnswers } from "./recordings";
import type { Shape } from "./recordings/exchange";
import { run } from "./recordings/metrics/load";

describe("the simulated server and the real vLLM 0.13.0", () => {
    const real = recordedAnswers();
    let simulated: Record<string, Shape>;
    beforeAll(async () => {
        simulated = await simulatedAnswers();
    });
    const within = (path: string, field: string): boolean => path === field || path.startsWith(`${field}.`);
    const differing = (name: string): string[] => differingPaths(real[name], simulated[name]);

    it("were asked the same, at least 150 things", () => {
        expect(Object.keys(simulated).sort()).toEqual(Object.keys(real).sort());
        expect(Object.keys(real).length).toBeGreaterThanOrEqual(150);
    });

    it("answer alike, but for the listed differences", () => {
        const unlisted = Object.keys(real)
            .map((name) => {
                const fields = differences.flatMap((one) => (one.requests.includes(name) ? one.fields : []));
                const paths = differing(name).filter((path) => !fields.some((field) => within(path, field)));
                return { name, paths, real: real[name], simulated: simulated[name] };
            })
            .filter(({ paths }) => paths.length > 0);
        expect(unlisted).toEqual([]);
    });

    it("do differ where the list says so", () => {
        for (const { requests } of differences) {
            for (const name of requests) expect([name, differing(name)]).not.toEqual([name, []]);
        }
    });

    it("differ as docs/simulation.md says", () => {
        const text = readFileSync(join(__dirname, "../../../docs/simulation.md"), "utf8");
        const [, listed] = /<!-- differences: from sandbox\/vllm\/differences.ts -->\n+(.*?)\n+<!-- \/differences -->/s.exec(text)!;
        expect(listed).toBe(differencesText());
    });
}); // prettier-ignore

describe("the numbers of /metrics", () => {
    it("have the configuration of the cache in every label, but for what a CPU has of its own", async () => {
        const labels = (page: string): [string, string][] => {
            const line = /^vllm:cache_config_info\{(.*)\} 1\.0$/m.exec(page)![1];
            const all = [...line.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]): [string, string] => [
                name,
                value,
            ]);
            return all.map(([name, value]) => [
                name,
                /^(block_size|cpu_kvcache_space_bytes|num_gpu_blocks)$/.test(name) ? "" : value,
            ]);
        };
        const real = readFileSync(join(__dirname, "recordings/metrics/cache-config-info.txt"), "utf8");
        const server = await recordedReplica([]);
        expect(labels(await (await server.get("/metrics")).text())).toEqual(labels(real));
        await server.replica.stop();
    });

    it("grow by a load as those of the real vLLM 0.13.0 do, also by clients that go away", async () => {
        const real = JSON.parse(readFileSync(join(__dirname, "recordings/metrics/added.json"), "utf8")) as object;
        const flags = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes", "--block-size", "32"];
        const { replica } = await recordedReplica([...flags, "--api-key", "made-up-key"], 0.001);
        expect(await run(() => replica.connect())).toEqual(real);
        await replica.stop();
    });
});
