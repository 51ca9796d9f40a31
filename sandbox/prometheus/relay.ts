import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import * as controller from "../../src/controller/manifests";
import { appReaderKeyFile, configFile, scriptFile } from "../../src/monitoring/relay/manifests";
import { tokenKey } from "../../src/monitoring/scrape-jobs";
import { startChild, type Child } from "./child";
import type { RelayConfig } from "../../src/monitoring/relay/relay";
import type { PartStatus } from "../ovhcloud/status";
import type { RelayFiles } from "./cluster-files";

export interface LocalRelayOptions {
    /** Holds the relay's files, token and log. */
    dir: string;
    /** What the relay's pod in the cluster would mount. */
    mounted: RelayFiles;
    /** The authority of the app gateways. */
    caFile: string;
    /** Platform seconds per second: an app falls asleep, and the controller looks, so much sooner. Default 1. */
    speed?: number;
    /** Base URL of Prometheus on this machine, which a pod would find by its Service. */
    prometheus?: string;
}

const logName = "relay.log";

/** A replica relay as a process of this machine, for the pod that does not run in the cluster. */
export interface LocalRelay extends Child {
    /** Host and port on 127.0.0.1. */
    address: string;
}

/** Starts a relay, or the controller. Rejects, with the end of its log, when it ends before it listens. */
export async function startRelay(options: LocalRelayOptions): Promise<LocalRelay> {
    const { dir, mounted, caFile, speed = 1, prometheus } = options;
    mkdirSync(dir, { recursive: true });
    for (const [name, text] of Object.entries(mounted.files)) {
        writeFileSync(join(dir, name), name === configFile ? local(text, speed, prometheus) : text);
    }
    writeSecrets(dir, mounted);
    const logFile = join(dir, logName);
    // The line looked for below is to be this run's.
    rmSync(logFile, { force: true });
    const child = await startChild({
        program: process.execPath,
        args: [...programOf(dir, mounted), "--listen=127.0.0.1:0"],
        env: { NODE_EXTRA_CA_CERTS: caFile },
        logFile,
    });
    let ended = false;
    void child.ended.then(() => (ended = true));
    for (;;) {
        const said = readFileSync(logFile, "utf8");
        const address = /^listening on (\S+)/m.exec(said)?.[1];
        if (address) return Object.assign(child, { address });
        if (ended) throw new Error(`the replica relay does not start: ${said.trim().split("\n").slice(-5).join("\n")}`);
        await sleep(50);
    }
}

/** The program of a pod, with the arguments that name its files. */
function programOf(dir: string, { files }: RelayFiles): string[] {
    const argument = (name: string, file: string): string => `--${name}=${join(dir, file)}`;
    if (Object.hasOwn(files, controller.scriptFile)) {
        const { scriptFile, configFile, credentialKey } = controller;
        return [join(dir, scriptFile), argument("config", configFile), argument("credential-file", credentialKey)];
    }
    return [
        join(dir, scriptFile),
        argument("config", configFile),
        argument("token-file", tokenKey),
        argument("key-file", appReaderKeyFile),
    ];
}

/** Seconds between two rounds of the controller at least: OVHcloud's API counts calls in real time. */
const shortestPeriod = 5;

/** A config for here: Prometheus by its address, and times of the platform as long as they are. One that is none stays as it is. */
function local(config: string, speed: number, prometheus = controller.prometheusUrl): string {
    try {
        const text = config.replaceAll(controller.prometheusUrl, prometheus);
        const read = JSON.parse(text) as Pick<RelayConfig, "sleep"> & { period?: number };
        const { sleep, period } = read;
        return JSON.stringify({
            ...read,
            ...(sleep && { sleep: { ...sleep, after: sleep.after / speed } }),
            ...(period && { period: Math.min(period, Math.max(shortestPeriod, period / speed)) }),
        });
    } catch {
        return config; // the program says what is wrong with it
    }
}

function writeSecrets(dir: string, { secrets }: RelayFiles): void {
    for (const [name, text] of Object.entries(secrets)) writeFileSync(join(dir, name), text, { mode: 0o600 });
}

export interface LocalRelaysOptions {
    /** Holds a folder for each relay. */
    dir: string;
    caFile: string;
    /** Platform seconds per second, as the sandbox was started with. */
    speed?: number;
    /** Base URL of Prometheus. */
    prometheus?: string;
    /** Called when one has ended by itself, or did not start: it is to be looked at again. */
    ended: () => void;
    log: (line: string) => void;
}

/** The replica relays of a cluster: one that fails keeps none of the others from running. */
export class LocalRelays {
    private readonly running = new Map<string, { files: RelayFiles["files"]; process: LocalRelay }>();

    /** Those that were started last and are not told to end, by name. */
    private readonly last = new Map<string, LocalRelay>();

    constructor(private readonly options: LocalRelaysOptions) {}

    parts(): PartStatus[] {
        return [...this.last].map(([name, { exit }]) => ({ name, exit, log: this.logFile(name) }));
    }

    /** Host and port of each that runs, by name. */
    addresses(): Record<string, string> {
        return Object.fromEntries([...this.running].map(([name, { process }]) => [name, process.address]));
    }

    /** Has these run, from these files, and no others. A new token is read by the one that runs. */
    async update(wanted: Record<string, RelayFiles>): Promise<void> {
        for (const [name, { files }] of this.running) {
            if (isDeepStrictEqual(files, wanted[name]?.files)) writeSecrets(this.folder(name), wanted[name]);
            else await this.end(name);
        }
        for (const name of this.last.keys()) if (!Object.hasOwn(wanted, name)) this.last.delete(name);
        for (const [name, mounted] of Object.entries(wanted)) {
            if (!this.running.has(name)) await this.start(name, mounted);
        }
    }

    async stop(): Promise<void> {
        this.last.clear();
        await Promise.all([...this.running.keys()].map((name) => this.end(name)));
    }

    private folder(name: string): string {
        return join(this.options.dir, name);
    }

    private logFile(name: string): string {
        return join(this.folder(name), logName);
    }

    private async start(name: string, mounted: RelayFiles): Promise<void> {
        const { caFile, speed, prometheus, ended, log } = this.options;
        try {
            const process = await startRelay({ dir: this.folder(name), mounted, caFile, speed, prometheus });
            this.running.set(name, { files: mounted.files, process });
            this.last.set(name, process);
            void process.ended.then(() => {
                if (this.running.get(name)?.process !== process) return;
                this.running.delete(name);
                log(`${name} ended, see ${this.logFile(name)}; it is started again`);
                ended();
            });
        } catch (error) {
            log(`${name}: ${(error as Error).message}`);
            ended();
        }
    }

    private async end(name: string): Promise<void> {
        const { process } = this.running.get(name)!;
        this.running.delete(name);
        this.last.delete(name);
        await process.stop();
    }
}
