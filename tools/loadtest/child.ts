// One process of several of a load test; started by ChildRunner, told what to do through its pipe.
import type { FromChild, ToChild } from "./processes";
import { Shard } from "./shard";

/** Outcomes go to the parent in batches. */
const batchMs = 200;

let shard: Shard;
const tell = (message: FromChild): void => void process.send!(message);

async function heed(message: ToChild): Promise<void> {
    if (message.kind === "stop") return shard?.stop(message.reason);
    if (message.kind === "run") return shard.run(message.beganAt);
    shard = new Shard(message.task, tell, batchMs);
    await shard.prepare();
    tell({ kind: "ready" });
}

// The parent hears a terminal's Ctrl-C too, and says what is to be done.
process.on("SIGINT", () => undefined);
// Without a parent there is nobody to report to.
process.on("disconnect", () => process.exit());
process.on("message", (message: ToChild) => {
    heed(message).catch((error: unknown) => tell({ kind: "fault", message: (error as Error).message }));
});
