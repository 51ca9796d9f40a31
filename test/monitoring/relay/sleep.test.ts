import { describe, expect, it } from "vitest";
import type { AppState } from "../../../src/monitoring/relay/app-state";
import { Sleep, type Phase } from "../../../src/monitoring/relay/sleep";

const interval = 15;
/** A scale-down window and a cooldown of five minutes each. */
const after = 600;
const bootSeconds = 240;

/** What keeps an app awake: its metric, which the platform reads every 15 s, or any request at its address. */
type KeptAwakeBy = "metric" | "calls";

/** An app that sleeps, with its relay, in virtual time. */
class World {
    now = 0;
    state: AppState = { state: "RUNNING", replicas: 1 };
    apiDown = false;
    /** Requests that the relay has made, and those of them that an app without a replica got. */
    asked = 0;
    woken = 0;
    readonly phases: Phase[] = [];
    readonly sleep: Sleep;
    private lastActive = 0;
    private ended = 0;
    private underWay = 0;
    private awakeAt?: number;

    constructor(private readonly keptAwakeBy: KeptAwakeBy) {
        const read = (): Promise<AppState> =>
            this.apiDown ? Promise.reject(new Error("503")) : Promise.resolve(this.state);
        this.sleep = new Sleep(
            { after },
            interval,
            read,
            () => undefined,
            () => this.now * 1000,
        );
    }

    /** A request of a user, who waits until it is answered. */
    request(seconds = 0): void {
        this.called();
        if (this.state.replicas === 0) return;
        this.underWay = seconds > 0 ? 1 : 0;
        this.lastActive = this.now + seconds;
        this.ended++;
    }

    private called(): void {
        if (this.keptAwakeBy === "calls") this.lastActive = this.now;
        if (this.state.state !== "STANDBY") return;
        this.state = { state: "SCALING", replicas: 0 };
        this.awakeAt = this.now + bootSeconds;
    }

    /** Lets time go by, one scrape after the other. `users` is told each second. */
    async pass(seconds: number, users: (now: number) => void = () => undefined): Promise<void> {
        for (const end = this.now + seconds; this.now < end; this.now++) {
            users(this.now);
            if (this.now > this.lastActive) this.underWay = 0;
            if (this.awakeAt !== undefined && this.now >= this.awakeAt) {
                this.state = { state: "RUNNING", replicas: 1 };
                this.awakeAt = undefined;
                this.lastActive = this.now;
            }
            if (this.state.replicas > 0 && this.now - this.lastActive >= after) {
                this.state = { state: "STANDBY", replicas: 0 };
            }
            if (this.now % interval === 7) await this.scrape();
        }
    }

    private async scrape(): Promise<void> {
        if (await this.sleep.mayAsk()) {
            this.asked++;
            if (this.state.state === "STANDBY") this.woken++;
            this.called();
            const work = new Map([["a", { underWay: this.underWay, ended: this.ended }]]);
            this.sleep.saw(this.now * 1000, this.state.replicas > 0 ? work : new Map(), { underWay: 0, ended: 0 });
        }
        if (this.phases.at(-1) !== this.sleep.phase) this.phases.push(this.sleep.phase);
    }
}

describe.each<KeptAwakeBy>(["metric", "calls"])("an app that %s keep awake", (keptAwakeBy) => {
    it("falls asleep though it is watched, and an idle hour brings no request", async () => {
        const world = new World(keptAwakeBy);
        world.request();
        await world.pass(3 * after);
        expect(world.state.state).toBe("STANDBY");
        const before = world.asked;
        await world.pass(3600);
        expect({ asked: world.asked - before, woken: world.woken, phase: world.sleep.phase }).toEqual({
            asked: 0,
            woken: 0,
            phase: "asleep",
        });
    });

    it("is asked again once somebody has woken it, and the waking is timed", async () => {
        const world = new World(keptAwakeBy);
        await world.pass(3 * after);
        world.request();
        await world.pass(bootSeconds / 2);
        expect(world.sleep.phase).toBe("waking");
        await world.pass(bootSeconds);
        expect(world.sleep).toMatchObject({ phase: "awake", wakes: 1 });
        expect(Math.abs(world.sleep.lastWakeSeconds! - bootSeconds)).toBeLessThanOrEqual(interval);
        expect(world.asked).toBeGreaterThan(0);
    });

    it("that is used every few minutes is watched all the time and does not sleep", async () => {
        const world = new World(keptAwakeBy);
        await world.pass(4 * 3600, (now) => now % 300 === 0 && world.request());
        expect(world.state.state).toBe("RUNNING");
        expect(world.phases).toEqual(["awake"]);
        expect(world.asked).toBeGreaterThan((0.95 * 4 * 3600) / interval);
    });

    it("is never woken by whoever watches it, over days of which nobody knows how they go", async () => {
        const world = new World(keptAwakeBy);
        let next = 0;
        let seed = 7;
        const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
        await world.pass(3 * 86400, (now) => {
            if (now < next) return;
            world.request(random() * 60);
            next = now + -Math.log(random()) * 1500;
        });
        expect(world.woken).toBe(0);
        expect(world.sleep.wakes).toBeGreaterThan(20);
    });
});

