import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { download, type Limits, type Progress } from "../../../sandbox/toolchain/download";
import { Publisher, sha256 } from "./publisher";

const body = randomBytes(300_000);
const path = "/tools.example/etcd.tar.gz";
const url = "https://tools.example/etcd.tar.gz";
const limits: Partial<Limits> = { pauseMilliseconds: 5 };

let publisher: Publisher;
let dir: string;
let file: string;

beforeEach(async () => {
    publisher = await Publisher.start();
    vi.stubEnv("OVH_SANDBOX_MIRROR", publisher.url);
    dir = mkdtempSync(join(tmpdir(), "download tëst-"));
    file = join(dir, "downloads/etcd");
});
afterEach(async () => {
    vi.unstubAllEnvs();
    await publisher.stop();
    rmSync(dir, { recursive: true });
});

const fetchIt = (more: Partial<Parameters<typeof download>[2]> = {}): Promise<void> =>
    download(url, file, { sha256: sha256(body), limits, ...more });

describe("a download", () => {
    it("is there whole, and its progress adds up to its size", async () => {
        publisher.files[path] = { body };
        const told: Progress[] = [];
        await fetchIt({ onProgress: (progress) => told.push(progress) });
        expect(sha256(readFileSync(file))).toBe(sha256(body));
        expect(told.at(-1)).toEqual({ have: body.length, total: body.length });
        expect(told.map(({ have }) => have)).toEqual(told.map(({ have }) => have).sort((a, b) => a - b));
    });

    it("follows redirects", async () => {
        publisher.files[path] = { body, redirect: "/elsewhere" };
        publisher.files["/elsewhere"] = { body };
        await fetchIt();
        expect(sha256(readFileSync(file))).toBe(sha256(body));
    });

    it("goes on where it was cut off", async () => {
        publisher.files[path] = { body, cutAfter: 100_000 };
        await fetchIt();
        expect(sha256(readFileSync(file))).toBe(sha256(body));
        const [whole, ...rests] = publisher.asked;
        expect(whole).toBe(`GET ${path}`);
        const starts = rests.map((asked) => Number(/bytes=(\d+)-$/.exec(asked)![1]));
        // What had come and was not read yet when the connection broke may come twice; nothing is begun anew.
        expect(starts.length).toBeGreaterThanOrEqual(2);
        expect(starts).toEqual([...new Set(starts)].sort((a, b) => a - b));
    });

    it("goes on with what an earlier process has left", async () => {
        publisher.files[path] = { body, cutAfter: 100_000 };
        await expect(fetchIt({ limits: { ...limits, attempts: 0 } })).rejects.toThrow("broke off");
        publisher.files[path] = { body };
        await fetchIt();
        expect(publisher.asked.at(-1)).toMatch(/bytes=[1-9]\d*-$/);
        expect(sha256(readFileSync(file))).toBe(sha256(body));
    });

    it("begins anew where a server gives whole files only, or has no such rest", async () => {
        publisher.files[path] = { body, noRanges: true };
        await fetchIt();
        rmSync(file);
        writeFileSync(`${file}.part`, body.subarray(0, 1000));
        await fetchIt();
        expect(sha256(readFileSync(file))).toBe(sha256(body));
        rmSync(file);
        publisher.files[path] = { body };
        writeFileSync(`${file}.part`, Buffer.concat([body, body]));
        await fetchIt();
        expect(sha256(readFileSync(file))).toBe(sha256(body));
    });

    it("begins anew when what was left was of another file", async () => {
        publisher.files[path] = { body };
        await fetchIt();
        rmSync(file);
        writeFileSync(`${file}.part`, randomBytes(1000));
        await fetchIt();
        expect(sha256(readFileSync(file))).toBe(sha256(body));
    });

    it("waits for a server that is busy", async () => {
        publisher.files[path] = { body, busy: 2 };
        await fetchIt();
        expect(publisher.asked).toHaveLength(3);
    });
});

describe("no download", () => {
    it("comes of a file with another checksum, and nothing of it stays", async () => {
        publisher.files[path] = { body: randomBytes(1000) };
        await expect(fetchIt()).rejects.toThrow(
            new RegExp(`${path} has the sha256 [0-9a-f]{64}, and should have ${sha256(body)}`),
        );
        expect(existsSync(file)).toBe(false);
        expect(existsSync(`${file}.part`)).toBe(false);
    });

    it("comes of an address with nothing at it, which is asked once", async () => {
        await expect(fetchIt()).rejects.toThrow(`${publisher.url}${path} answers 404`);
        expect(publisher.asked).toHaveLength(1);
    });

    it("comes of a server that stays busy, which is asked a few times", async () => {
        publisher.files[path] = { body, busy: 100 };
        await expect(fetchIt()).rejects.toThrow("answers 503");
        expect(publisher.asked).toHaveLength(4);
    });

    it("comes of a server that gives a byte now and then", async () => {
        publisher.files[path] = { body, drip: 10 };
        const slow = { bytes: 100_000, milliseconds: 200 };
        await expect(fetchIt({ limits: { ...limits, slow } })).rejects.toThrow(
            `127.0.0.1:${publisher.port} gives less than 500 kB a second`,
        );
        expect(publisher.asked).toHaveLength(1);
        expect(existsSync(file)).toBe(false);
    });

    it("comes of a server that gives a little and cuts off, again and again", async () => {
        publisher.files[path] = { body, cutAfter: 10 };
        const slow = { bytes: 100_000, milliseconds: 1000 };
        await expect(fetchIt({ limits: { ...limits, slow } })).rejects.toThrow("gives less than 100 kB a second");
        expect(publisher.asked.length).toBeGreaterThan(1);
    });

    it("comes of a redirect to another machine without TLS", async () => {
        publisher.files[path] = { body, redirect: `http://0.0.0.0:${publisher.port}/elsewhere` };
        publisher.files["/elsewhere"] = { body };
        await expect(fetchIt({ limits: { attempts: 1 } })).rejects.toThrow("sends to a server without TLS");
    });

    it("comes of a mirror without TLS on another machine", async () => {
        vi.stubEnv("OVH_SANDBOX_MIRROR", "http://mirror.example");
        await expect(fetchIt({ limits: { attempts: 1 } })).rejects.toThrow(
            "OVH_SANDBOX_MIRROR is http://mirror.example: give an address such as https://mirror.example/downloads",
        );
    });

    it("comes of nobody there", async () => {
        const { port } = publisher;
        await publisher.stop();
        await expect(fetchIt()).rejects.toThrow(`127.0.0.1:${port}: ECONNREFUSED`);
        publisher = await Publisher.start();
    });
});
