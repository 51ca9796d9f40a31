import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { startChild, type Child } from "../../sandbox/prometheus/child";
import type { PulumiRun } from "../../sandbox/pulumi-cli";
import { ensureToolchain } from "../../sandbox/toolchain/toolchain";
import { ask } from "../../tools/http";
import { followRunbook } from "./runbook";

// The lines of the runbook with real `tar` and two real Prometheus: the sandbox has no pods, so that `kubectl exec` is a
// stand-in that runs a command here, with the paths of the container that it names.
const folder = mkdtempSync(join(tmpdir(), "backup-"));
const calls = join(folder, "kubectl.log");
let prometheusProgram: string;
const running: Child[] = [];

const kubectl = `#!/bin/bash
echo "$*" >> '${calls}'
[[ $1 == exec ]] || exit 0
while [[ $1 != -- ]]; do shift; done
shift
if [[ $1 == wget ]]; then exec curl -fsS -X POST "http://$PROMETHEUS/\${4#http://127.0.0.1:9090/}"; fi
args=("$@")
args=("\${args[@]/#\\/prometheus/$CONTAINERS/prometheus}")
exec "\${args[@]/#\\/var\\/lib\\/grafana/$CONTAINERS/grafana}"
`;

beforeAll(async () => {
    const { bin } = await ensureToolchain({ log: () => undefined, wanted: ["prometheus"] });
    prometheusProgram = bin.prometheus;
    mkdirSync(join(folder, "bin"));
    writeFileSync(join(folder, "bin/kubectl"), kubectl, { mode: 0o755 });
});
afterEach(async () => {
    for (const child of running.splice(0)) await child.stop();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Volumes of a cluster: a folder with Grafana's and Prometheus' data, and Prometheus on it, which scrapes itself. */
async function startCluster(name: string): Promise<{ containers: string; address: string; stop: () => Promise<void> }> {
    const containers = join(folder, name);
    for (const part of ["grafana", "prometheus"]) mkdirSync(join(containers, part), { recursive: true });
    const logFile = join(containers, `prometheus-${Date.now()}.log`);
    const config = join(containers, "prometheus.yaml");
    // What it is to scrape is not known before it has a port.
    writeFileSync(config, "{}\n");
    const child = await startChild({
        program: prometheusProgram,
        args: [
            ...[`--config.file=${config}`, `--storage.tsdb.path=${containers}/prometheus`],
            ...["--web.listen-address=127.0.0.1:0", "--web.enable-admin-api"],
        ],
        logFile,
    });
    running.push(child);
    const address = await vi.waitFor(() => {
        const found = /msg="Listening on".* address=(\S+)/.exec(readFileSync(logFile, "utf8"));
        expect(found).not.toBeNull();
        return found![1];
    }, 60_000);
    const job = { job_name: name, scrape_interval: "1s", static_configs: [{ targets: [address] }] };
    writeFileSync(config, JSON.stringify({ scrape_configs: [job] }));
    process.kill(child.pid, "SIGHUP");
    await vi.waitFor(async () => expect((await ask(`http://${address}/-/ready`)).status).toBe(200), 60_000);
    return { containers, address, stop: () => child.stop() };
}

/** How many samples of a cluster's own job a Prometheus has. */
async function samplesOf(job: string, address: string): Promise<number> {
    const query = encodeURIComponent(`count_over_time(up{job="${job}"}[1h])`);
    const { body } = await ask(`http://${address}/api/v1/query?query=${query}`);
    const { data } = JSON.parse(body) as { data: { result: { value: [number, string] }[] } };
    return Number(data.result[0]?.value[1] ?? 0);
}

const shellOf = ({ containers, address }: { containers: string; address: string }) => ({
    shell: (script: string): Promise<PulumiRun> => {
        const PATH = `${folder}/bin:${process.env.PATH}`;
        const env = { ...process.env, PATH, CONTAINERS: containers, PROMETHEUS: address };
        return new Promise((resolve) => {
            execFile("bash", ["--norc", "-ec", script], { cwd: folder, env }, (error, stdout, stderr) =>
                resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
            );
        });
    },
});

it(
    "what a backup holds is in the new cluster afterwards, beside what it has gathered itself",
    { timeout: 120_000 },
    async () => {
        const first = await startCluster("first");
        writeFileSync(join(first.containers, "grafana/grafana.db"), "dashboards made by hand");
        await vi.waitFor(async () => expect(await samplesOf("first", first.address)).toBeGreaterThan(2), 60_000);
        const before = await samplesOf("first", first.address);
        let stage = shellOf(first);
        const saved = await followRunbook(stage, "Back up Grafana and Prometheus");
        expect(saved.code, saved.stderr).toBe(0);
        expect(saved.stdout).toContain('"status":"success"');
        await first.stop();

        const second = await startCluster("second");
        await vi.waitFor(async () => expect(await samplesOf("second", second.address)).toBeGreaterThan(0), 60_000);
        stage = shellOf(second);
        const restored = await followRunbook(stage, "Restore Grafana and Prometheus");
        expect(restored.code, restored.stderr).toBe(0);
        expect(readFileSync(join(second.containers, "grafana/grafana.db"), "utf8")).toBe("dashboards made by hand");
        // As the pod that was deleted, it begins anew on the same volume.
        expect(readFileSync(calls, "utf8")).toContain("delete pod -n monitoring prometheus-monitoring-prometheus-0");
        await second.stop();
        const again = await startCluster("second");
        expect(await samplesOf("first", again.address)).toBeGreaterThanOrEqual(before);
        expect(await samplesOf("second", again.address)).toBeGreaterThan(0);
    },
);
