import { readFileSync } from "fs";
import { join } from "path";

/** Name of the plugin, and of its package in every language. */
export const pluginName = "ovh-ai-deploy";

/** What Pulumi finds: the executable and the schema. */
export const pluginFolder = join(__dirname, "../../plugin");

/** The version of this package. */
export function version(): string {
    const text = readFileSync(join(pluginFolder, "../package.json"), "utf8");
    return (JSON.parse(text) as { version: string }).version;
}
