import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Release } from "../../../sandbox/toolchain/releases";

/** What a publisher does with one file. */
export interface Published {
    body: Buffer;
    /** Ends the connection after this many bytes of an answer, with time for them to arrive. */
    cutAfter?: number;
    /** Gives this many bytes every 20 ms. */
    drip?: number;
    /** Answers the first so many requests with 503. */
    busy?: number;
    /** Does not know of parts: gives the whole file each time. */
    noRanges?: boolean;
    redirect?: string;
    /** The token without which it answers 401, and where it is given. */
    token?: { value: string; realm: string };
}

/** Stands for the servers that publish tools: paths are `/HOST/PATH`, as at a mirror. */
export class Publisher {
    readonly files: Record<string, Published> = {};
    /** `METHOD PATH`, and the range asked for. */
    readonly asked: string[] = [];

    private constructor(private readonly server: Server) {}

    static async start(): Promise<Publisher> {
        const server = createServer();
        const publisher = new Publisher(server);
        server.on("request", (incoming, answer) => void publisher.serve(incoming, answer));
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        return publisher;
    }

    get port(): number {
        return (this.server.address() as AddressInfo).port;
    }

    get url(): string {
        return `http://127.0.0.1:${this.port}`;
    }

    async stop(): Promise<void> {
        this.server.closeAllConnections();
        await new Promise((resolve) => this.server.close(resolve));
    }

    /** Puts a release where its publisher has it, made up of this content by name, and says its checksums as the publisher does. */
    publish({ files }: Release, content: (name: string) => Buffer | string): void {
        for (const { url, checksums, take } of files) {
            const members = Object.entries(take).map(([name, member]) => [member, content(name)] as const);
            const body = members[0][0] === "" ? Buffer.from(members[0][1]) : archive(Object.fromEntries(members));
            if (!checksums) {
                this.publishImage(url, body);
                continue;
            }
            this.files[pathOf(url)] = { body };
            const said = checksums.startsWith("https://api.github.com/")
                ? JSON.stringify({
                      assets: [{ name: "other" }, { name: basename(url), digest: `sha256:${sha256(body)}` }],
                  })
                : checksums.endsWith(".sha256")
                  ? sha256(body)
                  : `${sha256("other")}  other.zip\n${sha256(body)}  ${basename(url)}\n`;
            this.files[pathOf(checksums)] = { body: Buffer.from(said) };
        }
    }

    /** As a registry does it that wants a token of everybody. */
    private publishImage(image: string, layer: Buffer): void {
        const [, host, name, tag] = /^docker:\/\/([^/]+)\/(.+):(.+)$/.exec(image)!;
        const base = `/${host}/v2/${name}`;
        const token = { value: "made-up-token", realm: `https://${host}/v2/auth` };
        const put = (at: string, value: unknown): string => {
            const body = Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value));
            this.files[`${base}/${at.replace("DIGEST", `sha256:${sha256(body)}`)}`] = { body, token };
            return `sha256:${sha256(body)}`;
        };
        const first = put("blobs/DIGEST", Buffer.from("the base"));
        const last = put("blobs/DIGEST", layer);
        const manifest = put("manifests/DIGEST", { layers: [{ digest: first }, { digest: last }] });
        const architecture = process.arch === "x64" ? "amd64" : process.arch;
        const others = [{ digest: first, platform: { os: "linux", architecture: "s390x" } }];
        put(`manifests/${tag}`, {
            manifests: [...others, { digest: manifest, platform: { os: "linux", architecture } }],
        });
        const granted = `/${host}/v2/auth?service=registry&scope=repository%3Ax%3Apull`;
        this.files[granted] = { body: Buffer.from(JSON.stringify({ token: token.value })) };
    }

    private async serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
        answer.on("error", () => undefined);
        const { range } = incoming.headers;
        this.asked.push(`${incoming.method} ${incoming.url}${range ? ` ${range}` : ""}`);
        const file = this.files[incoming.url!];
        if (!file) return void answer.writeHead(404).end();
        if (file.redirect) return void answer.writeHead(302, { location: file.redirect }).end();
        if (file.busy) {
            file.busy--;
            return void answer.writeHead(503).end();
        }
        if (file.token && incoming.headers.authorization !== `Bearer ${file.token.value}`) {
            const challenge = `Bearer realm="${file.token.realm}",service="registry",scope="repository:x:pull"`;
            return void answer.writeHead(401, { "www-authenticate": challenge }).end();
        }
        const from = range && !file.noRanges ? Number(/^bytes=(\d+)-$/.exec(range)![1]) : 0;
        if (from >= file.body.length) return void answer.writeHead(416).end();
        const rest = file.body.subarray(from);
        answer.writeHead(from > 0 ? 206 : 200, {
            "content-length": rest.length,
            ...(from > 0 ? { "content-range": `bytes ${from}-${file.body.length - 1}/${file.body.length}` } : {}),
        });
        if (incoming.method === "HEAD") return void answer.end();
        for (let sent = 0; file.drip && sent < rest.length && !answer.destroyed; sent += file.drip) {
            answer.write(rest.subarray(sent, sent + file.drip));
            await sleep(20);
        }
        if (file.drip) return void answer.end();
        if (file.cutAfter === undefined || file.cutAfter >= rest.length) return void answer.end(rest);
        answer.write(rest.subarray(0, file.cutAfter), () => setTimeout(() => answer.destroy(), 300));
    }
}

export function sha256(body: Buffer | string): string {
    return createHash("sha256").update(body).digest("hex");
}

/** Where a URL's file lies at a mirror. */
export function pathOf(url: string): string {
    return url.replace(/^https:\//, "");
}

/** A tar archive of these files. */
export function archive(files: Record<string, Buffer | string>): Buffer {
    const dir = mkdtempSync(join(tmpdir(), "packed-"));
    try {
        const folder = join(dir, "files");
        for (const [name, content] of Object.entries(files)) {
            mkdirSync(dirname(join(folder, name)), { recursive: true });
            writeFileSync(join(folder, name), content, { mode: 0o755 });
        }
        const packed = join(dir, "packed.tar.gz");
        const { status, stderr } = spawnSync("tar", ["-czf", packed, "-C", folder, ...readdirSync(folder)], {
            encoding: "utf8",
        });
        if (status !== 0) throw new Error(`tar: ${stderr}`);
        return readFileSync(packed);
    } finally {
        rmSync(dir, { recursive: true });
    }
}
