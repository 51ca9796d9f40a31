import type { Platform } from "./platform";
import type { AppStatus, PartStatus, SandboxStatus } from "./status";
import type { Store, StoredApp } from "./store";

export interface AppSummary {
    id: string;
    name: string;
    /** What the command serves, or an empty text. */
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
        model: servedBy((app.spec.command ?? []).join(" ")),
        url: `https://127.0.0.1:${app.port}`,
    };
}

/** The name that requests give, else the model itself. */
function servedBy(command: string): string {
    const [, name] =
        /--served-model-name[= ](\S+)/.exec(command) ?? /(?:--model[= ]|vllm serve )(\S+)/.exec(command) ?? [];
    return name ?? "";
}
