/** The parts of a package.json that a release goes by. */
export interface Manifest {
    name: string;
    version: string;
    publishConfig?: { access?: string; provenance?: boolean };
    repository?: { type: string; url: string; directory: string };
}

/** What a tag of a release begins with; the version follows. */
export const tagBegins = "ai-deploy-v";

/** What the packed package needs, beside what it is made of. */
const neededFiles = ["package.json", "README.md", "LICENSE", "CHANGELOG.md", "dist/index.js", "plugin/schema.json"];

/**
 * Why a package cannot be released as this tag says, a sentence each.
 * @param packed files of the packed package
 */
export function releaseFaults(
    tag: string,
    { manifest, changelog, packed }: { manifest: Manifest; changelog: string; packed: string[] },
): string[] {
    const { version, publishConfig } = manifest;
    const dated = new RegExp(`^## ${version.replaceAll(".", "\\.")}\\b.*\\n+[^#\\s]`, "m");
    return [
        ...(tag === tagBegins + version
            ? []
            : [
                  `the tag is ${tag}, and package.json has ${version}: tag it ${tagBegins}${version}, or change the version`,
              ]),
        ...(dated.test(changelog) ? [] : [`CHANGELOG.md says nothing under "## ${version}"`]),
        // Without it npm signs nothing, and says nothing of that.
        ...(publishConfig?.provenance === true ? [] : ["package.json has no publishConfig.provenance: true"]),
        ...neededFiles.filter((file) => !packed.includes(file)).map((file) => `the package has no ${file}`),
    ];
}

/** The manifest with the repository that it is released from: npm compares it with where the job runs. */
export function withRepository(
    manifest: Manifest,
    { server, repository }: { server: string; repository: string },
): Manifest {
    const url = `git+${server}/${repository}.git`;
    return { ...manifest, repository: { type: "git", url, directory: "packages/ai-deploy" } };
}
