import type { KubeConfig } from "@kubernetes/client-node";
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { get, type RequestOptions } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Reads what a pod prints: calls `line` with each line, of the past those of `sinceSeconds` (all, where undefined), some of
 * which may come twice. Resolves when the output, or the connection, has ended; rejects when there is none.
 */
export type PodOutput = (pod: string, line: (text: string) => void, sinceSeconds?: number) => Promise<void>;

/** A connection that brings nothing for so long may be dead: another one is made. */
const silentMs = 30_000;
const lookMs = 100;

/** Through the API server of the cluster. */
export function outputOfCluster(kubernetes: KubeConfig, namespace: string): PodOutput {
    const pods = `${kubernetes.getCurrentCluster()!.server}/api/v1/namespaces/${namespace}/pods`;
    return async (pod, line, sinceSeconds) => {
        const options: RequestOptions = {};
        await kubernetes.applyToHTTPSOptions(options);
        const since = sinceSeconds === undefined ? "" : `&sinceSeconds=${Math.ceil(sinceSeconds)}`;
        await new Promise<void>((resolve, reject) => {
            const call = get(`${pods}/${pod}/log?follow=true${since}`, { ...options, agent: false }, (answer) => {
                if (answer.statusCode !== 200) {
                    answer.resume();
                    reject(new Error(`the cluster's API server answers ${answer.statusCode} to the log of pod ${pod}`));
                    return;
                }
                // Half a line is none: it comes whole when it is read again.
                let rest = "";
                answer.setEncoding("utf8").on("data", (part: string) => {
                    const lines = (rest + part).split("\n");
                    rest = lines.pop()!;
                    lines.forEach(line);
                });
                answer.on("error", () => resolve()); // cut off
                answer.on("end", resolve);
            });
            call.setTimeout(silentMs, () => call.destroy());
            call.on("error", reject);
        });
    };
}

/** Of processes of this machine that run in place of pods: files of a folder, each named as its pod. */
export function outputOfFiles(folder: string, ended: (pod: string) => boolean): PodOutput {
    return async (pod, line) => {
        let read = 0;
        for (;;) {
            // Looked at before: what was written until the end is read.
            const last = ended(pod);
            const lines = linesFrom(`${folder}/${pod}.log`, read);
            read += Buffer.byteLength(lines);
            for (const text of lines.split("\n").slice(0, -1)) line(text);
            if (last) return;
            await sleep(lookMs);
        }
    };
}

/** The whole lines of a file from a place on. */
function linesFrom(file: string, from: number): string {
    if (!existsSync(file)) return "";
    const opened = openSync(file, "r");
    try {
        const rest = Buffer.alloc(fstatSync(opened).size - from);
        readSync(opened, rest, 0, rest.length, from);
        return rest.subarray(0, rest.lastIndexOf("\n") + 1).toString();
    } finally {
        closeSync(opened);
    }
}
