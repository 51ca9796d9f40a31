import type { Platform } from "./platform";
import type { AppStatus, PartStatus, SandboxStatus } from "./status";
import type { Store, StoredApp } from "./store";

export interface AppSummary {
    id: string;
    name: string;
    /** The `--model` of the command, or an empty text. */
    model: string;
    state: string;
    replicas: number;
    url: string;
}

/** What the sandbox shows of itself. */
export class Overview {
    constructor(
        private readonly store: Store,
        private readonly platform: Platform,
        private readonly violations: string[],
        private readonly parts: () => PartStatus[],
    ) {}

    /** Apps that exist, DELETED ones left out. */
    existing(): StoredApp[] {
        return Object.values(this.store.state.apps).filter(({ state }) => state !== "DELETED");
    }

    summaries(): AppSummary[] {
        return this.existing().map((app) => ({
            ...identity(app),
            state: app.state,
            replicas: this.platform.run(app).available,
        }));
    }

    status(): SandboxStatus {
        const { store, platform } = this;
        return {
            at: new Date().toISOString(),
            pid: process.pid,
            speed: platform.speed,
            realEngine: platform.realEngine,
            violations: this.violations.length,
            apps: this.existing().map((app) => ({ ...identity(app), ...platform.run(app).status() })),
            clusters: Object.keys(store.state.clusters),
            faults: platform.incidents.list(),
            parts: this.parts(),
        };
    }
}

function identity(app: StoredApp): Pick<AppStatus, "id" | "name" | "model" | "url"> {
    return {
        id: app.id,
        name: app.spec.name as string,
        model: /(?:--model[= ]|vllm serve )(\S+)/.exec((app.spec.command ?? []).join(" "))?.[1] ?? "",
        url: `https://127.0.0.1:${app.port}`,
    };
}
