import { BatchV1Api, CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { execFile, type ExecFileException } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkout, layoutOf } from "../../sandbox/layout";
import { endProcesses, sandboxProcesses } from "../../sandbox/processes";
import { loadtestApp } from "../../tools/loadtest/in-cluster/manifests";
import type { Report } from "../../tools/loadtest/report";

/** What the README's "Try it" does, in a copy of the checkout: up, the tour, down, reset. */
const folder = mkdtempSync(join(tmpdir(), "first-minutes-"));
const layout = layoutOf(join(folder, ".sandbox"));

beforeAll(() => {
    const leftOut = ["node_modules", ".git", ".sandbox", "coverage"];
    cpSync(checkout, folder, { recursive: true, filter: (file) => !leftOut.includes(basename(file)) });
    // A folder of its own, said to be installed: nothing that runs here may install into the checkout's.
    const modules = join(folder, "node_modules");
    mkdirSync(modules);
    for (const name of readdirSync(join(checkout, "node_modules"))) {
        symlinkSync(join(checkout, "node_modules", name), join(modules, name));
    }
});
afterAll(async () => {
    await endProcesses(sandboxProcesses(layout.dir), 15);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** Runs bash as a person does, without a terminal. */
function run(command: string): Promise<{ code: number; said: string }> {
    return new Promise((resolve) => {
        // Nor with what makes tests cheaper.
        const without = { FORCE_COLOR: undefined, NODE_OPTIONS: undefined, GOGC: undefined, GOMEMLIMIT: undefined };
        const options = { cwd: folder, maxBuffer: 1e8, env: { ...process.env, ...without } };
        execFile("bash", ["--norc", "-c", command], options, (error: ExecFileException | null, stdout, stderr) => {
            resolve({ code: error ? Number(error.code) : 0, said: stdout + stderr });
        });
    });
}

describe.sequential("the first minutes", () => {
    it("the sandbox comes up, and says so on one screen", async () => {
        const { code, said } = await run("npm run sandbox");
        expect(code, said).toBe(0);
        const lines = said.trimEnd().split("\n");
        expect(lines.length, said).toBeLessThanOrEqual(40);
        for (const line of lines.filter((text) => !text.includes(folder))) expect(line.length, line).toBeLessThan(81);
        expect(said).not.toMatch(/\u001b|warning:/);
        for (const phase of ["Tools", "Helm chart", "Pulumi plugins", "Local OVHcloud", "pulumi up", "Proof"]) {
            expect(said).toMatch(new RegExp(`^✓ ${phase} +[\\d.]+ (s|min)`, "m"));
        }
        expect(said).toMatch(/all \d+ promises hold/);
        expect(said).toMatch(/Three things to do next[\s\S]+ 1 [\s\S]+ 2 [\s\S]+ 3 /);
        const log = readFileSync(layout.upLog, "utf8");
        expect(log).toMatch(/✓ pulumi preview is empty/);
        const token = await run("source .sandbox/env && pulumi stack output clientToken --show-secrets");
        expect(token.said.trim()).toMatch(/./);
        expect(log).not.toContain(token.said.trim());
    });

    it("pods of its cluster send a load: every request counts once, and nothing of it stays", async () => {
        const options =
            "--in-cluster 2 --workers 4 --requests 3 --max-tokens 8 --ramp 0 --json load.json --csv load.csv";
        const { code, said } = await run(`source .sandbox/env && npm run --silent loadtest -- ${options}`);
        // 3: this machine was too busy for the figures to count, which is not asked here.
        expect([0, 3], said).toContain(code);
        const token = await run("source .sandbox/env && pulumi stack output clientToken --show-secrets");
        expect(said).not.toContain(token.said.trim());
        const report = JSON.parse(readFileSync(join(folder, "load.json"), "utf8")) as Report;
        expect(report.requests, said).toEqual({ planned: 12, total: 12, ok: 12, errors: 0, cancelled: 0 });
        expect(report.client.processes).toBe(2);
        const [heading, ...lines] = readFileSync(join(folder, "load.csv"), "utf8").trim().split("\n");
        const column = (name: string): number[] =>
            lines.map((line) => Number(line.split(",")[heading.split(",").indexOf(name)]));
        expect(column("worker").sort()).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
        expect(column("output_tokens").reduce((sum, tokens) => sum + tokens, 0)).toBe(report.tokens.output);
        // The relay asks for a token of its own each minute.
        expect(report.server!.requests).toBeGreaterThanOrEqual(12);
        const cluster = new KubeConfig();
        cluster.loadFromFile(layout.kubeconfig);
        const core = cluster.makeApiClient(CoreV1Api);
        const of = { namespace: "monitoring", labelSelector: `app=${loadtestApp}` };
        const left = async () =>
            (
                await Promise.all([
                    cluster.makeApiClient(BatchV1Api).listNamespacedJob(of),
                    core.listNamespacedPod(of),
                    core.listNamespacedSecret(of),
                    core.listNamespacedConfigMap(of),
                    core.listNamespacedService(of),
                ])
            ).flatMap(({ items }) => items.map(({ metadata }) => metadata!.name));
        await expect.poll(left, { timeout: 60_000, interval: 1000 }).toEqual([]);
    });

    it("each of the tour's ten steps shows what it is to show", async () => {
        const token = await run("source .sandbox/env && pulumi stack output clientToken --show-secrets");
        const committed = readFileSync(join(folder, "Pulumi.sandbox.yaml"), "utf8");
        const { code, said } = await run("npm run --silent sandbox -- tour --yes");
        expect(code, said).toBe(0);
        expect(said.match(/^ {2}✓ /gm), said).toHaveLength(10);
        expect(said).not.toContain(token.said.trim());
        expect(readFileSync(join(folder, "Pulumi.sandbox.yaml"), "utf8")).toBe(committed);
    });

    it("after the tearing down there is nothing to look at, and it says what brings it back", async () => {
        const { code, said } = await run("npm run --silent sandbox -- tour --yes");
        expect([code, said]).toEqual([2, 'error: there is no stack to look at: bring it up with "npm run sandbox"\n']);
    });

    it("reset leaves nothing", async () => {
        expect((await run("npm run sandbox -- reset")).code).toBe(0);
        expect(existsSync(layout.dir)).toBe(false);
        expect(sandboxProcesses(layout.dir)).toEqual([]);
    });
});
