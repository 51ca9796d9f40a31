import { existsSync, readdirSync, statSync } from "fs";
import { join } from "path";

/**
 * Throws when this package stands beside its sources and they are newer than what was built from them: the provider
 * would silently run old code. The published package has no sources and is always fresh.
 */
export function assertFreshBuild(): void {
    const sources = join(__dirname, "../src");
    if (!existsSync(sources)) return;
    for (const file of readdirSync(sources).filter((name) => name.endsWith(".ts"))) {
        const built = join(__dirname, file.replace(/\.ts$/, ".js"));
        if (!existsSync(built) || statSync(built).mtimeMs < statSync(join(sources, file)).mtimeMs) {
            throw new Error(
                `packages/ai-deploy is not built from its present sources (${file}): run \`npm run build\``,
            );
        }
    }
}
