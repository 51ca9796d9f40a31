import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { releaseFaults, withRepository, type Manifest } from "./release";

const folder = resolve(__dirname, "../../packages/ai-deploy");

/** `npm run supply-chain -- release TAG`; gives the exit code. Throws an Error for people. */
export function prepareRelease(tag: string | undefined, env: NodeJS.ProcessEnv): number {
    if (tag === undefined) throw new Error("give the tag of the release, such as ai-deploy-v1.2.3");
    const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository } = env;
    const file = join(folder, "package.json");
    const manifest = JSON.parse(readFileSync(file, "utf8")) as Manifest;
    const changelog = readFileSync(join(folder, "CHANGELOG.md"), "utf8");
    const faults = releaseFaults(tag, { manifest, changelog, packed: packedFiles() });
    for (const fault of faults) console.error(fault);
    if (faults.length > 0) return 1;
    if (server === undefined || repository === undefined) {
        console.log(`${manifest.name} ${manifest.version} can be released; a job of GitHub Actions does that.`);
        return 0;
    }
    writeFileSync(file, `${JSON.stringify(withRepository(manifest, { server, repository }), undefined, 4)}\n`);
    console.log(`${manifest.name} ${manifest.version} is ready for npm publish.`);
    return 0;
}

function packedFiles(): string[] {
    const packed = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
        cwd: folder,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "inherit"],
    });
    const [{ files }] = JSON.parse(packed) as [{ files: { path: string }[] }];
    return files.map(({ path }) => path);
}
