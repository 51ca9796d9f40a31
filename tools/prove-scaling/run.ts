import { setTimeout as sleep } from "node:timers/promises";
import type { ModelSettings } from "../../src/settings";
import { clientLimits, loadConfig, LoadRun, summarize, type Endpoint } from "../loadtest";
import { readApp, type AiDeploy } from "../verify/app";
import { Observer, type Observations } from "./observe";
import { momentsOf, partsOf, type Moments, type Part, type ProofRequest } from "./timeline";
import { hopeless, verdictOf, type ProofVerdict } from "./verdict";

export interface ProofInput {
    /** The model, by its name in the stack config. */
    model: ModelSettings & { name: string };
    /** What requests name as their model. */
    served: string;
    appId: string;
    appUrl: string;
    endpoint: Endpoint;
    api: AiDeploy;
    options: ProofOptions;
    /** A line for the person who watches. */
    log: (line: string) => void;
}

export interface ProofOptions {
    /** Workers of the load step; each asks, reads the answer, asks again. */
    workers: number;
    /** Workers before, during and after: those whose requests scaling must not lose. */
    baseline: number;
    /** Seconds before the load. */
    baselineSeconds: number;
    /** Seconds that scaling up and recovering may take. */
    patienceSeconds: number;
    /** Seconds that scaling down may take. */
    downPatienceSeconds: number;
    maxTokens: number;
    platformPeriodMs: number;
    /** Platform seconds per second: 1 but in a sandbox. */
    speed: number;
}

export interface Proof {
    verdict: ProofVerdict;
    moments: Moments;
    parts: Part[];
    seen: Observations;
    requests: ProofRequest[];
    /** How many requests: see `Lost`. */
    lost: { up: number; down: number };
    /** Seconds of the whole proof. */
    seconds: number;
}

/** A request of the baseline that no replica answers any more is given up after so long. */
const timeoutSeconds = 60;

/** Runs the proof: baseline, load step, recovery, end of the load, scale-down. Ends early once it is decided. */
export async function proveScaling(input: ProofInput): Promise<Proof> {
    const { model, options, log, api, appId } = input;
    const began = performance.now();
    const now = (): number => (performance.now() - began) / 1000;
    const { status } = await readApp(api, appId);
    const ready = status.availableReplicas ?? 0;
    const early = hopeless(model, ready, status.state);
    if (early) return empty(early);

    const observer = new Observer({
        ...input,
        token: input.endpoint.token ?? "",
        ca: input.endpoint.ca,
        metric: model.scaling.metric,
        maxReplicas: model.replicas.max,
        platformPeriodMs: options.platformPeriodMs,
        now,
    });
    observer.begin();
    const { seen } = observer;
    const all = options.baselineSeconds + options.patienceSeconds + options.downPatienceSeconds + 60;
    const baseline = new Load(input, options.baseline, all, now);
    log(`baseline: ${options.baseline} worker(s) for ${options.baselineSeconds} s, ${ready} replica(s)`);
    await baseline.until(() => false, options.baselineSeconds);

    const loadOn = now();
    const step = new Load(input, options.workers, options.patienceSeconds + 60, now);
    log(`load: ${options.workers} workers`);
    const requests = (): ProofRequest[] =>
        [...baseline.requests(), ...step.requests()].sort((a, b) => a.start - b.start);
    const moments = (loadOff?: number): Moments =>
        momentsOf(seen, requests(), model, { loadOn, loadOff, until: now() });
    const tell = teller(log, loadOn);
    await step.until(() => {
        const soFar = moments();
        tell(soFar);
        return soFar.recovered !== undefined || step.refused || baseline.refused;
    }, options.patienceSeconds);
    const recovered = moments().recovered !== undefined;
    const loadOff = now();
    await step.end();
    log("load off");
    // Without a scale-up there is nothing to come down from.
    if (moments().serving !== undefined) {
        await baseline.until(() => {
            const soFar = moments(loadOff);
            tell(soFar);
            return soFar.down !== undefined;
        }, options.downPatienceSeconds);
    }
    await baseline.end();
    observer.stop();

    const found = moments(loadOff);
    // Looked at while the load was on: with it the window of the percentile would not have been calm for long enough.
    if (!recovered) delete found.recovered;
    // With fewer workers than the target it is their number that is too low, however busy the client was.
    const { scaling } = model;
    const enough = scaling.aggregation !== "AVERAGE" || options.workers / Math.max(ready, 1) > 1.1 * scaling.target;
    const limits = enough ? step.limits() : [];
    const asked = requests();
    const lost = { up: failed(asked, loadOn, loadOff), down: failed(asked, loadOff, Infinity) };
    return {
        verdict: verdictOf(model, seen, asked, found, lost, limits),
        moments: found,
        parts: partsOf(found, model, options.speed),
        seen,
        requests: asked,
        lost: { up: lost.up.length, down: lost.down.length },
        seconds: now(),
    };
}

