import { fork, type ChildProcess } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
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
    private readonly workers: ChildProcess[];

    constructor(problem: Problem, processes = availableParallelism()) {
        this.workers = Array.from({ length: processes }, () => {
            // Infinity and NaN are numbers here, which JSON has not.
            const worker = fork(join(__dirname, "worker.ts"), {
                execArgv: ["--import", "tsx"],
                serialization: "advanced",
            });
            worker.send(problem);
            return worker;
        });
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

    close(): void {
        for (const worker of this.workers) worker.disconnect();
    }
}

function answer(worker: ChildProcess, task: Task): Promise<Result | undefined> {
    return new Promise((resolve, reject) => {
        const ended = (code: number | null): void => reject(new Error(`a process of the search ended (${code})`));
        worker.once("exit", ended);
        worker.once("message", ({ result }: { result: Result | undefined }) => {
            worker.off("exit", ended);
            resolve(result);
        });
        worker.send(task);
    });
}
