import type { FromShard, Task } from "../processes";

/** What a pod of a load test is told, in a file: the task, and the number of pods. */
export interface PodTask extends Omit<Task, "share"> {
    pods: number;
}

/** What it tells. `began`: the start is so many milliseconds away. */
export type FromPod = FromShard | { kind: "began"; inMs: number };

/** Why a pod ended early that got SIGTERM. */
export const toldToEnd = "a pod of the load test was told to end";
