import { randomUUID } from "node:crypto";
import type { StoredApp } from "./store";

/** `cloud.project.ai.volume.DataSync` */
export type DataSync = Record<string, any>;

/** How long one takes, in platform seconds. A guess. */
export const syncSeconds = 20;

/** One that is queued. */
export function newSync({ direction, volume }: { direction: string; volume?: string | null }): DataSync {
    const now = new Date().toISOString();
    return {
        id: randomUUID(),
        createdAt: now,
        updatedAt: now,
        spec: { direction, manual: true, volume: volume ?? null },
        status: {
            info: { code: "DATASYNC_QUEUED", message: "the synchronization waits" },
            progress: [],
            queuedAt: now,
            startedAt: null,
            endedAt: null,
            state: "QUEUED",
        },
    };
}

/** Those that have not ended. */
export function openSyncs(app: StoredApp): DataSync[] {
    return app.dataSync.filter(({ status }) => status.state === "QUEUED");
}

/** Done, or failed where the app has nothing that could be synchronized. */
export function endSync(sync: DataSync, app: StoredApp): void {
    const now = new Date().toISOString();
    const syncable = (app.spec.volumes as Record<string, any>[]).some(hasStorage);
    sync.updatedAt = now;
    sync.status = {
        ...sync.status,
        startedAt: now,
        endedAt: now,
        state: syncable ? "DONE" : "FAILED",
        info: syncable
            ? { code: "DATASYNC_DONE", message: "simulated" }
            : { code: "DATASYNC_DATA_STORE_NOT_FOUND", message: "the app has no volume with a source" },
    };
}

function hasStorage({ volumeSource, dataStore, publicSwift, publicGit }: Record<string, any>): boolean {
    return Boolean(
        dataStore ??
        publicSwift ??
        publicGit ??
        volumeSource?.dataStore ??
        volumeSource?.publicGit ??
        volumeSource?.publicSwift,
    );
}
