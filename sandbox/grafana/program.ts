import { execFileSync } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { isProgram, placesOnPath } from "../../machine/programs";

/** A Grafana that is installed on this machine. */
export interface GrafanaProgram {
    path: string;
    /** `12.1.0` */
    version: string;
    /** Holds `conf/defaults.ini` and the files of its page, without which it does not start. */
    home: string;
}

/** The oldest one that reads the dashboards as they are written here. */
export const oldestGrafana = 12;

/**
 * The `grafana` on this PATH; undefined when there is none.
 * @throws Error for people when there is one that cannot be used
 */
export function findGrafana(path = process.env.PATH ?? ""): GrafanaProgram | undefined {
    const found = placesOnPath(["grafana"], path).find(isProgram);
    if (found === undefined) return undefined;
    const printed = execFileSync(found, ["--version"], { encoding: "utf8", timeout: 30_000 }).trim();
    const [, version, major] = /(\b(\d+)\.\d+\.\d+\S*)/.exec(printed) ?? [];
    if (version === undefined) throw new Error(`${found} --version says "${printed}", which names no version`);
    if (Number(major) < oldestGrafana) throw new Error(`${found} is ${version}: ${oldestGrafana} or newer is needed`);
    const homes = homesOf(found);
    const home = homes.find((folder) => existsSync(join(folder, "conf/defaults.ini")));
    if (home === undefined) throw new Error(`${found}: no conf/defaults.ini in ${homes.join(", ")}`);
    return { path: found, version, home };
}

/** Where its files may lie: beside it as in its archive, or where packages put them. */
function homesOf(program: string): string[] {
    const prefix = dirname(dirname(realpathSync(program)));
    return [prefix, join(prefix, "share/grafana"), "/usr/share/grafana"];
}
