import { fork, type ChildProcess } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Result } from "./evaluate";
import type { Problem, Setting } from "./problem";
import type { Limits } from "./world";

/** One run of a problem. */
export type Task =
    | {
          setting: Setting;
          limits?: Limits;
          seed?: number;
          /** In a world that differs in this from the problem's. */
          change?: Partial<Problem>;
      }
    /** With so many replicas from the beginning of each interval on, as one would choose them who knows what comes. */
    | { every: number; replicas: number[]; change?: Partial<Problem> };

/** Runs tasks of one problem on all cores. */
export class Pool {
    private readonly workers: ChildProcess[];
    /** What the world of all tasks differs in from that of the problem. */
    change: Partial<Problem> = {};

    /**
     * @param signal ends it: what has not begun by then is left out
     * @param done told of each run that has ended
     */
    constructor(
        problem: Problem,
        private readonly signal: AbortSignal | undefined,
        private readonly done: () => void,
    ) {
        this.workers = Array.from({ length: availableParallelism() }, () => {
            // Infinity and NaN are numbers here, which JSON has not.
            const worker = fork(join(__dirname, "worker.ts"), {
                execArgv: ["--import", "tsx"],
                serialization: "advanced",
                // Ctrl-C in the terminal reaches all of a group; it is for the one that was asked, which has a report to make.
                detached: true,
            });
            worker.send(problem);
            return worker;
        });
    }

    /** What each comes to, in the order given; undefined for one that went beyond its limits, or was left out. */
    async run(tasks: Task[]): Promise<(Result | undefined)[]> {
        const results: (Result | undefined)[] = [];
        let next = 0;
        await Promise.all(
            this.workers.map(async (worker) => {
                while (next < tasks.length && !this.signal?.aborted) {
                    const at = next++;
                    results[at] = await answer(worker, {
                        ...tasks[at],
                        change: { ...this.change, ...tasks[at].change },
                    });
                    this.done();
                }
            }),
        );
        return tasks.map((_, at) => results[at]);
    }

    /** Those of the results that there are. */
    async runAll(tasks: Task[]): Promise<Result[]> {
        return (await this.run(tasks)).filter((result) => result !== undefined);
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
