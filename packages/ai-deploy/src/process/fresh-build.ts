import { existsSync, readdirSync, statSync } from "fs";
import { join } from "path";

/**
 * Throws when a package stands beside its sources and they are newer than what was built from them: the provider
 * would silently run old code. A published package has no sources and is always fresh. `dist`: the folder of what was built.
 */
export function assertFreshBuild(dist: string): void {
    const sources = join(dist, "../src");
    if (!existsSync(sources)) return;
    for (const file of readdirSync(sources, { encoding: "utf8", recursive: true }).filter((name) =>
        name.endsWith(".ts"),
    )) {
        const built = join(dist, file.replace(/\.ts$/, ".js"));
        if (!existsSync(built) || statSync(built).mtimeMs < statSync(join(sources, file)).mtimeMs) {
            throw new Error(
                `${join(dist, "..")} is not built from its present sources (${file}): run \`npm run build\``,
            );
        }
    }
}
