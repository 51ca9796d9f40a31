import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { StoredClient, StoredPolicy } from "./iam";

/** An AI Deploy app as it is kept: what the API shows, and what the platform needs to run it again. */
export interface StoredApp {
    id: string;
    createdAt: string;
    updatedAt: string;
    /** `cloud.project.ai.app.AppSpec` */
    spec: Record<string, any>;
    state: string;
    info: { code: string; message: string };
    history: { date: string; state: string }[];
    /** What the user asked for, whatever the state is on its way to. */
    wanted: "running" | "stopped" | "deleted";
    /** Replicas that the scaling wants now. */
    replicas: number;
    /** Port of the gateway on 127.0.0.1, kept so that the URL stays. */
    port: number;
    logs: { timestamp: string; content: string; replica: number }[];
    dataSync: Record<string, any>[];
}

export interface StoredToken {
    id: string;
    createdAt: string;
    updatedAt: string;
    spec: { name: string; region: string; role: string; labelSelector?: string | null };
    value: string;
    version: number;
}

export interface StoredCluster {
    id: string;
    /** `cloud.kube.Cluster` */
    cluster: Record<string, any>;
    /** `cloud.kube.NodePool` by id */
    pools: Record<string, Record<string, any>>;
}

export interface State {
    apiPort?: number;
    authorized: boolean;
    apps: Record<string, StoredApp>;
    tokens: Record<string, StoredToken>;
    clusters: Record<string, StoredCluster>;
    /** Absent until something of it is made. */
    iam?: { clients: Record<string, StoredClient>; policies: Record<string, StoredPolicy> };
    /** The authority that signs the gateways' certificates, and the certificate, as PEM. */
    certificates?: { ca: string; certificate: string; key: string };
}

const maxLogLines = 1000;

/** Adds a line to the app's log, of which the oldest lines are forgotten. */
export function appendLog(app: StoredApp, replica: number, content: string): void {
    app.logs.push({ timestamp: new Date().toISOString(), content, replica });
    if (app.logs.length > maxLogLines) app.logs.splice(0, app.logs.length - maxLogLines);
}

/** Saved states that are remembered for reads that lag behind. */
const maxPast = 300;

/** The state of the emulated cloud, on disk after every change, whole even if the process is killed while writing. */
export class Store {
    readonly state: State;
    private readonly file: string;
    private readonly past: { at: number; text: string }[] = [];

    constructor(dir: string) {
        mkdirSync(dir, { recursive: true });
        this.file = join(dir, "state.json");
        this.state = this.read() ?? { authorized: false, apps: {}, tokens: {}, clusters: {} };
    }

    save(): void {
        const text = JSON.stringify(this.state);
        writeFileSync(`${this.file}.new`, text, { mode: 0o600 });
        renameSync(`${this.file}.new`, this.file);
        this.past.push({ at: Date.now(), text });
        if (this.past.length > maxPast) this.past.shift();
    }

    /** The apps as they were so long ago; as they were at the start, if that is later. */
    appsAsOf(ageMs: number): Record<string, StoredApp> {
        const until = Date.now() - ageMs;
        const last = this.past.filter(({ at }) => at <= until).at(-1);
        return last ? (JSON.parse(last.text) as State).apps : {};
    }

    private read(): State | undefined {
        try {
            return JSON.parse(readFileSync(this.file, "utf8")) as State;
        } catch (error) {
            if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
            throw new Error(
                `the state in ${this.file} cannot be read (${(error as Error).message}); "npm run sandbox -- reset" begins anew`,
            );
        }
    }
}
