import { request } from "https";
import { parse } from "yaml";

/** The API server answered, and not with success. */
export class KubernetesError extends Error {
    constructor(
        readonly operation: string,
        readonly status: number,
        said: string,
    ) {
        super(`${operation}: the cluster answered ${status}: ${said}`);
    }
}

/** No answer came from the API server. */
export class UnreachableError extends Error {
    constructor(host: string, reason: string) {
        super(`the cluster's API at ${host} does not answer (${reason})`);
    }
}

interface Access {
    server: URL;
    ca?: string;
    cert?: string;
    key?: string;
    token?: string;
}

export interface ObjectMetadata {
    name: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    /** Set once it is on its way out. */
    deletionTimestamp?: string;
}

interface CallOptions {
    body?: object;
    /** Media type of `body`. */
    type?: string;
    accept?: string;
}

/** An answer holds lists of at most so much; a cluster of ours has a few megabytes of objects in all. */
const maxAnswerBytes = 64 * 1024 * 1024;

/**
 * The Kubernetes API as the few calls need it that must work without the `kubernetes` provider: with a kubeconfig alone,
 * and never waiting for longer than they were told.
 */
export class KubernetesApi {
    private readonly access: Access;

    /** @throws Error when the kubeconfig holds no cluster with a way to sign in. */
    constructor(
        kubeconfig: string,
        /** For one call, from the connection to the last byte. */
        private readonly timeoutMs = 15_000,
    ) {
        this.access = accessOf(kubeconfig);
    }

    get host(): string {
        return this.access.server.host;
    }

    get<T>(path: string): Promise<T> {
        return this.call<T>("GET", path);
    }

    /** Whether it was there. */
    async delete(path: string): Promise<boolean> {
        try {
            await this.call("DELETE", path);
            return true;
        } catch (error) {
            if (error instanceof KubernetesError && error.status === 404) return false;
            throw error;
        }
    }

    /** Names, labels and annotations of a list's objects, which may themselves be large. */
    async listMetadata(path: string): Promise<ObjectMetadata[]> {
        const accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        const { items } = await this.call<{ items: { metadata: ObjectMetadata }[] | null }>("GET", path, { accept });
        // An empty list of this kind is written as null.
        return (items ?? []).map(({ metadata }) => metadata);
    }

    /** Lays `change` over the object, as a JSON merge patch. */
    async patch(path: string, change: object): Promise<void> {
        await this.call("PATCH", path, { body: change, type: "application/merge-patch+json" });
    }

    /**
     * Makes the object, or makes it as given where it exists: a server-side apply. Fields that others have set are taken
     * over; those that `object` does not name stay.
     *
     * @param manager whose fields they are from now on
     */
    async apply(path: string, object: object, manager: string): Promise<void> {
        const query = `fieldManager=${encodeURIComponent(manager)}&force=true`;
        await this.call("PATCH", `${path}?${query}`, { body: object, type: "application/apply-patch+yaml" });
    }

    private call<T>(method: string, path: string, { body, type, accept }: CallOptions = {}): Promise<T> {
        const { server, ca, cert, key, token } = this.access;
        const operation = `${method} ${path}`;
        return new Promise((resolve, reject) => {
            const fail = (error: Error) => reject(new UnreachableError(server.host, reasonOf(error)));
            const sent = request(
                new URL(server.pathname.replace(/\/$/, "") + path, server),
                {
                    method,
                    ...{ ca, cert, key },
                    headers: {
                        Accept: accept ?? "application/json",
                        ...(token && { Authorization: `Bearer ${token}` }),
                        ...(type && { "Content-Type": type }),
                    },
                    // Of its own: none is kept open that a later call could find dead.
                    agent: false,
                    signal: AbortSignal.timeout(this.timeoutMs),
                },
                (answer) => {
                    const chunks: Buffer[] = [];
                    let bytes = 0;
                    answer.on("data", (chunk: Buffer) => {
                        chunks.push(chunk);
                        bytes += chunk.length;
                        if (bytes > maxAnswerBytes) sent.destroy(new Error("an answer without end"));
                    });
                    answer.on("error", fail);
                    answer.on("end", () => {
                        const text = Buffer.concat(chunks).toString();
                        const status = answer.statusCode ?? 0;
                        if (status >= 200 && status < 300) resolve(parsed(text) as T);
                        else reject(new KubernetesError(operation, status, messageOf(text)));
                    });
                },
            );
            sent.on("error", fail);
            sent.end(body && JSON.stringify(body));
        });
    }
}

function parsed(text: string): unknown {
    try {
        return JSON.parse(text) as unknown;
    } catch {
        return undefined;
    }
}

function messageOf(text: string): string {
    return (parsed(text) as { message?: string } | undefined)?.message ?? (text.slice(0, 200) || "no message");
}

function reasonOf(error: Error): string {
    if (error.name === "TimeoutError" || error.name === "AbortError") return "timed out";
    return (error as NodeJS.ErrnoException).code ?? error.message;
}

/** Address and credentials of the current context. */
function accessOf(kubeconfig: string): Access {
    const config = parse(kubeconfig) as Record<string, any> | null;
    const named = (list: string, name: unknown): Record<string, any> | undefined =>
        (config?.[list] as { name: string }[] | undefined)?.find((entry) => entry.name === name);
    const context = named("contexts", config?.["current-context"])?.context as Record<string, any> | undefined;
    const cluster = named("clusters", context?.cluster)?.cluster as Record<string, any> | undefined;
    const user = named("users", context?.user)?.user as Record<string, any> | undefined;
    const text = (base64: unknown) =>
        typeof base64 === "string" ? Buffer.from(base64, "base64").toString() : undefined;
    const access = {
        ca: text(cluster?.["certificate-authority-data"]),
        cert: text(user?.["client-certificate-data"]),
        key: text(user?.["client-key-data"]),
        token: user?.token as string | undefined,
    };
    if (typeof cluster?.server !== "string" || !((access.cert && access.key) || access.token)) {
        throw new Error("the kubeconfig names no cluster with a client certificate or a token");
    }
    return { server: new URL(cluster.server), ...access };
}
