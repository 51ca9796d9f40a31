import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { startChild } from "../../sandbox/prometheus/child";
import { ensureToolchain } from "../../sandbox/toolchain/toolchain";

export type Labels = Record<string, string>;

/** An alert as Prometheus sends it. */
export interface SentAlert {
    labels: Labels;
    /** ISO 8601; by default Alertmanager's present, and 5 minutes later. */
    startsAt?: string;
    endsAt?: string;
}

export interface RealAlertmanager {
    /** Of its API, without a slash at the end. */
    url: string;
    send(alerts: SentAlert[]): Promise<void>;
    stop(): Promise<void>;
}

/** Starts an Alertmanager of this configuration and waits until it answers. */
export async function startAlertmanager(config: object): Promise<RealAlertmanager> {
    const { bin } = await ensureToolchain({ log: () => undefined, wanted: ["alertmanager"] });
    const folder = mkdtempSync(join(tmpdir(), "alertmanager-"));
    writeFileSync(join(folder, "alertmanager.yaml"), stringify(config));
    const port = await freePort();
    const url = `http://127.0.0.1:${port}/api/v2`;
    const child = await startChild({
        program: bin.alertmanager,
        args: [
            `--config.file=${join(folder, "alertmanager.yaml")}`,
            `--storage.path=${join(folder, "data")}`,
            `--web.listen-address=127.0.0.1:${port}`,
            "--cluster.listen-address=",
        ],
        logFile: join(folder, "alertmanager.log"),
    });
    await eventually(async () => (await fetch(`${url}/status`).catch(() => undefined))?.ok === true);
    return {
        url,
        async send(alerts) {
            const answer = await fetch(`${url}/alerts`, {
                method: "POST",
                headers: { "content-type": "application/json" },
                body: JSON.stringify(alerts),
            });
            if (!answer.ok) throw new Error(`Alertmanager: ${answer.status} ${await answer.text()}`);
        },
        async stop() {
            await child.stop();
            rmSync(folder, { recursive: true, force: true });
        },
    };
}

/** Until it is so; the test's own time-out is the end of patience. */
export async function eventually(check: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await check())) await new Promise((resolve) => setTimeout(resolve, 50));
}

function freePort(): Promise<number> {
    return new Promise((resolve) => {
        const probe = createServer().listen(0, "127.0.0.1", () => {
            const { port } = probe.address() as AddressInfo;
            probe.close(() => resolve(port));
        });
    });
}
