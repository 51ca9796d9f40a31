/**
 * When an app that may sleep may be asked. Any request wakes it, and any may keep it awake, so a model that is idle is left
 * alone: not asked again until it could have fallen asleep, and then only if OVHcloud's API says that it has not.
 * A part of the relay; docs/scaling.md tells why.
 */
import type { AppAddress, AppState } from "./app-state";

/** What the relay is told of a model with `replicas.min` of 0. */
export interface SleepConfig extends AppAddress {
    /** Seconds without a request after which the platform takes the last replica: scale-down window and cooldown. */
    after: number;
}

export const phases = [
    "awake", // it serves and is asked
    "idle", // nobody else has asked it for so long that it may fall asleep: it is left alone
    "asleep", // STANDBY
    "waking", // no replica serves yet
    "down", // it failed, is stopped or deleted
    "unknown", // the API has not told yet
] as const;
export type Phase = (typeof phases)[number];

/** States in which no request is answered and none brings a replica. */
const downStates = ["FAILED", "ERROR", "STOPPING", "STOPPED", "DELETING", "DELETED"];

/** What one replica has to do, and has done. */
export interface Work {
    /** Requests running and waiting. */
    underWay: number;
    /** Requests that have ended since its start. */
    ended: number;
}

/** Times are milliseconds of a clock that is never set back. */
export class Sleep {
    phase: Phase = "unknown";
    /** What the API told last, and when; `at` is the start before it has told anything. */
    known: Partial<AppState> & { at: number };
    /** From the first sign of waking to the first replica that serves; undefined before the first time. */
    lastWakeSeconds?: number;
    wakes = 0;
    /** When a request of somebody else was under way last, as far as is known. */
    private activeAt = -Infinity;
    private restingSince = -Infinity;
    private wakingSince?: number;
    private looking?: Promise<void>;
    private lookedAt = -Infinity;
    /** Whether the API failed to tell last time: one line for each outage. */
    private failing = false;
    /**
     * Of the round before: what had ended at each replica, how much the relay had asked for itself, and how much of what it
     * asked for since the round before that no replica had counted yet.
     */
    private before = { ended: new Map<string, number>(), own: 0, unseen: 0 };
    private readonly after: number;
    /** Between what is known and what is done with it: an answer of the API, a round of requests. */
    private readonly margin: number;

    /**
     * @param interval seconds between two scrapes
     * @param read asks OVHcloud's API; rejects when it does not tell
     */
    constructor(
        { after }: Pick<SleepConfig, "after">,
        private readonly interval: number,
        private readonly read: () => Promise<AppState>,
        private readonly log: (line: string) => void,
        private readonly now: () => number = () => performance.now(),
    ) {
        this.after = after * 1000;
        this.margin = Math.min(30_000, this.after / 4);
        this.known = { at: now() };
    }

    /** Whether the app may be asked now. Asks the API, unless it has just told. Never rejects. */
    async mayAsk(): Promise<boolean> {
        const now = this.now();
        if (this.phase === "awake" && now - this.activeAt >= this.after - this.margin) {
            this.enter("idle");
            this.restingSince = now;
        }
        // Scrapes at one time share an answer, as they share a round.
        if (now - this.lookedAt >= (this.interval * 1000) / 2) {
            await (this.looking ??= this.look().finally(() => (this.looking = undefined)));
        }
        return this.phase === "awake";
    }

    /** Whether a completion may be asked for: only where somebody has asked since the last one, which began then. */
    mayProbe(since: number | undefined): boolean {
        return this.phase === "awake" && this.activeAt > (since ?? -Infinity);
    }

    private async look(): Promise<void> {
        try {
            const told = await this.read();
            const { replicas = 0 } = this.known;
            this.known = { ...told, at: this.now() };
            if (this.failing) this.log("OVHcloud's API tells its state again");
            this.failing = false;
            this.judge(told, replicas);
        } catch (error) {
            // What is known stays: an app that sleeps is not asked, and one that serves cannot fall asleep before `after`.
            if (!this.failing) this.log(`its state is not known: ${(error as Error).message}`);
            this.failing = true;
        }
        this.lookedAt = this.now();
    }

    private judge({ state, replicas }: AppState, replicasBefore: number): void {
        const { phase } = this;
        const now = this.now();
        if (state === "STANDBY") return this.enter("asleep");
        if (downStates.includes(state)) return this.enter("down");
        if (replicas === 0) {
            // One that served and has not slept since lost its replicas.
            if (phase === "awake" || phase === "down") return this.enter("down");
            this.wakingSince ??= now;
            return this.enter("waking");
        }
        if (phase === "idle") {
            const couldSleep = now - this.restingSince >= this.after + this.margin;
            // One round tells whether it is in use; if not, it is left alone again.
            if (couldSleep || replicas > replicasBefore) this.enter("awake");
            return;
        }
        if (phase === "awake") return;
        if (phase !== "unknown" && phase !== "down") this.lastWakeSeconds = (now - (this.wakingSince ?? now)) / 1000;
        // Somebody woke it, or nobody knows: it is watched until it has been idle for long enough.
        this.activeAt = now;
        this.enter("awake");
    }

    private enter(phase: Phase): void {
        if (phase === this.phase) return;
        if (this.phase === "asleep" && phase !== "down") this.wakes++;
        if (phase !== "waking") this.wakingSince = undefined;
        this.log(`the app is ${phase}`);
        this.phase = phase;
    }

    /**
     * Takes in what a round has seen.
     * @param at when it began
     * @param work of each replica, by its name
     * @param own completions that the relay itself has asked for
     */
    saw(at: number, work: Map<string, Work>, own: Work): void {
        const { ended: before, own: ownBefore, unseen } = this.before;
        const ownEnded = own.ended - ownBefore;
        const underWay = [...work.values()].reduce((sum, one) => sum + one.underWay, 0);
        const ended = new Map([...work].map(([name, one]) => [name, one.ended]));
        // Of a replica that is new nothing is known of the time before.
        const since = [...ended].reduce((sum, [name, count]) => sum + count - (before.get(name) ?? count), 0);
        // A completion may have ended before or after a page was read: it may still show as under way, or only next time.
        const ours = ownEnded + own.underWay;
        if (underWay > ours || since > ours + unseen) this.activeAt = at;
        this.before = { ended, own: own.ended, unseen: Math.max(0, ownEnded - Math.max(0, since - unseen)) };
    }
}
