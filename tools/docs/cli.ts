// `npm run docs`: writes docs/settings.md, and the schema of the plugin of packages/ai-deploy.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pluginSchema } from "./plugin-schema";
import { settingsPage } from "./settings-page";

async function write(): Promise<void> {
    const texts = {
        "docs/settings.md": await settingsPage(),
        "packages/ai-deploy/plugin/schema.json": `${JSON.stringify(pluginSchema(), undefined, 4)}\n`,
    };
    for (const [path, text] of Object.entries(texts)) {
        writeFileSync(join(__dirname, "../..", path), text);
        console.log(`wrote ${path}`);
    }
}

write().catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
});
