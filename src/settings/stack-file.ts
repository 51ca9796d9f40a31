import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseDocument } from "yaml";

/**
 * The project's own keys as they lie in `Pulumi.<stack>.yaml` of its folder, encrypted values as `{ secure: ... }`; `undefined` without
 * such a file. Pulumi tells a program of each key whether something in it is encrypted, but not what. With
 * `--config-file` the stack's config comes from elsewhere, so this is no source of values: only a value that is found here
 * in plain text, and is the one that Pulumi has, is known to lie there.
 * @throws Error that says where the file is no YAML: what lies in it unencrypted could not be told
 */
export function readStackFile(folder: string, project: string, stack: string): Record<string, unknown> | undefined {
    const file = join(folder, `Pulumi.${stack}.yaml`);
    if (!existsSync(file)) return undefined;
    const document = parseDocument(readFileSync(file, "utf8"));
    if (document.errors.length > 0) throw new Error(`Pulumi.${stack}.yaml: ${document.errors[0].message}`);
    const { config } = (document.toJS() ?? {}) as { config?: Record<string, unknown> };
    const prefix = `${project}:`;
    return Object.fromEntries(
        Object.entries(config ?? {}).map(([key, value]) => [
            key.startsWith(prefix) ? key.slice(prefix.length) : key,
            value,
        ]),
    );
}
