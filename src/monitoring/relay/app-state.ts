/**
 * Reads an app's state from OVHcloud's API, which no app takes for a request: the only way to know of one that may sleep
 * without waking it. A part of the relay.
 */
import { ApiFailure, OvhApi, type ApiAddresses, type Credential } from "../pod-api";

/** Where the app is in OVHcloud's API. */
export interface AppAddress {
    api: ApiAddresses;
    /** Public Cloud project. */
    project: string;
    app: string;
}

/** An app as the API tells of it. */
export interface AppState {
    /** `AppStateEnum`, such as RUNNING or STANDBY; DELETED, too, when there is none of this id. */
    state: string;
    /** Replicas that serve. */
    replicas: number;
}

/**
 * What the app is read with: `ID:SECRET` of an OAuth2 client, as the stack makes one, or an `appReaderKey`, which is
 * `KEY:SECRET:CONSUMER`. May read apps; needs nothing else. Throws an Error without the text.
 */
export function parseReader(text: string): Credential {
    const [first, secret, consumerKey, ...more] = text.split(":");
    if (!first || !secret || consumerKey === "" || more.length > 0) {
        throw new Error("the app reader's credential is neither ID:SECRET nor KEY:SECRET:CONSUMER");
    }
    return consumerKey === undefined
        ? { clientId: first, clientSecret: secret }
        : { applicationKey: first, applicationSecret: secret, consumerKey };
}

/** That one answer may take: a scrape waits for it, and is to have time left for the replicas. */
const timeoutMs = 2000;

export class StateReader {
    private readonly api: OvhApi;

    /** @param readReader called for each look, so that another credential needs no restart */
    constructor(
        private readonly address: AppAddress,
        readReader: () => Credential,
    ) {
        this.api = new OvhApi(address.api, readReader, timeoutMs);
    }

    /** Throws an Error that says why the state cannot be told, without the credential. */
    async read(): Promise<AppState> {
        const { project, app } = this.address;
        try {
            const { status } = await this.api.get<Answer>(`/cloud/project/${project}/ai/app/${app}`);
            if (!status?.state) throw new Error("OVHcloud's API answers without a state");
            return { state: status.state, replicas: status.availableReplicas ?? 0 };
        } catch (error) {
            if (!(error instanceof ApiFailure)) throw error;
            if (error.status === 404) return { state: "DELETED", replicas: 0 };
            if (error.kind !== "unauthorized" && error.status !== 403) throw error;
            throw new Error(`${error.message}: what the relay reads apps with may not read this one`);
        }
    }
}

interface Answer {
    status?: { state?: string; availableReplicas?: number | null };
}
