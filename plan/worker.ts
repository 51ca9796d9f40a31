// A thread of its own that runs settings of one problem, one after the other.
import { parentPort, workerData } from "node:worker_threads";
import { evaluate } from "./evaluate";
import type { Task } from "./pool";
import type { Problem } from "./problem";

const problem = workerData as Problem;
parentPort!.on("message", ({ setting, limits, seed }: Task) => {
    parentPort!.postMessage(evaluate(problem, setting, limits, seed));
});
