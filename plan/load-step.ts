import { firstTokenP95, momentsOf, type Moments, type ProofRequest } from "../tools/prove-scaling/timeline";
import type { Observations } from "../tools/prove-scaling/observe";
import { seededRandom } from "../tools/random";
import type { ModelSettings } from "../src/settings";
import { simulateFleet } from "./fleet";
import type { Answers, Request, Traffic } from "./traffic";
import type { Outcome, World } from "./world";

/** The load of `npm run prove-scaling`: workers that ask, read the answer and ask again. Times are seconds. */
export interface LoadStep {
    /** Before, during and after the load, and of the load itself. */
    baseline: number;
    workers: number;
    baselineSeconds: number;
    /** That recovering, and scaling down, may take. */
    patienceSeconds: number;
    downPatienceSeconds: number;
    /** Draws the next request of a worker. */
    draw: (random: () => number) => Pick<Request, "promptTokens" | "answerTokens" | "blocks">;
    /** Tokens of each of a request's `blocks`. */
    blockTokens: number;
}

/** What a load step comes to, as `prove-scaling` sees it. */
export interface StepSeen {
    moments: Moments;
    seen: Observations;
    requests: ProofRequest[];
    outcome: Outcome;
}

/** How exactly workers react, and how often is looked whether the load has done its work. */
const reaction = 0.002;
const lookEvery = 0.5;

/** Runs the steps of a proof in virtual time: baseline, load until it has recovered, baseline until it has scaled down. */
export function simulateLoadStep(
    world: World,
    model: Pick<ModelSettings, "scaling" | "replicas" | "targets">,
    step: LoadStep,
    seed: number,
): StepSeen {
    const proof = new Proof(model, step, seed);
    const outcome = simulateFleet(world, proof.traffic(), model.targets, seed);
    return { moments: proof.moments(), seen: proof.seen, requests: proof.requests, outcome };
}

class Proof {
    readonly seen: Observations = { platform: [], replicas: [] };
    readonly requests: ProofRequest[] = [];
    private now = 0;
    private readonly loadOn: number;
    private loadOff?: number;
    private readonly random: () => number;

    constructor(
        private readonly model: Pick<ModelSettings, "scaling" | "replicas" | "targets">,
        private readonly step: LoadStep,
        seed: number,
    ) {
        this.random = seededRandom(seed + 17);
        // The autoscaler's looks do not know of the load.
        this.loadOn = step.baselineSeconds + this.random() * 15;
    }

    moments(): Moments {
        const { loadOn, loadOff, now: until } = this;
        return momentsOf(this.seen, this.requests, this.model, { loadOn, loadOff, until });
    }

    traffic(): Traffic {
        const { baselineSeconds, patienceSeconds, downPatienceSeconds, blockTokens } = this.step;
        const seconds = baselineSeconds + 15 + patienceSeconds + downPatienceSeconds;
        const requests = (_: number, answers?: Answers) => this.ask(seconds, answers!);
        return { name: "a load step", seconds, begins: 0, blockTokens, waits: true, requests };
    }

    private *ask(seconds: number, answers: Answers): Iterable<Request> {
        const { baseline, workers, draw } = this.step;
        // Under way, by their numbers.
        const asked = { baseline: new Set<number>(), load: new Set<number>() };
        let count = 0;
        let nextLook = 0;
        for (; this.now < seconds; this.now += reaction) {
            for (const { request, start, firstToken, end } of answers.until(this.now)) {
                // One that was given up may still come to its end.
                if (!asked.baseline.delete(request) && !asked.load.delete(request)) continue;
                const refused = firstToken === Infinity;
                const how = refused ? { failure: { kind: "http" } } : { ttft: firstToken - start };
                this.requests.push({ start, end, ...how });
            }
            if (this.now >= nextLook) {
                this.look(answers);
                nextLook += lookEvery;
                if (this.isOver()) return;
            }
            const isOn = this.now >= this.loadOn && this.loadOff === undefined;
            if (!isOn && asked.load.size > 0) {
                answers.abort(asked.load);
                asked.load.clear();
            }
            for (const [who, most] of [
                ["baseline", baseline],
                ["load", isOn ? workers : 0],
            ] as const) {
                while (asked[who].size < most) {
                    asked[who].add(++count);
                    yield { at: this.now, commonTokens: 0, ...draw(this.random) };
                }
            }
        }
    }

    private look(answers: Answers): void {
        const t = this.now;
        const { wanted, going, values } = answers.replicas();
        const ready = values.length;
        const state = ready === wanted && going === 0 ? "RUNNING" : "SCALING";
        this.seen.platform.push({ t, state, ready, message: "" });
        values.forEach((value, i) => this.seen.replicas.push({ t, replica: String(i), value, tokens: 0 }));
    }

    /** Whether all has been seen that is to be seen; takes the load off once it has recovered. */
    private isOver(): boolean {
        if (this.now < this.loadOn) return false;
        const { recovered, down } = this.moments();
        const late = this.now - this.loadOn > this.step.patienceSeconds;
        if (this.loadOff === undefined && (recovered !== undefined || late)) this.loadOff = this.now;
        return down !== undefined;
    }
}

/** Seconds with the load on in which the 95th percentile of the time to first token was over its target. */
export function secondsOver(requests: ProofRequest[], { loadOn, loadOff = Infinity }: Moments, target: number): number {
    const until = Math.min(loadOff, Math.max(...requests.map(({ end }) => end)));
    return firstTokenP95(requests, until).filter(([t, p95]) => t > loadOn && p95 > target).length;
}
