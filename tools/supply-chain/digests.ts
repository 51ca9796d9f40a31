import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { nodeImage } from "../../src/monitoring/pod";
import { defaultModel, defaultModels, isMap, overlay } from "../../src/settings/defaults";
import { project } from "../stack";

/** An image that this checkout names. */
export interface NamedImage {
    image: string;
    /** Where it is named, as the lines that pin it name it. */
    place: { stack: string; model: string } | { file: string };
}

/** What a registry says of an image. */
export interface Resolved {
    /** `sha256:...` of what the tag names now, or of the digest where there is no tag. */
    digest: string;
    /** The image with its tag, if any, and that digest. */
    pinned: string;
    /** `moved`: the tag names another image than the digest beside it. */
    state: "pinned" | "not pinned" | "moved";
}

/** The images of the models of each stack file in a folder, and those of this program's own pods. */
export function namedImages(folder: string): NamedImage[] {
    const stacks = readdirSync(folder).flatMap((file) => /^Pulumi\.([\w-]+)\.yaml$/.exec(file)?.[1] ?? []);
    const ofStacks = stacks.flatMap((stack) => {
        const file = parse(readFileSync(join(folder, `Pulumi.${stack}.yaml`), "utf8")) as { config?: object } | null;
        const config = (file?.config ?? {}) as Record<string, unknown>;
        const models = overlay(defaultModels, config[`${project}:models`]) as Record<string, unknown>;
        return Object.entries(models).flatMap(([model, own]) => {
            // One that is encrypted as a whole says nothing without the stack's key.
            const image = isMap(own) ? (own.image ?? defaultModel(model).image) : undefined;
            return typeof image === "string" ? [{ image, place: { stack, model } }] : [];
        });
    });
    return [...ofStacks, { image: nodeImage, place: { file: "src/monitoring/pod.ts" } }];
}

/** The parts of `[HOST/]NAME[:TAG][@DIGEST]`, as Docker reads them: without a host it is Docker Hub's. */
export function readReference(image: string) {
    const parts = /^(?:([^/]+[.:][^/]*|localhost)\/)?([^:@]+)(?::([\w.-]+))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(image);
    if (!parts) throw new Error(`"${image}" is no image: give NAME:TAG, with or without @sha256:...`);
    const [, host, path, tag, digest] = parts;
    const isHub = host === undefined || host === "docker.io";
    return {
        host: isHub ? "registry-1.docker.io" : host,
        path: isHub && !path.includes("/") ? `library/${path}` : path,
        tag: tag ?? (digest ? undefined : "latest"),
        digest,
    };
}

/** Asks the image's registry. Throws an Error for people when it does not answer, or answers with something else. */
export async function resolveDigest(image: string): Promise<Resolved> {
    const { host, path, tag, digest: given } = readReference(image);
    const digest = await digestOf(host, path, tag ?? given);
    if (tag === undefined && digest !== given) throw new Error(`${host} gave another image for ${image}: ${digest}`);
    const state = given === undefined ? "not pinned" : given === digest ? "pinned" : "moved";
    return { digest, pinned: `${image.split("@")[0]}@${digest}`, state };
}

/** An index of several platforms comes first, as `docker pull` has it: its digest is the one to pin. */
const accept = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");
const timeoutMs = 30_000;

/** The sum of the manifest itself: what a header says of it is compared, not believed. */
async function digestOf(host: string, path: string, reference: string): Promise<string> {
    const scheme = /^(localhost|127\.0\.0\.1)(:|$)/.test(host) ? "http" : "https";
    const url = `${scheme}://${host}/v2/${path}/manifests/${reference}`;
    let answer = await get(url, { accept });
    if (answer.status === 401) {
        const token = await pullToken(answer.headers.get("www-authenticate") ?? "", host);
        answer = await get(url, { accept, authorization: `Bearer ${token}` });
    }
    if (!answer.ok) throw new Error(`${host} answered ${answer.status} for ${path}:${reference}`);
    const digest = `sha256:${createHash("sha256")
        .update(Buffer.from(await answer.arrayBuffer()))
        .digest("hex")}`;
    const said = answer.headers.get("docker-content-digest");
    if (said !== null && said !== digest) {
        throw new Error(`${host} says that ${path}:${reference} is ${said}, but what it sent is ${digest}`);
    }
    return digest;
}

/** A token for anybody, from where the registry says. */
async function pullToken(challenge: string, host: string): Promise<string> {
    const field = (name: string): string | undefined => new RegExp(`${name}="([^"]*)"`).exec(challenge)?.[1];
    const realm = field("realm");
    if (!/^bearer /i.test(challenge) || realm === undefined) {
        throw new Error(
            `${host} asks for a login that this tool does not know: ${challenge || "it does not say which"}`,
        );
    }
    const url = new URL(realm);
    for (const name of ["service", "scope"]) {
        const value = field(name);
        if (value !== undefined) url.searchParams.set(name, value);
    }
    const answer = await get(url.href, {});
    const body = (await answer.json().catch(() => ({}))) as { token?: string; access_token?: string };
    const token = body.token ?? body.access_token;
    if (!answer.ok || !token) throw new Error(`${url.host} gave no token for ${host} (${answer.status})`);
    return token;
}

async function get(url: string, headers: Record<string, string>): Promise<Response> {
    try {
        return await fetch(url, { headers, signal: AbortSignal.timeout(timeoutMs) });
    } catch (error) {
        const { cause, message } = error as Error & { cause?: { code?: string } };
        throw new Error(`no answer from ${new URL(url).host} (${cause?.code ?? message})`);
    }
}
