import type { ModelSettings } from "../../src/settings";
import { graceSeconds } from "../../src/vllm/command-line";
import { maxNumSeqs } from "../../src/vllm/limits";
import { wakeCommand } from "../verify/app";
import type { Observations } from "./observe";
import { scalingValue, type Moments, type ProofRequest } from "./timeline";

/** Why a stack did not scale, or did not recover. */
export type Cause =
    | "asleep"
    | "target above max-num-seqs"
    | "metric missing"
    | "token"
    | "maximum reached"
    | "load too low"
    | "no GPU free"
    | "boot longer than the probe allows"
    | "no decision"
    | "replica did not come"
    | "not recovered"
    | "not scaled down"
    | "requests lost";

/** Requests that got no whole answer while replicas came, and while they went; not those that the end of the load cancelled. */
export interface Lost {
    up: ProofRequest[];
    down: ProofRequest[];
}

export interface ProofVerdict {
    /** 0: scaled and recovered, and no request was lost. 1: did not. 2: the client was the limit. */
    code: 0 | 1 | 2;
    cause?: Cause | "client";
    /** In a sentence, with what to do. */
    words: string;
}

type Model = Pick<
    ModelSettings,
    "scaling" | "replicas" | "targets" | "probes" | "vllm" | "flavor" | "drain" | "deploymentStrategy"
> & {
    name: string;
};

/** A Kubernetes autoscaler changes nothing this close to its target. */
const tolerance = 0.1;

/** What can be told before any load: a proof that cannot succeed is not begun. Undefined when nothing speaks against it. */
export function hopeless(model: Model, ready: number, state = "RUNNING"): ProofVerdict | undefined {
    const { scaling, replicas, name } = model;
    if (state === "STANDBY") {
        return did(1, "asleep", `${name} is asleep, and a proof of its waking is none of its scaling: ${wakeCommand}`);
    }
    const most = maxNumSeqs(model);
    if (scaling.metric === "vllm:num_requests_running" && scaling.target * (1 + tolerance) >= most) {
        const set = `pulumi config set --path models.${name}.scaling.target ${Math.floor(most * 0.7)}`;
        const words = `the target is ${scaling.target}, and a replica never runs more than ${most} requests at once (max-num-seqs): ${set}`;
        return did(1, "target above max-num-seqs", words);
    }
    if (ready >= replicas.max) {
        const set = `pulumi config set --path models.${name}.replicas.max ${replicas.max + 1}`;
        const words = `${ready} of at most ${replicas.max} replicas run already, so none can be added: wait until it is quiet, or ${set}`;
        return did(1, "maximum reached", words);
    }
    return undefined;
}

/** What came of a proof. `clientLimits`: why the figures may be the client's own. */
export function verdictOf(
    model: Model,
    seen: Observations,
    requests: ProofRequest[],
    moments: Moments,
    lost: Lost,
    clientLimits: string[],
): ProofVerdict {
    if (moments.recovered !== undefined && moments.down !== undefined) {
        if (lost.up.length + lost.down.length > 0) return lostRequests(model, lost);
        return did(0, undefined, "scaled up under load, recovered, scaled down again, and lost no request");
    }
    const refused = requests.find(({ failure }) => failure?.status === 401 || failure?.status === 403);
    if (refused) {
        const words = `the app refuses the token with ${refused.failure!.status}: pulumi refresh, then pulumi up makes another`;
        return did(1, "token", words);
    }
    if (moments.decided === undefined) return undecided(model, seen, moments, clientLimits);
    if (moments.serving === undefined) return didNotCome(model, seen);
    if (moments.recovered === undefined) {
        if (clientLimits.length > 0) return limited(clientLimits);
        return notRecovered(model, seen);
    }
    const words =
        "it scaled up and recovered, and did not scale down in the time it was given: wait longer, or look at the metric";
    return did(1, "not scaled down", words);
}

