import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { configFile, scriptFile } from "../../src/monitoring/relay/manifests";
import { startChild, type Child } from "./child";

export interface LocalRelayOptions {
    /** Holds the relay's files and log. */
    dir: string;
    /** What the relay's ConfigMap in the cluster holds: program and config, by file name. */
    files: Record<string, string>;
    /** Folder of the models' tokens, as the Secret is mounted. */
    tokens: string;
    /** The authority of the app gateways. */
    caFile: string;
}

/** The replica relay as a process of this machine, for the pod that does not run in the cluster. */
export interface LocalRelay extends Child {
    /** Host and port on 127.0.0.1. */
    address: string;
}

/** Starts the relay. Rejects, with the end of its log, when it ends before it listens. */
export async function startRelay({ dir, files, tokens, caFile }: LocalRelayOptions): Promise<LocalRelay> {
    mkdirSync(dir, { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
    const logFile = join(dir, "relay.log");
    // The line looked for below is to be this run's.
    rmSync(logFile, { force: true });
    const child = await startChild({
        program: process.execPath,
        args: [
            join(dir, scriptFile),
            `--config=${join(dir, configFile)}`,
            `--tokens=${tokens}`,
            "--listen=127.0.0.1:0",
        ],
        env: { NODE_EXTRA_CA_CERTS: caFile },
        logFile,
    });
    let ended = false;
    void child.ended.then(() => (ended = true));
    for (;;) {
        const said = readFileSync(logFile, "utf8");
        const address = /^listening on (\S+)/m.exec(said)?.[1];
        if (address) return { ...child, address };
        if (ended) throw new Error(`the replica relay does not start: ${said.trim().split("\n").slice(-5).join("\n")}`);
        await sleep(50);
    }
}
