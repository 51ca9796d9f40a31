import { uuid } from "../errors/request-errors";

/**
 * A path of the API, below the AI Solutions of a project: `aiPath(project, "token", idPart(id))`. Each part is encoded,
 * so that none can lead to another resource.
 */
export function aiPath(serviceName: string | undefined, ...parts: string[]): string {
    if (!serviceName) throw new Error("serviceName is not set: give the Public Cloud project id");
    const encoded = [serviceName, "ai", ...parts].map((part) => {
        // What encoding leaves as it is, and a URL reads as a way up.
        if (/^\.{0,2}$/.test(part)) throw new Error(`"${part}" cannot be part of a path of OVHcloud's API`);
        return encodeURIComponent(part);
    });
    return `/cloud/project/${encoded.join("/")}`;
}

/** An id as a part of a path. Throws unless it is what the API's structure calls an id, a UUID. */
export function idPart(id: string): string {
    if (!uuid.test(id)) throw new Error(`${JSON.stringify(id)} is no id of OVHcloud's API, which are UUIDs`);
    return id;
}
