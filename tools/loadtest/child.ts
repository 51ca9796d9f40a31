// One process of several of a load test; started by ChildRunner, told what to do through its pipe.
import type { Outcome } from "./outcome";
import { Results } from "./outcome";
import { HereRunner, type FromChild, type ToChild } from "./processes";

/** Outcomes go to the parent in batches. */
const batchMs = 200;

let runner: HereRunner;
let batch: Outcome[] = [];
let cancelled = 0;
const gaps = new Results();

const tell = (message: FromChild): void => void process.send!(message);

function flush(): void {
    if (batch.length === 0 && cancelled === 0) return;
    tell({ kind: "outcomes", outcomes: batch, cancelled, running: runner.running });
    batch = [];
    cancelled = 0;
}

async function heed(message: ToChild): Promise<void> {
    if (message.kind === "stop") return runner?.stop(message.reason);
    if (message.kind === "task") {
        runner = new HereRunner(message.task, {
            outcome: (outcome, between) => {
                batch.push(outcome);
                gaps.addGaps(outcome.phase, outcome.lengthClass, between);
            },
            cancelled: () => cancelled++,
        });
        await runner.prepare();
        return tell({ kind: "ready" });
    }
    const timer = setInterval(flush, batchMs);
    const end = await runner.run(message.beganAt);
    clearInterval(timer);
    flush();
    tell({ kind: "end", end, gaps: gaps.gapContents() });
}

// The parent hears a terminal's Ctrl-C too, and says what is to be done.
process.on("SIGINT", () => undefined);
// Without a parent there is nobody to report to.
process.on("disconnect", () => process.exit());
process.on("message", (message: ToChild) => {
    heed(message).catch((error: unknown) => tell({ kind: "fault", message: (error as Error).message }));
});
