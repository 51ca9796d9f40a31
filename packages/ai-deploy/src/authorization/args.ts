import type { Args } from "../values/inputs";

export interface AuthorizationInputs {
    /** As for an app. Replaces. */
    serviceName?: string;
}

export type AuthorizationArgs = Args<AuthorizationInputs>;
