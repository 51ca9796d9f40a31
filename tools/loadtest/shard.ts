import { Results, type Outcome } from "./outcome";
import { HereRunner, type FromShard, type Task } from "./processes";

/** A part of a run in a process of its own, which tells what it measures in batches. */
export class Shard {
    private readonly runner: HereRunner;
    private batch: Outcome[] = [];
    private cancelled: number[] = [];
    private readonly gaps = new Results();

    /** Throws UsageError when a file that the config names cannot be used. */
    constructor(
        task: Task,
        private readonly tell: (message: FromShard) => void,
        private readonly batchMs: number,
    ) {
        this.runner = new HereRunner(task, {
            outcome: (outcome, between) => {
                this.batch.push(outcome);
                this.gaps.addGaps(outcome.phase, outcome.lengthClass, between);
            },
            cancelled: (seconds) => this.cancelled.push(seconds),
        });
    }

    async prepare(): Promise<void> {
        await this.runner.prepare();
    }

    /** See TaskRunner; the end is told, after everything else. */
    async run(beganAt: bigint): Promise<void> {
        const timer = setInterval(() => this.flush(), this.batchMs);
        const end = await this.runner.run(beganAt);
        clearInterval(timer);
        this.flush();
        this.tell({ kind: "end", end, gaps: this.gaps.gapContents() });
    }

    stop(reason: string): void {
        this.runner.stop(reason);
    }

    private flush(): void {
        if (this.batch.length === 0 && this.cancelled.length === 0) return;
        this.tell({
            kind: "outcomes",
            outcomes: this.batch,
            cancelled: this.cancelled,
            running: this.runner.running,
        });
        this.batch = [];
        this.cancelled = [];
    }
}