describe("while OVHcloud's API does not answer", () => {
    it("an app that sleeps is left alone", async () => {
        const world = new World("metric");
        await world.pass(3 * after);
        const before = world.asked;
        world.apiDown = true;
        await world.pass(3600);
        expect(world.asked).toBe(before);
        expect((world.now - world.sleep.known.at / 1000) / 60).toBeGreaterThan(55);
    });

    it("one that is in use goes on being watched", async () => {
        const world = new World("metric");
        await world.pass(60, () => world.request(30));
        world.apiDown = true;
        const before = world.asked;
        await world.pass(3600, () => world.request(30));
        expect(world.asked - before).toBe(3600 / interval);
        await world.pass(2 * after);
        expect(world.sleep.phase).toBe("idle");
    });

    it("one that nothing is known of is not asked", async () => {
        const world = new World("metric");
        world.apiDown = true;
        await world.pass(3600);
        expect({ asked: world.asked, phase: world.sleep.phase }).toEqual({ asked: 0, phase: "unknown" });
    });
});

describe("an app that does not serve", () => {
    it.each<[AppState, Phase]>([
        [{ state: "FAILED", replicas: 0 }, "down"],
        [{ state: "STOPPED", replicas: 0 }, "down"],
        [{ state: "DELETED", replicas: 0 }, "down"],
        // Its only replica crashed: that is no waking.
        [{ state: "SCALING", replicas: 0 }, "down"],
        [{ state: "STANDBY", replicas: 0 }, "asleep"],
    ])("%o after it served is %s", async (state, phase) => {
        const world = new World("metric");
        await world.pass(60, () => world.request(30));
        expect(world.sleep.phase).toBe("awake");
        world.state = state;
        await world.pass(60);
        expect(world.sleep.phase).toBe(phase);
    });

    it("is waking when it is made", async () => {
        const world = new World("metric");
        world.state = { state: "QUEUED", replicas: 0 };
        await world.pass(60);
        expect(world.sleep.phase).toBe("waking");
        expect(world.sleep.wakes).toBe(0);
    });
});

describe("completions that the relay asks for itself", () => {
    async function sleepAfter(own: { underWay: number; ended: number }[], ended: number[]): Promise<Sleep> {
        let now = 0;
        const sleep = new Sleep(
            { after },
            interval,
            () => Promise.resolve({ state: "RUNNING", replicas: 1 }),
            () => undefined,
            () => now,
        );
        await sleep.mayAsk();
        own.forEach((one, round) => {
            now += interval * 1000;
            sleep.saw(now, new Map([["a", { underWay: one.underWay, ended: ended[round] }]]), one);
        });
        return sleep;
    }
    const none = { underWay: 0, ended: 0 };

    it("are no use of the model", async () => {
        const sleep = await sleepAfter([none, { underWay: 1, ended: 0 }, { underWay: 0, ended: 1 }], [5, 5, 6]);
        expect(sleep.mayProbe(0)).toBe(false);
    });

    it.each<[string, { underWay: number; ended: number }[], number[]]>([
        ["counted a round later", [none, { underWay: 0, ended: 1 }, { underWay: 0, ended: 1 }], [5, 5, 6]],
        ["counted a round earlier", [none, { underWay: 1, ended: 0 }, { underWay: 0, ended: 1 }], [5, 6, 6]],
        ["never counted", [none, { underWay: 0, ended: 1 }, { underWay: 0, ended: 2 }], [5, 5, 6]],
    ])("nor are those %s", async (_, own, ended) => {
        expect((await sleepAfter(own, ended)).mayProbe(0)).toBe(false);
    });

    it("those that are never counted hide no other for long", async () => {
        const own = [none, { underWay: 0, ended: 1 }, { underWay: 0, ended: 1 }, { underWay: 0, ended: 1 }];
        expect((await sleepAfter(own, [5, 5, 5, 6])).mayProbe(0)).toBe(true);
    });

    it("and those of others are", async () => {
        const sleep = await sleepAfter([none, { underWay: 0, ended: 1 }], [5, 7]);
        expect(sleep.mayProbe(0)).toBe(true);
        expect(sleep.mayProbe(2 * interval * 1000)).toBe(false);
    });
});
