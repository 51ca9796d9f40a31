import { existsSync } from "node:fs";
import { styled, table } from "../../machine/terminal";
import type { DaemonInfo } from "../daemon";
import { readJson } from "../files";
import type { Layout } from "../layout";
import { lives } from "../processes";
import { daemonEnd, runningDaemon, type RunningDaemon } from "./daemon-process";
import { sourcesTable, type Installed } from "./installed";

/** Says what runs, and where. Gives 0 only when everything does. */
export async function status(layout: Layout, json: boolean): Promise<number> {
    const running = await runningDaemon(layout);
    const installed = readJson<Installed>(layout.installed);
    if (json) console.log(JSON.stringify(report(layout, running, installed), null, 4));
    else if (running) printRunning(layout, running, installed);
    else printStopped(layout, installed);
    return running && running.status.violations === 0 && deadParts(running).length === 0 ? 0 : 1;
}

function report(layout: Layout, running: RunningDaemon | undefined, installed: Installed | undefined) {
    return {
        running: running !== undefined,
        ended: running || !existsSync(layout.daemonInfo) ? undefined : daemonEnd(layout),
        api: running && { url: running.info.api },
        prometheus: running && { url: running.info.prometheus },
        alertmanager: running && { url: running.info.alertmanager },
        console: running && { url: running.info.console },
        kubeconfig: existsSync(layout.kubeconfig) ? layout.kubeconfig : undefined,
        apps: (running?.status.apps ?? []).map(({ id, name, model, state, availableReplicas, url }) => {
            return { id, name, model, state, replicas: availableReplicas, url };
        }),
        realEngine: running?.status.realEngine,
        parts: running?.status.parts,
        violations: running?.status.violations,
        ...installed,
    };
}

function printStopped(layout: Layout, installed: Installed | undefined): void {
    const info = readJson<DaemonInfo>(layout.daemonInfo);
    const hangs = info && lives(info.process);
    const said = [
        hangs ? `The daemon (process ${info.process.pid}) does not answer.` : "The sandbox does not run.",
        info && !hangs && `The daemon has ended by itself (${daemonEnd(layout)}).`,
        info && `See ${layout.daemonLog}.`,
        `${installed ? "The state is kept: start" : "Start"} it with "npm run sandbox".`,
    ];
    console.log(said.filter(Boolean).join(" "));
}

function printRunning(layout: Layout, running: RunningDaemon, installed: Installed | undefined): void {
    const { info } = running;
    const addresses = {
        Console: info.console,
        API: info.api,
        Prometheus: info.prometheus,
        Alertmanager: info.alertmanager,
        ...(installed?.grafana && { Grafana: info.grafana }),
        kubeconfig: layout.kubeconfig,
    };
    const doors = running.status.parts.flatMap(({ name, url }) => (url === undefined ? [] : [[name, url]]));
    console.log(table([...Object.entries(addresses), ...doors]));
    const apps = running.status.apps.map(({ id, name, state, availableReplicas, url }) => {
        return [id, name, state, String(availableReplicas), url];
    });
    console.log(apps.length > 0 ? "\n" + table([["APP", "NAME", "STATE", "REPLICAS", "URL"], ...apps]) : "\nno apps");
    if (installed) console.log("\n" + sourcesTable(installed, running.status.realEngine));
    const dead = deadParts(running);
    for (const { name, exit, log } of dead) console.log(styled("red", `\n${name} has ended (${exit}), see ${log}`));
    if (dead.length > 0) console.log('"npm run sandbox" starts it again, with the state kept.');
}

function deadParts({ status: { parts } }: RunningDaemon) {
    return parts.filter(({ exit }) => exit !== undefined);
}
