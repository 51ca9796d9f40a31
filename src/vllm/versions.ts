/** Versions of vLLM that are known: their metrics, and what their servers take. The first one is what an unknown version is taken for. */
export const vllmVersions = ["0.13.0", "0.33.0"] as const;
export type VllmVersion = (typeof vllmVersions)[number];

/** The vLLM version that an image's tag names; undefined when it is none of the known ones. */
export function vllmVersionOf(image: string): VllmVersion | undefined {
    const tag = /:v?(\d+\.\d+\.\d+)[^/]*$/.exec(image)?.[1];
    return vllmVersions.find((version) => version === tag);
}

/** Whether the server of the image has `--shutdown-timeout`, by which it answers what it has before it ends: from 0.18.0 on. */
export function hasShutdownTimeout(image: string): boolean {
    const [, major, minor] = /:v?(\d+)\.(\d+)[^/]*$/.exec(image) ?? [];
    return Number(major) > 0 || Number(minor) >= 18;
}
