import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { Result } from "./evaluate";
import type { Limits } from "./fleet";
import type { Problem, Setting } from "./problem";

/** One setting to run. */
export interface Task {
    setting: Setting;
    limits?: Limits;
    seed?: number;
}

/** Runs settings of one problem on all cores. */
export class Pool {
    private readonly workers: Worker[];

    constructor(problem: Problem, threads = availableParallelism()) {
        this.workers = Array.from(
            { length: threads },
            () => new Worker(join(__dirname, "worker.ts"), { workerData: problem, execArgv: ["--import", "tsx"] }),
        );
    }

    /** What each comes to, in the order given; undefined for one that went beyond its limits. */
    async run(tasks: Task[]): Promise<(Result | undefined)[]> {
        const results: (Result | undefined)[] = [];
        let next = 0;
        await Promise.all(
            this.workers.map(async (worker) => {
                while (next < tasks.length) {
                    const at = next++;
                    results[at] = await answer(worker, tasks[at]);
                }
            }),
        );
        return results;
    }

    async close(): Promise<void> {
        await Promise.all(this.workers.map((worker) => worker.terminate()));
    }
}

function answer(worker: Worker, task: Task): Promise<Result | undefined> {
    return new Promise((resolve, reject) => {
        const settle = (result: Result | undefined): void => {
            worker.off("error", reject);
            resolve(result);
        };
        worker.once("message", settle);
        worker.once("error", reject);
        worker.postMessage(task);
    });
}
