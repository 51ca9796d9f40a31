import { Connection, type Connector } from "./connection";

/** Streams that an open loop may have under way; what is due beyond is not sent, and counts as a failure of the client. */
export const mostStreams = 20_000;
/** So many connections are opened at once before a run. */
const openAtOnce = 64;

/** The connections of one process' load: those of workers, and those of an open loop, which wait for its next arrival. */
export class LoadConnections {
    private readonly all = new Set<Connection>();
    /** Without a request; the last one used comes last. */
    private readonly idle: Connection[] = [];

    constructor(
        private readonly connector: Connector,
        private readonly ageSeconds: number,
    ) {}

    make(): Connection {
        const connection = new Connection(this.connector, this.ageSeconds);
        this.all.add(connection);
        return connection;
    }

    makeIdle(count: number): Connection[] {
        for (let i = 0; i < count; i++) this.idle.push(this.make());
        return this.idle;
    }

    /** Opens these. One that cannot be opened is tried again when it is needed. */
    async open(connections: Connection[]): Promise<void> {
        const queue = connections.values();
        const openNext = async (): Promise<void> => {
            for (const connection of queue) await connection.open().catch(() => undefined);
        };
        await Promise.all(Array.from({ length: openAtOnce }, openNext));
    }

    /** An open connection without a request, else a new one. Those that are too old, or that the server has closed, go. */
    takeIdle(): Connection {
        for (let i = this.idle.length - 1; i >= 0; i--) {
            const connection = this.idle[i];
            if (connection.pending) continue;
            this.idle.splice(i, 1);
            if (connection.ready) return connection;
            this.drop(connection);
        }
        return this.make();
    }

    putIdle(connection: Connection): void {
        this.idle.push(connection);
    }

    /** Opens some more than are needed now: that of the next arrival is to be open already. */
    keepReserve(running: number): void {
        while (this.idle.length < 2 + running / 10 && this.all.size < mostStreams) {
            const spare = this.make();
            this.idle.unshift(spare);
            void spare.open().catch(() => undefined);
        }
    }

    drop(connection: Connection): void {
        connection.close();
        this.all.delete(connection);
    }

    /** Drops them all; requests on them fail with this error. */
    close(error?: Error): void {
        for (const connection of this.all) connection.close(error);
    }
}
