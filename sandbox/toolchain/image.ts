/** Container images as a way to get at a program that is published in no other form: of the registry's HTTP API, the reading half. */
import { z } from "zod";
import { get, mirrored } from "./web";

/** A layer to download: an archive named by its sha256. */
export interface Layer {
    url: string;
    sha256: string;
    headers: Record<string, string>;
}

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const index = z.object({
    manifests: z.array(z.object({ digest, platform: z.object({ os: z.string(), architecture: z.string() }) })),
});
const manifest = z.object({ layers: z.array(z.object({ digest })).min(1) });
const token = z.object({ token: z.string() });

const mediaTypes = ["index.v1", "manifest.v1"]
    .map((type) => `application/vnd.oci.image.${type}+json`)
    .concat(["manifest.list", "manifest"].map((type) => `application/vnd.docker.distribution.${type}.v2+json`));

/**
 * The last layer of an image, `docker://HOST/NAME:TAG`, for Linux on an architecture (as Go calls it).
 * @throws Error when the registry does not answer as registries do
 */
export async function lastLayer(image: string, architecture: string): Promise<Layer> {
    const [, host, name, tag] = /^docker:\/\/([^/]+)\/(.+):([^:/]+)$/.exec(image) ?? [];
    if (!tag) throw new Error(`${image} is no docker://HOST/NAME:TAG`);
    const base = `https://${host}/v2/${name}`;
    const headers: Record<string, string> = {
        accept: mediaTypes.join(", "),
        ...(await anonymous(`${base}/manifests/${tag}`)),
    };
    const read = async <T>(reference: string, form: z.ZodType<T>): Promise<T> => {
        const url = `${base}/manifests/${reference}`;
        const response = await get(url, { headers, signal: AbortSignal.timeout(30_000) });
        const parsed = form.safeParse(response.ok ? await response.json() : undefined);
        if (parsed.success) return parsed.data;
        throw new Error(`${mirrored(url)} answers ${response.status}, and nothing that could be read`);
    };
    const { manifests } = await read(tag, index);
    const found = manifests.find(({ platform }) => platform.os === "linux" && platform.architecture === architecture);
    if (!found) throw new Error(`${image} is not published for linux/${architecture}`);
    const layer = (await read(found.digest, manifest)).layers.at(-1)!.digest;
    return { url: `${base}/blobs/${layer}`, sha256: layer.slice("sha256:".length), headers };
}

/** The header with a token for everybody, where a registry wants one even to read what is public. */
async function anonymous(url: string): Promise<Record<string, string>> {
    const response = await get(url, { method: "HEAD", signal: AbortSignal.timeout(30_000) });
    if (response.status !== 401) return {};
    const challenge = response.headers.get("www-authenticate") ?? "";
    const { realm, ...query } = Object.fromEntries(
        [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value]),
    ) as Record<string, string | undefined>;
    if (!realm || !URL.canParse(realm)) {
        throw new Error(`${mirrored(url)} answers 401 without saying who gives a token`);
    }
    const asked = new URL(realm);
    for (const [key, value] of Object.entries(query)) {
        if (value) asked.searchParams.set(key, value);
    }
    const answer = await get(asked.href, { signal: AbortSignal.timeout(30_000) });
    const parsed = token.safeParse(answer.ok ? await answer.json() : undefined);
    if (!parsed.success) throw new Error(`${mirrored(asked.href)} answers ${answer.status}, and no token`);
    return { authorization: `Bearer ${parsed.data.token}` };
}
