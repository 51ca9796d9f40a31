import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Lays the stand-in for Grafana out as its archive would be. Returns the folder for PATH. */
export function installFakeGrafana(dir: string): string {
    mkdirSync(join(dir, "bin"), { recursive: true });
    mkdirSync(join(dir, "conf"), { recursive: true });
    writeFileSync(join(dir, "conf/defaults.ini"), "");
    const script = `#!/bin/sh\nexec "${process.execPath}" "${join(__dirname, "fake-grafana.mjs")}" "$@"\n`;
    writeFileSync(join(dir, "bin/grafana"), script, { mode: 0o755 });
    return join(dir, "bin");
}
