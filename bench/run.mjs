// `npm run bench -- NAME [OPTIONS]`: installs what is missing, then runs bench/NAME.ts with the options.
// A benchmark compares within one run and prints ratios: absolute times say more about the machine than about us.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ensureNpmPackages, root } from "../machine/npm-packages.mjs";

const names = readdirSync(join(root, "bench"))
    .filter((file) => file.endsWith(".ts"))
    .map((file) => file.slice(0, -3))
    .sort();
const [name, ...options] = process.argv.slice(2);
if (!names.includes(name)) {
    console.error(
        `${name ? `unknown benchmark "${name}"\n` : ""}usage: npm run bench -- NAME\n  ${names.join("\n  ")}`,
    );
    process.exit(2);
}
ensureNpmPackages();
const script = join(root, "bench", `${name}.ts`);
const { status } = spawnSync(process.execPath, ["--import", "tsx", script, ...options], {
    cwd: root,
    stdio: "inherit",
});
process.exit(status ?? 1);