function failed(requests: ProofRequest[], from: number, to: number): ProofRequest[] {
    return requests.filter(({ end, failure }) => failure !== undefined && end >= from && end < to);
}

/** A closed loop that goes on until it is ended; its times are on the clock of the proof. */
class Load {
    private readonly run: LoadRun;
    private readonly offset: number;
    private readonly ended: Promise<void>;

    constructor(
        private readonly input: ProofInput,
        workers: number,
        seconds: number,
        now: () => number,
    ) {
        const config = loadConfig({
            workers,
            duration: seconds,
            ramp: 0,
            maxTokens: input.options.maxTokens,
            timeout: timeoutSeconds,
            // Short, so that a new replica gets its share whether the balancer chooses by connection or by request.
            connectionAge: 5,
            processes: 1,
        });
        this.run = new LoadRun(config, input.served, input.endpoint);
        this.offset = now();
        this.ended = this.run.run();
        // Waited for in `end`; until then a failure is not to end the process.
        this.ended.catch(() => undefined);
    }

    /** Requests that came to an end, and those under way as if they ended now: else one that hangs would not be missed. */
    requests(): ProofRequest[] {
        const { results, underWay } = this.run;
        const now = this.run.now();
        const unended = underWay.map(({ start, ttft }): ProofRequest => ({ start, end: now, ttft }));
        return [...results.outcomes, ...unended].map(({ start, end, ttft, failure }) => ({
            start: start + this.offset,
            end: end + this.offset,
            ttft,
            failure,
        }));
    }

    /** Whether the run has given up because everything was refused. */
    get refused(): boolean {
        return this.run.stopped !== undefined;
    }

    async until(holds: () => boolean, seconds: number): Promise<void> {
        const end = performance.now() + seconds * 1000;
        while (performance.now() < end && !this.refused && !holds()) await sleep(500);
    }

    async end(): Promise<void> {
        this.run.stop("the proof goes on without it");
        await this.ended;
    }

    /** Why the figures may be the client's. */
    limits(): string[] {
        const { hostname } = new URL(this.input.appUrl);
        const latency = summarize([...this.run.results.outcomes].map(({ seconds }) => seconds));
        return clientLimits(this.run.self, {
            sameMachine: ["127.0.0.1", "localhost", "[::1]"].includes(hostname),
            latencyMs: (latency?.p50 ?? 0) * 1000,
            notSent: 0,
        });
    }
}

const steps: [keyof Moments, string][] = [
    ["metricOver", "the metric is over its target"],
    ["decided", "the platform adds a replica"],
    ["serving", "the new replica takes requests"],
    ["firstToken", "first token from the new replica"],
    ["recovered", "p95 of the time to first token is under its target"],
    ["downDecided", "a replica is given up"],
    ["down", "as few replicas as before"],
];

/** Tells each moment once, in seconds from the load. */
function teller(log: (line: string) => void, loadOn: number): (moments: Moments) => void {
    const told = new Set<string>();
    return (moments) => {
        for (const [key, words] of steps) {
            const at = moments[key];
            if (at === undefined || told.has(key)) continue;
            told.add(key);
            log(`${(at - loadOn).toFixed(1).padStart(7)} s  ${words}`);
        }
    };
}

function empty(verdict: ProofVerdict): Proof {
    const seen = { platform: [], replicas: [] };
    return { verdict, moments: { loadOn: 0 }, parts: [], seen, requests: [], lost: { up: 0, down: 0 }, seconds: 0 };
}
