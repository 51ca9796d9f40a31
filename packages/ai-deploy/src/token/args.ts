import type { Args } from "../values/inputs";

/** What `Token` takes, by the names of OVHcloud's API. [S]: the published API schema. */

/** A token, with every value known. */
export interface TokenInputs {
    /** As for an app. Replaces. */
    serviceName?: string;
    /** Replaces. */
    name: string;
    /** Replaces. */
    region: string;
    /** `ai_training_read` may query apps; `ai_training_operator` may also manage them [S]. Replaces. */
    role: "ai_training_read" | "ai_training_operator";
    /** `key=value`: the apps that it opens. Without one it opens every app of the project. Replaces. */
    labelSelector?: string;
    /** Any text. Another text makes another value. */
    rotation?: string;
    /**
     * Seconds for which the old value works on beside the new one after a change of `rotation`; the first `pulumi up`
     * after them ends it. A value that has leaked takes 0, the default: it is renewed in place, and the old one ends at
     * once. Counts for a rotation under way too.
     */
    overlapSeconds?: number;
    /** The one app that the token is for: a selector that another app fits is then refused. */
    app?: {
        /** `adoptionLabel` as given to the `App`. */
        adoptionLabel: string;
        /** `adopt` as given to the `App`. */
        adopt?: string;
    };
    /**
     * For messages: how the program's user sets the app's labels, where that is not by `labels`, and its `adopt`, where there is
     * a setting of it, such as `{ labels: "models.chat.labels", adopt: "models.chat.adopt" }`. Changing it changes nothing else.
     */
    settingNames?: Record<string, string>;
}

export type TokenArgs = Args<TokenInputs>;
