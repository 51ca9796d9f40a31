import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { ensureToolchain } from "../../../sandbox/toolchain/toolchain";
import { startReplica, type Replica } from "../../../sandbox/vllm/replica";
import { dashboards } from "../../../src/monitoring/dashboards/all";
import { render } from "../../../tools/dashboards/render";
import { allRules, single } from "../../monitoring/watched-models";

// A real Prometheus with the rules of a stack, reading a simulated vLLM that is asked something.
const dir = mkdtempSync(join(tmpdir(), "render-"));
let replica: Replica;
let prometheus: ChildProcess;
let url: string;
let asking = true;
let asked: Promise<void>;
const model = "Qwen/Qwen3-8B";

beforeAll(async () => {
    replica = startReplica({
        command: ["python3", "-m", "vllm.entrypoints.openai.api_server", "--model", model],
        env: {},
        port: 0,
        speed: 10_000,
        log: () => undefined,
    });
    while (!replica.ready) await sleep(50);
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    mkdirSync(join(dir, "data"));
    const watched = { ...single, replicaPrice: 2 };
    writeFileSync(join(dir, "rules.yaml"), stringify({ groups: allRules([watched]) }));
    const config = {
        global: { scrape_interval: "1s", evaluation_interval: "1s" },
        rule_files: ["rules.yaml"],
        scrape_configs: [
            { job_name: "vllm-single", static_configs: [{ targets: [`127.0.0.1:${replica.port}`] }] },
            { job_name: "prometheus", static_configs: [{ targets: [`127.0.0.1:${port}`] }] },
        ],
    };
    writeFileSync(join(dir, "prometheus.yaml"), stringify(config));
    const { bin } = await ensureToolchain({ log: () => undefined });
    const args = {
        "config.file": join(dir, "prometheus.yaml"),
        "storage.tsdb.path": join(dir, "data"),
        "web.listen-address": `127.0.0.1:${port}`,
        "log.level": "error",
    };
    prometheus = spawn(
        bin.prometheus,
        Object.entries(args).map(([name, value]) => `--${name}=${value}`),
        { stdio: "ignore" },
    );
});
afterAll(async () => {
    asking = false;
    await asked;
    prometheus?.kill("SIGKILL");
    await replica?.stop();
    rmSync(dir, { recursive: true, force: true });
});

/** Keeps the model busy with short calls until `asking` ends. */
async function ask(): Promise<void> {
    while (asking) {
        const body = { model, max_tokens: 16, messages: [{ role: "user", content: "hello" }] };
        const call = fetch(`http://127.0.0.1:${replica.port}/v1/chat/completions`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify(body),
        });
        await call.then((answer) => answer.text());
        await sleep(100);
    }
}

function freePort(): Promise<number> {
    return new Promise((resolve) => {
        const probe = createServer().listen(0, "127.0.0.1", () => {
            const { port } = probe.address() as AddressInfo;
            probe.close(() => resolve(port));
        });
    });
}

describe.sequential("the dashboards drawn from a live Prometheus", () => {
    const out = join(dir, "out");
    const draw = (log: (line: string) => void = () => undefined) => render({ prometheus: url, out, range: 60, log });

    it("names the panels that are empty while nothing is asked of the model", async () => {
        let faults: string[] = [];
        // Until Prometheus has read the model once, and evaluated the rules on what it read.
        do {
            await sleep(500);
            faults = await draw().catch(() => []);
        } while (faults.length === 0 || faults.some((fault) => /Endpoint|Replicas/.test(fault)));
        expect(faults).toContainEqual(expect.stringMatching(/^vllm-ministral-monitoring, Time to first token: no data for/));
    });

    it("draws every panel of them once there is load, into one page and a picture each", async () => {
        asked = ask();
        let faults = ["not drawn yet"];
        const lines: string[] = [];
        while (faults.length > 0) {
            await sleep(1000);
            lines.length = 0;
            faults = await draw((line) => lines.push(line));
        }
        // What this Prometheus has not: the relay of several replicas, Alertmanager, volumes.
        expect(lines.filter((line) => line.startsWith("left out")).every((line) => /relay|alertmanager|notifications_sent|kubelet/.test(line))).toBe(true);
        const page = readFileSync(join(out, "index.html"), "utf8");
        for (const { uid, rows } of dashboards) {
            expect(existsSync(join(out, `${uid}.png`))).toBe(true);
            expect(statSync(join(out, `${uid}.png`)).size).toBeGreaterThan(20_000);
            for (const { title } of rows.flatMap(({ panels }) => panels)) expect(page).toContain(`<h3>${title}`);
        }
    });

    it("says that there is no Prometheus where there is none", async () => {
        const nowhere = `http://127.0.0.1:${await freePort()}`;
        const drawing = render({ prometheus: nowhere, out, range: 60, log: () => undefined });
        await expect(drawing).rejects.toThrow(`no Prometheus at ${nowhere}`);
    });
});
