import { Duplex } from "node:stream";

/**
 * Both ends of a connection inside this process. HTTP runs over it as over TCP, without the kernel: a gateway that shares
 * its thread with the replicas would otherwise accept one connection per turn of the event loop, and wait for it.
 */
export function localConnection(): [Duplex, Duplex] {
    const [one, other] = [new End(), new End()];
    one.other = other;
    other.other = one;
    return [one, other];
}

class End extends Duplex {
    other!: End;
    /** Called once what was written to this end has been taken. */
    private taken?: () => void;

    override _read(): void {
        const taken = this.taken;
        this.taken = undefined;
        taken?.();
    }

    override _write(chunk: Buffer, _: string, done: () => void): void {
        this.other.taken = done;
        this.other.push(chunk);
    }

    override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
        this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "buffer", done);
    }

    override _final(done: () => void): void {
        this.other.push(null);
        done();
    }

    /** Either end's end is the other's, too: what has arrived can still be read, then it closes. */
    override _destroy(error: Error | null, done: (error: Error | null) => void): void {
        done(error);
        const { other } = this;
        if (other.destroyed) return;
        if (this.writableFinished) other.push(null);
        else other.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }));
    }
}
