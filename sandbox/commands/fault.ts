import { nearest } from "../../src/settings/formats";
import { appFaultKinds, platformFaultKinds } from "../ovhcloud/incidents";
import type { FaultStatus, SandboxStatus } from "../ovhcloud/status";
import { table } from "../../machine/terminal";
import type { RunningDaemon } from "./daemon-process";
import { UserError } from "./user-error";

/** `npm run sandbox -- fault ...`: asks the daemon for faults, over its controls. */

export const faultUsage = `Faults (npm run sandbox -- fault ...)
  fault KIND        replicas of an app: ${appFaultKinds.join(", ")}
                    the platform: ${platformFaultKinds.join(", ")}
  fault metrics 'vllm:num_requests_waiting=50' ...
                    a gauge shows the value, a counter grows by so much a second,
                    a histogram gets an observation of it each second
  fault list        those that act now or are still to come
  fault clear       end all of them
  --app APP         id or name of the app (default: the only one)
  --replica N       only this replica: all kinds of an app except image-pull, hf-401
  --factor F        slow: so many times as slow (default 10)
  --rate R          errors: the share of requests, above 0 and at most 1 (default 1)
  --status S        errors: the status that answers them, 400 to 599 (default 500)
  --region R        region-outage: only this one
  --token ID        token-revoked: only this one
  --after S         begin after so many real seconds
  --for S           end after so many real seconds (default: until it is cleared)
  --json            print the faults as JSON`;

export interface FaultOptions {
    app?: string;
    replica?: string;
    factor?: string;
    rate?: string;
    status?: string;
    json?: boolean;
    region?: string;
    token?: string;
    after?: string;
    for?: string;
}

/** Asks the daemon, if there is one. */
export async function fault(
    running: RunningDaemon | undefined,
    words: string[],
    options: FaultOptions,
): Promise<number> {
    if (!running) throw new UserError('the sandbox does not run: start it with "npm run sandbox"');
    const api = running.info.api.replace(/\/v1$/, "");
    try {
        console.log(await runFaultCommand(api, running.status, words, options));
    } catch (error) {
        throw new UserError((error as Error).message);
    }
    return 0;
}

/** Carries out one command and returns what to print. `api` is the daemon's URL. Throws an Error for people. */
export async function runFaultCommand(
    api: string,
    status: SandboxStatus,
    [what, ...more]: string[],
    options: FaultOptions,
): Promise<string> {
    if (what === undefined || (more.length > 0 && what !== "metrics")) {
        throw new Error(`name one fault\n\n${faultUsage}`);
    }
    const shown = (faults: FaultStatus[]): string =>
        options.json ? JSON.stringify(faults, null, 4) : listed(faults, status);
    if (what === "list") return shown(status.faults);
    if (what === "clear") {
        for (const path of ["platform", ...status.apps.map(({ id }) => `apps/${id}`)]) {
            await call(api, "DELETE", `/sandbox/${path}/faults`);
        }
        if (options.json) return shown([]);
        return status.faults.length === 0 ? "there were no faults" : `ended: ${status.faults.length}`;
    }
    const ofPlatform = (platformFaultKinds as string[]).includes(what);
    if (!ofPlatform && !(appFaultKinds as string[]).includes(what)) {
        const known = [...appFaultKinds, ...platformFaultKinds, "list", "clear"];
        const guess = nearest(what, known);
        const fix = guess ? `did you mean "${guess}"?` : `give one of ${known.join(", ")}`;
        throw new Error(`there is no fault "${what}": ${fix}\n\n${faultUsage}`);
    }
    if (ofPlatform && options.app !== undefined) throw new Error(`--app: ${what} is a fault of the platform`);
    const path = ofPlatform ? "platform" : `apps/${appOf(status, options.app)}`;
    const faults = await call(api, "POST", `/sandbox/${path}/faults`, {
        kind: what,
        replica: number("replica", options.replica),
        factor: number("factor", options.factor),
        rate: number("rate", options.rate),
        status: number("status", options.status),
        metrics: what === "metrics" ? more : undefined,
        region: options.region,
        token: options.token,
        afterSeconds: number("after", options.after),
        forSeconds: number("for", options.for),
    });
    return options.json || faults.some(({ kind }) => kind === what) ? shown(faults) : `${what}: done`;
}

function listed(faults: FaultStatus[], { apps }: SandboxStatus): string {
    if (faults.length === 0) return "no faults";
    const rows = faults.map(({ kind, app, replica, region, state, beginsAt, endsAt, ...how }) => [
        [kind, faultDetail(how)].filter(Boolean).join(" "),
        apps.find(({ id }) => id === app)?.name ?? region ?? "platform",
        replica === undefined ? "all" : String(replica),
        state,
        beginsAt,
        endsAt ?? "until cleared",
    ]);
    return table([["FAULT", "OF", "REPLICA", "STATE", "BEGINS", "ENDS"], ...rows]);
}

/** The figures of a fault: `x 10`, `20 % with status 500`, the metrics that are set. */
function faultDetail({ factor, rate, status, metrics }: Partial<FaultStatus>): string {
    if (factor !== undefined) return `x ${factor}`;
    if (rate !== undefined) return `${Number((100 * rate).toFixed(3))} % with status ${status}`;
    return metrics?.join(" ") ?? "";
}

function appOf({ apps }: SandboxStatus, wanted: string | undefined): string {
    const found = apps.filter(({ id, name }) => wanted === undefined || id === wanted || name === wanted);
    if (found.length === 1) return found[0].id;
    const there = apps.map(({ id, name }) => `  ${id}  ${name}`).join("\n") || "  none";
    const problem =
        wanted === undefined
            ? "there is more than one app or none: name it with --app"
            : `--app ${wanted}: no such app, or several`;
    throw new Error(`${problem}\nApps:\n${there}`);
}

function number(option: string, text: string | undefined): number | undefined {
    if (text === undefined) return undefined;
    if (text.trim() === "" || !Number.isFinite(Number(text))) throw new Error(`--${option} ${text}: give a number`);
    return Number(text);
}

async function call(api: string, method: string, path: string, body?: object): Promise<FaultStatus[]> {
    const answer = await fetch(api + path, { method, body: body && JSON.stringify(body) });
    const value = (await answer.json()) as FaultStatus[] | { message: string };
    if (!answer.ok) throw new Error((value as { message: string }).message);
    return value as FaultStatus[];
}
