// `npm run TOOL -- OPTIONS`: installs what is missing, then runs tools/TOOL/cli.ts with the options.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { ensureNpmPackages, root } from "../machine/npm-packages.mjs";

const [tool, ...options] = process.argv.slice(2);
ensureNpmPackages();
const child = spawn(process.execPath, ["--import", "tsx", join(root, "tools", tool, "cli.ts"), ...options], {
    stdio: "inherit",
});
// Ctrl-C reaches the child through the terminal, and it has a report to write; this process only passes the end on.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.on("exit", (code, signal) => process.exit(signal ? 130 : (code ?? 1)));
