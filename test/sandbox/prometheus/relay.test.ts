import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeCertificates } from "../../../sandbox/ovhcloud/certificates";
import { startRelay } from "../../../sandbox/prometheus/relay";
import { relayFiles } from "../../../src/monitoring/relay/manifests";
import { loadBalancer, SimulatedReplica, type LoadBalancer } from "../../monitoring/relay/load-balancer";

const folder = mkdtempSync(join(tmpdir(), "local-relay-"));
const caFile = join(folder, "ca.pem");
let balancer: LoadBalancer;

beforeAll(async () => {
    const tls = await makeCertificates();
    writeFileSync(caFile, tls.ca);
    const replicas = [1, 2, 3].map((n) => new SimulatedReplica({ startTime: 1764000000 + n }));
    balancer = await loadBalancer({ strategy: "round robin", replicas, tls });
});
afterAll(async () => {
    await balancer.close();
    rmSync(folder, { recursive: true });
});

const mountedOf = (url: string) => ({
    files: relayFiles({ url, interval: 15, replicas: { min: 1, max: 3 } }),
    secrets: { token: "a-token\n" },
});

describe("startRelay", () => {
    it("runs the ConfigMap's program over HTTPS, as a process of this machine", async () => {
        const relay = await startRelay({ dir: join(folder, "a"), mounted: mountedOf(balancer.url), caFile });
        try {
            expect(relay.address).toMatch(/^127\.0\.0\.1:\d+$/);
            const answer = await fetch(`http://${relay.address}/replicas`);
            expect(answer.status).toBe(200);
            const names = [...(await answer.text()).matchAll(/^process_start_time_seconds\{replica="(\w+)"/gm)];
            expect(new Set(names.map(([, name]) => name)).size).toBe(3);
            const own = await (await fetch(`http://${relay.address}/metrics`)).text();
            const end = /^vllm_relay_certificate_expiry_timestamp_seconds (\d+)$/m.exec(own)![1];
            expect(Number(end)).toBeGreaterThan(Date.now() / 1000 + 300 * 86400);
        } finally {
            await relay.stop();
        }
        await expect(fetch(`http://${relay.address}/healthz`)).rejects.toThrow();
    });

    it("does not trust a certificate of another authority", async () => {
        const other = join(folder, "other.pem");
        writeFileSync(other, (await makeCertificates()).ca);
        const relay = await startRelay({ dir: join(folder, "b"), mounted: mountedOf(balancer.url), caFile: other });
        try {
            const answer = await fetch(`http://${relay.address}/replicas`);
            expect(answer.status).toBe(503);
            expect(await answer.text()).toMatch(/\d certificate\n/);
        } finally {
            await relay.stop();
        }
    });

    it("says why it does not start", async () => {
        const mounted = mountedOf(balancer.url);
        mounted.files["config.json"] = "{";
        await expect(startRelay({ dir: join(folder, "c"), mounted, caFile })).rejects.toThrow(/JSON/);
    });
});
