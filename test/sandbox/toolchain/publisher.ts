import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

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
