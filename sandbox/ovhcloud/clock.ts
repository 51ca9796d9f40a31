/** Platform time, which runs `speed` times as fast as life. */
export class Clock {
    private real = performance.now();
    private platform = Date.now() / 1000;

    constructor(private factor: number) {}

    /** Platform seconds per real second. What is under way when it changes ends as it was begun. */
    get speed(): number {
        return this.factor;
    }

    set speed(speed: number) {
        this.platform = this.now();
        this.real = performance.now();
        this.factor = speed;
    }

    /** Platform time in seconds. */
    now(): number {
        return this.platform + ((performance.now() - this.real) / 1000) * this.factor;
    }

    realMs(platformSeconds: number): number {
        return (platformSeconds * 1000) / this.factor;
    }
}

/** What one owner does later. Nothing of it happens any more once they are closed. */
export class Timers {
    private readonly pending = new Set<NodeJS.Timeout>();
    private closed = false;

    constructor(private readonly clock: Clock) {}

    after(platformSeconds: number, work: () => void): void {
        this.afterReal(this.clock.realMs(platformSeconds), work);
    }

    afterReal(ms: number, work: () => void): void {
        if (this.closed) return;
        const timer = setTimeout(() => {
            this.pending.delete(timer);
            work();
        }, ms);
        this.pending.add(timer);
    }

    /** Resolves after so long. Never once they are closed. */
    pause(platformSeconds: number): Promise<void> {
        return new Promise((resolve) => this.after(platformSeconds, resolve));
    }

    close(): void {
        this.closed = true;
        for (const timer of this.pending) clearTimeout(timer);
        this.pending.clear();
    }
}
