import { performance } from "node:perf_hooks";

/** When something came, as far as an event loop can know. Milliseconds of `performance.now()`. */
export interface Stamp {
    at: number;
    /** It cannot have come before: then the loop was waiting, and nothing was there. */
    earliest: number;
}

/** So long does the loop work before it looks again for what has come. */
const sliceMs = 1;
/** With so much put off, reading goes before stamping: memory has an end. */
const mostWaiting = 50_000;

/**
 * Stamps what arrives before any of it is worked on, and knows how late each stamp may be. What has come while the loop was
 * busy is seen only when it looks again; so parsing and sending are put off until all that has come is stamped, and are
 * done in slices of a millisecond, between which the loop looks again. One per process.
 */
export class LoopClock {
    private readonly sends: (() => void)[] = [];
    private readonly work: (() => void)[] = [];
    private sendsDone = 0;
    private workDone = 0;
    private working = false;
    private turnBegin = performance.now();
    private turnEnd = this.turnBegin;
    private waitedBefore = performance.eventLoopUtilization().idle;
    private earliest = this.turnBegin;

    /** To be called first by whatever the loop wakes for. */
    stamp(): Stamp {
        const at = performance.now();
        if (!this.working) this.beginTurn(at);
        return { at, earliest: this.earliest };
    }

    /** Puts work off until all that has come is stamped; in the order of the calls. */
    later(work: () => void): void {
        this.stamp();
        this.work.push(work);
    }

    /** The same for what is to be sent, which goes before reading. */
    send(work: () => void): void {
        this.stamp();
        this.sends.push(work);
    }

    private beginTurn(at: number): void {
        this.working = true;
        const waited = performance.eventLoopUtilization().idle;
        const waitedNow = waited - this.waitedBefore;
        this.waitedBefore = waited;
        // The loop that has waited woke at once when something came, and whatever it did besides since its last turn
        // bounds how long ago that was. One that has not waited last looked when its last turn began.
        const busy = Math.max(0, at - this.turnEnd - waitedNow);
        this.earliest = waitedNow > 0 ? at - busy : this.turnBegin;
        this.turnBegin = at;
        setImmediate(() => this.endTurn());
    }

    private endTurn(): void {
        const until = performance.now() + sliceMs;
        let now: number;
        do {
            if (this.sendsDone < this.sends.length) this.sends[this.sendsDone++]();
            else if (this.workDone < this.work.length) this.work[this.workDone++]();
            else break;
            now = performance.now();
        } while (now < until || this.work.length - this.workDone > mostWaiting);
        this.turnEnd = performance.now();
        this.working = false;
        if (this.sendsDone === this.sends.length) this.sends.length = this.sendsDone = 0;
        if (this.workDone === this.work.length) this.work.length = this.workDone = 0;
        else if (this.workDone > 10_000) {
            this.work.splice(0, this.workDone);
            this.workDone = 0;
        }
        // Something is left: look at what has come, without waiting, and go on.
        if (this.sends.length > 0 || this.work.length > 0) this.beginTurn(this.turnEnd);
    }
}
