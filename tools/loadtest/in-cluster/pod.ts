// What a pod of a load test runs, bundled into one file: its share of the task, from a start that all pods have in common.
// `node pod.cjs --task=FILE --listen=HOST:PORT --first=HOST:PORT`; JOB_COMPLETION_INDEX is its number, and the first one listens.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { MachineObserver } from "../self-report";
import { Shard } from "../shard";
import { joinBarrier, openBarrier } from "./barrier";
import { frameWriter } from "./frames";
import { toldToEnd, type FromPod, type PodTask } from "./messages";

/** Outcomes go to the output in batches: its lines are read from afar. */
const batchMs = 1000;

async function main(): Promise<void> {
    const text = { type: "string" as const };
    const { values } = parseArgs({ options: { task: text, listen: text, first: text } });
    const { pods, ...task } = JSON.parse(readFileSync(values.task!, "utf8")) as PodTask;
    const { config } = task;
    // It lies beside the task.
    if (config.dataset !== undefined) config.dataset = join(dirname(values.task!), config.dataset);
    const index = Number(process.env.JOB_COMPLETION_INDEX);
    const [host, port] = (index === 0 ? values.listen! : values.first!).split(":");
    const frame = frameWriter();
    const tell = (message: FromPod): void => void process.stdout.write(frame(message));

    const machine = new MachineObserver();
    const shard = new Shard(
        { ...task, share: { index, of: pods } },
        (message) =>
            tell(
                message.kind === "end" ? { ...message, end: { ...message.end, machineCpu: machine.busy() } } : message,
            ),
        batchMs,
    );
    let begun = false;
    process.on("SIGTERM", () => (begun ? shard.stop(toldToEnd) : process.exit(143)));
    const barrier = index === 0 ? await openBarrier(host, Number(port), pods) : await joinBarrier(host, Number(port));
    // First all are there, then all open connections: none waits on those that it has opened.
    await barrier.pass();
    await shard.prepare();
    const moment = await barrier.pass();
    begun = true;
    tell({ kind: "began", inMs: Number(moment - process.hrtime.bigint()) / 1e6 });
    await shard.run(moment);
    barrier.close();
}

main().then(
    () => process.exit(0),
    (error: Error) => {
        console.error(error.message);
        process.exit(1);
    },
);
