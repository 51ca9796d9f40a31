import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
    adminPort,
    authorities,
    bootstrapFile,
    doorPort,
    filesFolder,
    metricsPort,
    secretsFolder,
} from "../../src/front-door/envoy";
import { writePrivate } from "../files";
import { freePort } from "../http-server";
import { startChild, type Child } from "../prometheus/child";

/** What the pod of a front door would mount, by file name. */
export interface DoorMounts {
    files: Record<string, string>;
    secrets: Record<string, string>;
}

export interface LocalDoorOptions {
    /** Holds what the pod would mount, and its log. */
    dir: string;
    /** Path of Envoy. */
    program: string;
    /** Port on 127.0.0.1. */
    port: number;
    mounts: DoorMounts;
    /** The authority of the app gateways. */
    caFile: string;
    /** Platform seconds per second: an app wakes so much sooner, and requests are held for so much less. Default 1. */
    speed?: number;
}

/** A front door as a process of this machine, for the pod that does not run in the cluster. */
export interface LocalDoor extends Child {
    /** `http(s)://127.0.0.1:PORT` */
    url: string;
    /** Host and port of its metrics. */
    metrics: string;
    logFile: string;
    /** Lays out what has changed of what the pod mounts, as a kubelet does. */
    update(mounts: DoorMounts): void;
}

/** Starts one. Rejects, with the end of its log, when it does not come up. */
export async function startDoor({
    dir,
    program,
    port,
    mounts,
    caFile,
    speed = 1,
}: LocalDoorOptions): Promise<LocalDoor> {
    const ports = { [doorPort]: port, [metricsPort]: await freePort(), [adminPort]: await freePort() };
    const folders = { files: join(dir, "files"), secrets: join(dir, "secrets") };
    const local = (text: string): string =>
        JSON.stringify(localised(JSON.parse(placed(text, folders, caFile)) as Json, ports, speed));
    let laid: DoorMounts = { files: {}, secrets: {} };
    const update = (now: DoorMounts): void => {
        for (const volume of ["files", "secrets"] as const) {
            for (const [name, text] of Object.entries(now[volume])) {
                if (laid[volume][name] !== text) writePrivate(join(folders[volume], name), local(text));
            }
        }
        laid = now;
    };
    mkdirSync(dir, { recursive: true });
    update(mounts);
    const logFile = join(dir, "envoy.log");
    const child = await startChild({
        program,
        args: [
            ...["--config-path", join(folders.files, bootstrapFile)],
            "--disable-hot-restart",
            ...["--concurrency", "2"],
            ...["--log-level", "warning"],
        ],
        logFile,
    });
    const metrics = `127.0.0.1:${ports[metricsPort]}`;
    await untilReady(`http://${metrics}/healthz`, child, logFile);
    const scheme = mounts.files[bootstrapFile].includes("DownstreamTlsContext") ? "https" : "http";
    return Object.assign(child, { url: `${scheme}://127.0.0.1:${port}`, metrics, logFile, update });
}

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** What it finds by path, as it is found here. */
function placed(text: string, folders: DoorFolders, caFile: string): string {
    return text
        .replaceAll(`"${filesFolder}`, `"${folders.files}`)
        .replaceAll(`"${secretsFolder}`, `"${folders.secrets}`)
        .replaceAll(`"${authorities}"`, JSON.stringify(caFile));
}
type DoorFolders = Record<"files" | "secrets", string>;

/** Other ports, nothing but this machine, and pauses that are as much shorter as a boot is. */
function localised(value: Json, ports: Record<number, number>, speed: number): Json {
    if (Array.isArray(value)) return value.map((one) => localised(one, ports, speed));
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).map(([key, inner]): [string, Json] => {
        if (key === "port_value") return [key, ports[inner as number] ?? inner];
        if (key === "address" && inner === "0.0.0.0") return [key, "127.0.0.1"];
        if (key === "base_interval" || key === "max_interval") return [key, sooner(inner as string, speed)];
        return [key, localised(inner, ports, speed)];
    });
    return Object.fromEntries(entries);
}

/** Envoy takes no pause of less than a millisecond. */
function sooner(duration: string, speed: number): string {
    return `${Math.max(0.001, parseFloat(duration) / speed).toFixed(3)}s`;
}

const readyWithinMs = 60_000;

async function untilReady(url: string, child: Child, logFile: string): Promise<void> {
    const end = performance.now() + readyWithinMs;
    for (;;) {
        const answer = await fetch(url, { signal: AbortSignal.timeout(5000) }).catch(() => undefined);
        if (answer?.ok) return;
        if (child.exit !== undefined || performance.now() > end) {
            await child.stop();
            const said = readFileSync(logFile, "utf8").trim().split("\n").slice(-3).join("\n");
            throw new Error(`the front door does not start (${child.exit ?? "it is not ready"}): ${said}`);
        }
        await sleep(100);
    }
}
