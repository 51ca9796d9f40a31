import { connect } from "net";

const everyMs = 500;

/** The engine's address, `127.0.0.1:PORT`, where this is Pulumi's own provider process for Node. */
function dynamicProvidersEngine(): string | undefined {
    return /dynamic-provider/.test(process.argv[1] ?? "") ? process.argv[2] : undefined;
}

/**
 * Ends this process when Pulumi's engine is gone, as after `kill -9`: Pulumi does not do that by itself. What it went on
 * doing nobody would learn of, and the next run may be at work on the same app already: half-way through a deletion,
 * this process would delete what that one has just started.
 */
export function endWithEngine(engine = dynamicProvidersEngine()): void {
    const [host, port] = (engine ?? "").split(":");
    if (!(Number(port) > 0)) return;
    const look = (): void => {
        const socket = connect({ host, port: Number(port) });
        socket.once("connect", () => {
            socket.destroy();
            setTimeout(look, everyMs).unref();
        });
        socket.once("error", (error: NodeJS.ErrnoException) => {
            // Nobody listens there any more; anything else says nothing about the engine.
            if (error.code === "ECONNREFUSED") process.exit(1);
            setTimeout(look, everyMs).unref();
        });
        socket.unref();
    };
    look();
}
