import { z } from "zod";
import { badRequest, notFound } from "./api-error";
import type { Writing } from "./apps";
import { readFaultRule, type Faults } from "./faults";
import { forms, type Form } from "./forms";
import { balancings } from "./gateway";
import { readAppFault, readPlatformFault } from "./incidents";
import type { Overview } from "./overview";
import type { Platform } from "./platform";
import type { Balancing, FaultStatus, SleepBehaviour } from "./status";

/** What the sandbox's own controls take hold of. */
export interface Controls {
    platform: Platform;
    overview: Overview;
    /** Faults of single calls. */
    faults: Faults;
    writing: Writing;
    requests: unknown[];
    violations: string[];
}

/** A call under `/sandbox/`, which is no part of OVHcloud. Answers the value to send; throws an ApiError. */
export function control(controls: Controls, method: string, path: string, body: string): unknown {
    const { platform, overview, faults } = controls;
    const app = /^\/sandbox\/apps\/([\w-]+)\/faults$/.exec(path)?.[1];
    if (app !== undefined || path === "/sandbox/platform/faults") {
        const answer = replicaFaults(controls, method, app, body);
        if (answer !== undefined) return answer;
    }
    switch (`${method} ${path}`) {
        case "GET /sandbox/status":
            return overview.status();
        case "POST /sandbox/speed":
            return { speed: (platform.speed = readSpeed(json(body))) };
        case "POST /sandbox/balancing":
            return { balancing: (platform.balancing = readBalancing(json(body))) };
        case "POST /sandbox/sleep":
            return Object.assign(platform.sleep, readSleep(json(body)));
        case "POST /sandbox/form":
            return { form: (controls.writing.form = readForm(json(body))) };
        case "GET /sandbox/requests":
            return controls.requests;
        case "GET /sandbox/violations":
            return controls.violations;
        case "GET /sandbox/faults":
            return faults.list();
        case "POST /sandbox/faults":
            faults.add(readFaultRule(json(body)));
            return faults.list();
        case "DELETE /sandbox/faults":
            faults.clear();
            return [];
        default:
            throw notFound(`${method} ${path} is not a control of the sandbox`);
    }
}

/** Faults of the replicas of an app, or of the platform; undefined for a method that there is not. */
function replicaFaults(
    { platform, overview }: Controls,
    method: string,
    id: string | undefined,
    body: string,
): FaultStatus[] | undefined {
    const { incidents } = platform;
    const app = id === undefined ? undefined : overview.existing().find((one) => one.id === id);
    if (id !== undefined && !app) throw notFound(`app ${id} does not exist`);
    if (!["GET", "POST", "DELETE"].includes(method)) return undefined;
    if (method === "POST") {
        if (!app) incidents.add(readPlatformFault(json(body)));
        else {
            incidents.add(readAppFault(json(body), platform.targets(app)), app.id);
        }
    }
    if (method === "DELETE") incidents.clear(id);
    return incidents.list().filter((fault) => fault.app === id);
}

function readSpeed({ speed }: { speed?: unknown }): number {
    if (typeof speed === "number" && speed >= 1 && speed <= 1000) return speed;
    throw badRequest(`speed is ${JSON.stringify(speed)}: give a number from 1 (real time) to 1000`);
}

function readBalancing({ balancing }: { balancing?: unknown }): Balancing {
    const found = balancings.find((one) => one === balancing);
    if (found) return found;
    throw badRequest(`balancing is ${JSON.stringify(balancing)}: give one of ${balancings.join(", ")}`);
}

function readSleep(given: object): Partial<SleepBehaviour> {
    const read = sleepBehaviour.safeParse(given);
    if (read.success) return read.data;
    throw badRequest(
        read.error.issues.map(({ path, message }) => `${path.join(".") || "sleep"}: ${message}`).join("; "),
    );
}

const sleepBehaviour = z.strictObject({
    wakingRequest: z.enum(["refused", "held"]).optional(),
    keptAwakeBy: z.enum(["metric", "calls"]).optional(),
});

function readForm({ form }: { form?: unknown }): Form {
    const found = forms.find((one) => one === form);
    if (found) return found;
    throw badRequest(`form is ${JSON.stringify(form)}: give one of ${forms.join(", ")}`);
}

/** The body of a control as an object. */
function json(body: string): object {
    let value: unknown;
    try {
        value = JSON.parse(body);
    } catch {
        throw badRequest("the body is not JSON");
    }
    if (typeof value !== "object" || value === null) throw badRequest("the body is not an object");
    return value;
}
