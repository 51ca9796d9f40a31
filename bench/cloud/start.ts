import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** What to start. */
export interface CloudOrder {
    apps: number;
    /** Of each app, fixed by its autoscaling, whose metric is read all the same. */
    replicas: number;
    /** Platform seconds per real second once all is up. */
    speed: number;
    /** Flags of `vllm serve` beside the model. */
    flags?: string[];
    /** Fields of the app's body that take the place of those. */
    body?: Record<string, unknown>;
}

/** What runs then. */
export interface CloudAnswer {
    urls: string[];
    /** Ids of the apps. */
    ids: string[];
    token: string;
    caFile: string;
    /** URL of the sandbox's controls. */
    controls: string;
    /** Of a replica of the first app. */
    port: number;
    startSeconds: number;
}

/** Of the process, since its start. */
export interface Usage {
    cpuSeconds: number;
    rss: number;
}

/** Starts an emulated OVHcloud in a process of its own, so that what is measured is not the one who measures. */
export async function startBenchCloud(order: CloudOrder): Promise<{
    answer: CloudAnswer;
    usage(): Promise<Usage>;
    close(): Promise<void>;
}> {
    const child = spawn(process.execPath, ["--import", "tsx", join(__dirname, "process.ts"), JSON.stringify(order)], {
        stdio: ["pipe", "pipe", "inherit"],
    });
    const exited = once(child, "exit");
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async <T>(): Promise<T> => {
        const { value, done } = await lines.next();
        if (done) throw new Error("the process with the emulated OVHcloud has ended");
        return JSON.parse(value) as T;
    };
    return {
        answer: await next<CloudAnswer>(),
        async usage() {
            child.stdin.write("\n");
            return next<Usage>();
        },
        async close() {
            child.stdin.end();
            await exited;
        },
    };
}
