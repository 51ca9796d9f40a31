import { gunzipSync, gzipSync } from "zlib";
import type { KubernetesApi } from "./kubernetes-api";

/** A revision of a release, as Helm 3 keeps it: a Secret `sh.helm.release.v1.NAME.vREVISION`. */
interface Revision {
    secret: string;
    revision: number;
    /** `deployed`, `failed`, `superseded`, `uninstalling`, `pending-install`, `pending-upgrade`, `pending-rollback` ... */
    status: string;
    /** The record itself, as the Secret's `data.release` holds it. */
    record: string;
}

/** States in which Helm refuses to do anything: an operation is under way, or was when its process ended. */
const unfinished = /^(pending-.*|uninstalling)$/;

/**
 * What Helm remembers of a release in its namespace. An operation that was killed stays "in progress" there for ever,
 * and Helm refuses the next one; nothing but this record stands in the way.
 */
export class HelmHistory {
    constructor(
        private readonly api: KubernetesApi,
        private readonly namespace: string,
        private readonly release: string,
    ) {}

    /**
     * Before a change of a release that the caller knows and that nobody else is at work on: revisions left unfinished
     * count as failed, so that the next upgrade goes on from them. Gives what was mended, such as `revision 2, pending-upgrade`.
     */
    async endUnfinished(): Promise<string[]> {
        const left = (await this.revisions()).filter(({ status }) => unfinished.test(status));
        for (const revision of left) {
            await this.api.patch(this.path(revision.secret), {
                metadata: { labels: { status: "failed" } },
                data: { release: withStatus(revision.record, "failed") },
            });
        }
        return left.map(({ revision, status }) => `revision ${revision}, ${status}`);
    }

    /**
     * Before an installation under a name that the caller's state does not know: an earlier one was interrupted before
     * it could be noted. Its record goes; its objects stay, and the installation takes them over, since they bear its
     * name. Gives what was forgotten.
     */
    async forget(): Promise<string[]> {
        const left = await this.revisions();
        for (const { secret } of left) await this.api.delete(this.path(secret));
        return left.map(({ revision, status }) => `revision ${revision}, ${status}`);
    }

    private async revisions(): Promise<Revision[]> {
        const selector = encodeURIComponent(`owner=helm,name=${this.release}`);
        const { items } = await this.api.get<{ items: Record<string, any>[] }>(
            `/api/v1/namespaces/${this.namespace}/secrets?labelSelector=${selector}`,
        );
        return items
            .map(({ metadata, data }) => ({
                secret: metadata.name as string,
                revision: Number(metadata.labels.version),
                status: String(metadata.labels.status),
                record: String(data?.release ?? ""),
            }))
            .sort((a, b) => a.revision - b.revision);
    }

    private path(secret: string): string {
        return `/api/v1/namespaces/${this.namespace}/secrets/${secret}`;
    }
}

/** The record with another status. It is JSON, compressed, in base64, and once more in base64 as Secrets are. */
export function withStatus(record: string, status: string): string {
    const inner = Buffer.from(record, "base64").toString();
    const release = JSON.parse(gunzipSync(Buffer.from(inner, "base64")).toString()) as { info: { status: string } };
    release.info.status = status;
    return Buffer.from(gzipSync(JSON.stringify(release)).toString("base64")).toString("base64");
}
