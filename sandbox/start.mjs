// `npm run sandbox`: installs the npm packages if need be, then hands over to cli.ts.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { ensureNpmPackages, root } from "../machine/npm-packages.mjs";

ensureNpmPackages();
const cli = spawn(process.execPath, ["--import", "tsx", join(root, "sandbox/cli.ts"), ...process.argv.slice(2)], {
    cwd: root,
    stdio: "inherit",
});
// Ctrl-C and a closed terminal reach the child, too; this process only passes the end on.
process.on("SIGINT", () => undefined);
process.on("SIGHUP", () => undefined);
process.on("SIGTERM", () => cli.kill("SIGTERM"));
cli.on("exit", (code, signal) => process.exit(signal ? 130 : (code ?? 1)));