/** A stack that scales at the cost of requests has not been proved. */
function lostRequests(model: Model, { up, down }: Lost): ProofVerdict {
    const { name, drain } = model;
    const kinds = [...new Set([...up, ...down].map(({ failure }) => failure!.kind))].join(", ");
    const counts = `${up.length} while it scaled up, ${down.length} while it scaled down (${kinds})`;
    const set = `pulumi config set --path models.${name}`;
    const remedy =
        down.length === 0
            ? "no replica went then: look at the app's log"
            : drain
              ? `a replica that goes has ${graceSeconds(model)} s for its answers: ${set}.deploymentStrategy.terminationGracePeriodSeconds ${2 * graceSeconds(model)}`
              : `a replica that goes takes its requests along unless it is drained: ${set}.drain true`;
    return did(1, "requests lost", `it scaled and recovered, and lost requests: ${counts}; ${remedy}`);
}

function undecided(model: Model, seen: Observations, moments: Moments, clientLimits: string[]): ProofVerdict {
    const { scaling, name } = model;
    const values = scalingValue(seen, model).filter(([t]) => t > moments.loadOn);
    if (seen.replicas.length > 0 && values.length === 0) {
        const set = `pulumi config set --path models.${name}.scaling.metric vllm:num_requests_running`;
        return did(1, "metric missing", `${scaling.metric} is not on the app's page of metrics: ${set}`);
    }
    const most = values.reduce((all, [, value]) => Math.max(all, value), 0);
    if (most <= scaling.target * (1 + tolerance)) {
        if (clientLimits.length > 0) return limited(clientLimits);
        const words =
            `${scaling.metric} came to ${round(most)}, and the platform acts above ${round(scaling.target * (1 + tolerance))}: ` +
            "more --workers, or a lower scaling.target";
        return did(1, "load too low", words);
    }
    const words = `${scaling.metric} was at ${round(most)} with a target of ${scaling.target}, and the platform did nothing: does its strategy match (npm run verify)?`;
    return did(1, "no decision", words);
}

function didNotCome({ probes, name }: Model, { platform }: Observations): ProofVerdict {
    const messages = platform.map(({ message }) => message).reverse();
    const probe = messages.find((message) => /probe/i.test(message));
    if (probe !== undefined) {
        const { initialDelaySeconds } = probes.liveness;
        const set = `pulumi config set --path models.${name}.probes.liveness.initialDelaySeconds ${2 * initialDelaySeconds}`;
        return did(1, "boot longer than the probe allows", `${probe}: ${set}`);
    }
    const gpu = messages.find((message) => /gpu|quota|capacity|resources/i.test(message));
    if (gpu !== undefined || platform.at(-1)?.state === "QUEUED") {
        const words = `${gpu ?? "the new replica waits"}: ask for a higher quota, or choose another region or flavor`;
        return did(1, "no GPU free", words);
    }
    const words = `a replica was asked for and did not take requests in the time it was given (${messages[0] || "the platform says nothing"}): a longer --patience, or look at its log`;
    return did(1, "replica did not come", words);
}

function notRecovered({ replicas, targets, name }: Model, { platform }: Observations): ProofVerdict {
    const most = Math.max(...platform.map(({ ready }) => ready));
    const over = `p95 of the time to first token stayed over ${targets.timeToFirstToken} s`;
    if (most >= replicas.max) {
        const set = `pulumi config set --path models.${name}.replicas.max ${replicas.max + 2}`;
        return did(1, "maximum reached", `${over} with all ${most} replicas: fewer --workers, or ${set}`);
    }
    return did(1, "not recovered", `${over} with ${most} replicas: a lower scaling.target (npm run find-target)`);
}

function limited(reasons: string[]): ProofVerdict {
    const words = `the client was the limit: ${reasons.join("; ")}. Use fewer --workers, or another machine`;
    return { code: 2, cause: "client", words };
}

function did(code: 0 | 1, cause: Cause | undefined, words: string): ProofVerdict {
    return { code, ...(cause && { cause }), words };
}

function round(value: number): string {
    return String(Number(value.toPrecision(3)));
}
