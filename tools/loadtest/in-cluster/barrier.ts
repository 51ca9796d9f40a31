import { connect, createServer, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * A point that several processes on several machines pass at one moment, whatever their clocks say: all are connected to the
 * first, which measures how long a message takes to each and tells each how long to wait.
 */
export interface Barrier {
    /** Resolves once all have come here, with the common moment, by this machine's `process.hrtime`. */
    pass(): Promise<bigint>;
    close(): void;
}

/** From the last one's coming to the moment: longer than any message takes. */
const leadMs = 500;
const pings = 5;
const retryMs = 200;

/** The first of `of`, which listens. Resolves when it does; with port 0 it chooses one. */
export async function openBarrier(host: string, port: number, of: number): Promise<Barrier & { port: number }> {
    const peers: Peer[] = [];
    let joined = (): void => undefined;
    const server: Server = createServer({ noDelay: true }, (socket) => {
        peers.push(new Peer(socket));
        joined();
    });
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, host, resolve));
    return {
        port: (server.address() as { port: number }).port,
        async pass() {
            while (peers.length < of - 1) await new Promise<void>((resolve) => (joined = resolve));
            await Promise.all(peers.map((peer) => peer.line("here")));
            const delays = await Promise.all(peers.map((peer) => peer.delayMs()));
            const moment = process.hrtime.bigint() + BigInt(leadMs * 1e6);
            peers.forEach((peer, i) => peer.tell(`go ${leadMs - delays[i]}`));
            return moment;
        },
        close() {
            for (const peer of peers) peer.close();
            server.close();
        },
    };
}

/** One of the others. Resolves when the first one is reached, however long that takes: its name may not be known yet. */
export async function joinBarrier(host: string, port: number): Promise<Barrier> {
    const first = new Peer(await reach(host, port));
    return {
        async pass() {
            first.tell("here");
            for (;;) {
                const [word, milliseconds] = (await first.line()).split(" ");
                if (word === "go") return process.hrtime.bigint() + BigInt(Math.round(Number(milliseconds) * 1e6));
                first.tell("pong");
            }
        },
        close: () => first.close(),
    };
}

async function reach(host: string, port: number): Promise<Socket> {
    for (;;) {
        const socket = connect({ host, port, noDelay: true });
        const connected = await new Promise<boolean>((resolve) => {
            socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
        });
        if (connected) return socket;
        await sleep(retryMs);
    }
}

/** The other end of a connection, line by line. */
class Peer {
    private readonly lines: AsyncIterator<string>;

    constructor(private readonly socket: Socket) {
        socket.on("error", () => undefined); // the lines end
        this.lines = createInterface({ input: socket })[Symbol.asyncIterator]();
    }

    tell(line: string): void {
        this.socket.write(`${line}\n`);
    }

    /** The next line, which has to be this one where one is given. Rejects when the connection has ended. */
    async line(expected?: string): Promise<string> {
        const { done, value } = await this.lines.next();
        if (done) throw new Error("another pod of the load test has gone before it began");
        if (expected !== undefined && value !== expected) throw new Error(`said ${value} where ${expected} was due`);
        return value;
    }

    /** How long a message takes to it: half of the shortest way there and back. */
    async delayMs(): Promise<number> {
        let least = Infinity;
        for (let i = 0; i < pings; i++) {
            const sent = performance.now();
            this.tell("ping");
            await this.line("pong");
            least = Math.min(least, performance.now() - sent);
        }
        return least / 2;
    }

    close(): void {
        this.socket.destroy();
    }
}
