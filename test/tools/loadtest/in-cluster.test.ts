import { KubeConfig, type V1Job } from "@kubernetes/client-node";
import { mkdtempSync, rmSync, writeFileSync, appendFileSync } from "node:fs";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, it } from "vitest";
import { makeCertificates } from "../../../sandbox/ovhcloud/certificates";
import { loadConfig } from "../../../tools/loadtest/config";
import { joinBarrier, openBarrier } from "../../../tools/loadtest/in-cluster/barrier";
import { FrameReader, frameWriter } from "../../../tools/loadtest/in-cluster/frames";
import { loadtestJob, loadtestParts } from "../../../tools/loadtest/in-cluster/manifests";
import { outputOfCluster, outputOfFiles } from "../../../tools/loadtest/in-cluster/pod-output";

const dir = mkdtempSync(join(tmpdir(), "in-cluster-"));
afterAll(() => rmSync(dir, { recursive: true }));

describe("messages in a pod's output", () => {
    const written = (messages: unknown[]): string[] => messages.map(frameWriter()).map((line) => line.trimEnd());

    it("come as they were, histograms too, whatever else is printed", () => {
        const messages = [
            { kind: "began", inMs: 1.5 },
            { counts: new Map([[3, 4]]), values: Float64Array.of(1, NaN) },
        ];
        const reader = new FrameReader();
        const read = ["(node:1) Warning", ...written(messages), ""].map((line) => reader.read(line));
        expect(read).toEqual([undefined, ...messages, undefined]);
        expect(reader.said).toEqual(["(node:1) Warning"]);
    });

    it("come once when the output is read again, and what is missing is noticed", () => {
        const [a, b, c] = written(["a", "b", "c"]);
        const reader = new FrameReader();
        expect([a, b, a, b].map((line) => reader.read(line))).toEqual(["a", "b", undefined, undefined]);
        expect(reader.read(c)).toBe("c");
        const other = new FrameReader();
        other.read(a);
        expect(() => other.read(c)).toThrow("lost");
    });
});

describe("the start that pods have in common", () => {
    it("is for all after the last one has come, twice", async () => {
        const first = await openBarrier("127.0.0.1", 0, 3);
        const others = await Promise.all([1, 2].map(() => joinBarrier("127.0.0.1", first.port)));
        for (let round = 0; round < 2; round++) {
            const early = [first, others[0]].map((one) => one.pass());
            await sleep(50);
            const came = process.hrtime.bigint();
            const moments = await Promise.all([...early, others[1].pass()]);
            for (const moment of moments) expect(moment).toBeGreaterThan(came);
        }
        for (const one of [...others, first]) one.close();
    });

    it("does not come when one has gone", async () => {
        const first = await openBarrier("127.0.0.1", 0, 2);
        const other = await joinBarrier("127.0.0.1", first.port);
        other.close();
        await expect(first.pass()).rejects.toThrow("has gone before it began");
        first.close();
    });

    it("is waited for by a pod that comes before the first one listens", async () => {
        const probe = await openBarrier("127.0.0.1", 0, 1);
        probe.close();
        const joining = joinBarrier("127.0.0.1", probe.port);
        await sleep(50);
        const first = await openBarrier("127.0.0.1", probe.port, 2);
        const other = await joining;
        await Promise.all([first.pass(), other.pass()]);
        for (const one of [other, first]) one.close();
    });
});

describe("what pods print", () => {
    it("is read from the API server, again after it was cut off, and an answer that is none is an error", async () => {
        const tls = await makeCertificates();
        const asked: string[] = [];
        const server = createServer({ key: tls.key, cert: tls.certificate }, (request, response) => {
            asked.push(`${request.url}`);
            if (asked.length === 3) return void response.writeHead(400).end("ContainerCreating");
            response.writeHead(200);
            response.write("one\ntwo\nthr");
            if (asked.length === 1) setTimeout(() => response.destroy(), 50);
            else response.end("ee\n");
        });
        await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
        const kubernetes = new KubeConfig();
        kubernetes.loadFromClusterAndUser(
            {
                name: "test",
                server: `https://127.0.0.1:${(server.address() as { port: number }).port}`,
                caData: Buffer.from(tls.ca).toString("base64"),
                skipTLSVerify: false,
            },
            { name: "test" },
        );
        const follow = outputOfCluster(kubernetes, "monitoring");
        const lines: string[] = [];
        await follow("pod-0", (line) => lines.push(line));
        await follow("pod-0", (line) => lines.push(line), 31.2);
        // Half a line is none.
        expect(lines).toEqual(["one", "two", "one", "two", "three"]);
        await expect(follow("pod-0", () => undefined)).rejects.toThrow("answers 400 to the log of pod pod-0");
        const path = "/api/v1/namespaces/monitoring/pods/pod-0/log?follow=true";
        expect(asked).toEqual([path, `${path}&sinceSeconds=32`, path]);
        server.close();
    });

    it("is read from a file, line by line, until the pod has ended", async () => {
        let ended = false;
        const lines: string[] = [];
        const done = outputOfFiles(dir, () => ended)("a", (line) => lines.push(line));
        await sleep(20);
        writeFileSync(join(dir, "a.log"), "one\ntw");
        await sleep(250);
        expect(lines).toEqual(["one"]);
        appendFileSync(join(dir, "a.log"), "o\n");
        ended = true;
        await done;
        expect(lines).toEqual(["one", "two"]);
    });
});

describe("the objects in the cluster", () => {
    const task = { model: "m", endpoint: { baseUrl: "https://made-up.example/v1", token: "made-up-token" }, pods: 2 };
    const job: V1Job = { ...loadtestJob("vllm-loadtest-aaaaaa", 2) };
    job.metadata = { ...job.metadata, uid: "0-1" };

    it("belong to the Job, the token stands in the Secret alone, and the program is one file", () => {
        const parts = loadtestParts(job, { ...task, config: loadConfig({ workers: 1 }) });
        for (const { metadata } of Object.values(parts)) expect(metadata?.ownerReferences?.[0].uid).toBe("0-1");
        const { secret, ...rest } = parts;
        expect(JSON.stringify(secret)).toContain("made-up-token");
        expect(JSON.stringify({ job, ...rest })).not.toContain("made-up-token");
        expect(rest.configMap.data!["pod.cjs"]).not.toMatch(/require\("(?!node:)[^"]+"\)/);
    });

    it("take a dataset along, and refuse one that a Secret does not hold", () => {
        const dataset = join(dir, "a.jsonl");
        writeFileSync(dataset, '{"prompt":"Why?"}\n');
        const given = { ...task, config: loadConfig({ dataset }) };
        const { stringData } = loadtestParts(job, given).secret;
        expect(stringData!["dataset.jsonl"]).toContain("Why?");
        expect(stringData!["task.json"]).not.toContain(dir);
        writeFileSync(dataset, "x".repeat(2 ** 20));
        expect(() => loadtestParts(job, given)).toThrow(/a shorter --dataset/);
    });
});
