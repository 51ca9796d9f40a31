import type { Args } from "../values/inputs";

/** What `DataSync` takes, by the names of OVHcloud's API. [S]: the published API schema. */

/** A run of data synchronization, with every value known. */
export interface DataSyncInputs {
    /** As for an app. Replaces. */
    serviceName?: string;
    /** Id of the app, such as `app.appId`. Replaces. */
    appId: string;
    /** `pull`: from object storage to the app; `push`: from the app to object storage [S]. Replaces. */
    direction: "pull" | "push";
    /** Id of one volume of the app. Default: all. Replaces. */
    volume?: string;
    /** Any text. Another text runs the synchronization again. */
    trigger?: string;
    timeouts?: {
        /** Seconds until the synchronization is done. Default 3600. */
        createSeconds?: number;
    };
}

export type DataSyncArgs = Args<DataSyncInputs>;
