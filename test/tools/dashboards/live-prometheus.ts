import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import { freePort } from "../../../sandbox/http-server";
import { startChild } from "../../../sandbox/prometheus/child";
import { ensureToolchain } from "../../../sandbox/toolchain/toolchain";
import { startReplica } from "../../../sandbox/vllm/replica";
import type { WatchedModel } from "../../../src/monitoring/rules";
import { allRules } from "../../monitoring/watched-models";

/** A real Prometheus with the rules of a stack, reading simulated replicas of its model. */
export interface LivePrometheus {
    url: string;
    /** Keeps every replica busy with so many short calls at a time, until `close`. */
    load(workers: number): void;
    close(): Promise<void>;
}

const served = "Qwen/Qwen3-8B";

/**
 * Resolves once the replicas are ready and Prometheus answers. Each replica is told apart as the relay would.
 * @param alert name of a page that fires from the beginning
 */
export async function startLivePrometheus(model: WatchedModel, count = 1, alert?: string): Promise<LivePrometheus> {
    const dir = mkdtempSync(join(tmpdir(), "dashboards-"));
    const replicas = Array.from({ length: count }, () =>
        startReplica({
            command: ["python3", "-m", "vllm.entrypoints.openai.api_server", "--model", served],
            env: {},
            port: 0,
            speed: 10_000,
            log: () => undefined,
        }),
    );
    while (!replicas.every(({ ready }) => ready)) await sleep(50);
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    mkdirSync(join(dir, "data"));
    const labels = { severity: "page", model: model.name };
    const firing = alert === undefined ? [] : [{ name: "test", rules: [{ alert, expr: "vector(1)", labels }] }];
    writeFileSync(join(dir, "rules.yaml"), stringify({ groups: [...allRules([model]), ...firing] }));
    const targets = replicas.map((replica, index) => ({
        targets: [`127.0.0.1:${replica.port}`],
        ...(model.relayed && { labels: { replica: String(index) } }),
    }));
    const config = {
        global: { scrape_interval: "1s", evaluation_interval: "1s" },
        rule_files: ["rules.yaml"],
        scrape_configs: [
            { job_name: `vllm-${model.name}`, static_configs: targets },
            { job_name: "prometheus", static_configs: [{ targets: [`127.0.0.1:${port}`] }] },
        ],
    };
    writeFileSync(join(dir, "prometheus.yaml"), stringify(config));
    const { bin } = await ensureToolchain({ log: () => undefined });
    const prometheus = await startChild({
        program: bin.prometheus,
        args: [
            `--config.file=${join(dir, "prometheus.yaml")}`,
            `--storage.tsdb.path=${join(dir, "data")}`,
            `--web.listen-address=127.0.0.1:${port}`,
            "--log.level=error",
        ],
        logFile: join(dir, "prometheus.log"),
    });
    while (
        !(await fetch(`${url}/-/ready`).then(
            ({ ok }) => ok,
            () => false,
        ))
    ) {
        await sleep(100);
    }

    let asking = true;
    const workers: Promise<void>[] = [];
    const work = async (to: number): Promise<void> => {
        while (asking) {
            const body = { model: served, max_tokens: 16, messages: [{ role: "user", content: "hello" }] };
            const call = fetch(`http://127.0.0.1:${to}/v1/chat/completions`, {
                method: "POST",
                headers: { "content-type": "application/json" },
                body: JSON.stringify(body),
            });
            await call.then((answer) => answer.text());
            await sleep(100);
        }
    };
    return {
        url,
        load(each) {
            for (const { port: to } of replicas) workers.push(...Array.from({ length: each }, () => work(to)));
        },
        async close() {
            asking = false;
            await Promise.all(workers);
            await prometheus.stop();
            await Promise.all(replicas.map((replica) => replica.stop()));
            rmSync(dir, { recursive: true, force: true });
        },
    };
}
