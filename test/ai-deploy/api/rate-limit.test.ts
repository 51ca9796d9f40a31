import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { OvhClient } from "../../../packages/ai-deploy/src/api/client";

interface Told {
    status: number;
    headers?: Record<string, string>;
}

let sent: number[] = [];
let log: string[] = [];
let tell: (n: number) => Told = () => ({ status: 200 });

vi.mock("../../../packages/ai-deploy/src/api/transport", () => ({
    proxySecrets: () => [],
    send: async () => {
        sent.push(performance.now());
        const { status, headers } = tell(sent.length);
        return { status, headers: new Headers(headers), text: "{}" };
    },
}));

/** A client whose requests are answered at once, by a function of their number. */
function clientOn(answer: typeof tell): OvhClient {
    tell = answer;
    return new OvhClient(
        { baseUrl: "http://unused", auth: { kind: "token", accessToken: "made-up" } },
        { log: (line) => log.push(line) },
    );
}

beforeEach(() => {
    sent = [];
    log = [];
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] });
});
afterEach(() => void vi.useRealTimers());

const first429 =
    (headers: Record<string, string>) =>
    (n: number): Told =>
        n === 1 ? { status: 429, headers } : { status: 200 };

describe("the rate limit, on a virtual clock", () => {
    it("no minute sees more than 60 requests, whatever comes at once, and all come through", async () => {
        const client = clientOn(() => ({ status: 200 }));
        const order: number[] = [];
        const all = Promise.all(Array.from({ length: 300 }, (_, i) => client.get(`/${i}`).then(() => order.push(i))));
        await vi.advanceTimersByTimeAsync(10 * 60_000);
        await all;
        const busiest = Math.max(...sent.map((from) => sent.filter((at) => at >= from && at < from + 60_000).length));
        expect(busiest).toBeLessThanOrEqual(60);
        expect(busiest).toBeGreaterThan(45);
        // In the order in which they were asked for, so that nobody starves.
        expect(order).toEqual([...order].sort((a, b) => a - b));
        expect(log).toEqual([]);
    });

    it("a wall clock that is set back by a day holds nobody", async () => {
        const client = clientOn(first429({ "retry-after": "30" }));
        const answer = client.get("/x");
        await vi.advanceTimersByTimeAsync(10);
        vi.setSystemTime(Date.now() - 86_400_000);
        await vi.advanceTimersByTimeAsync(31_000);
        await answer;
        expect(sent).toHaveLength(2);
    });

    it.each<[string, Record<string, string>]>([
        ["in seconds", { "retry-after": "30" }],
        [
            "as a date, whatever the time is here",
            { date: "Wed, 01 Jan 2020 00:00:00 GMT", "retry-after": "Wed, 01 Jan 2020 00:00:30 GMT" },
        ],
    ])("Retry-After %s holds everybody, not only the one who was told", async (_form, header) => {
        const client = clientOn(first429(header));
        const first = client.get("/first");
        await vi.advanceTimersByTimeAsync(10);
        const second = client.get("/second");
        await vi.advanceTimersByTimeAsync(29_000);
        expect(sent).toHaveLength(1);
        await vi.advanceTimersByTimeAsync(10_000);
        await Promise.all([first, second]);
        expect(sent).toHaveLength(3);
        expect(log).toEqual(["OVHcloud answered 429 and asks to wait: the next request goes out in 30 s"]);
    });

    it("a huge Retry-After is bounded, and said", async () => {
        const client = clientOn(first429({ "retry-after": "86400" }));
        const answer = client.get("/x");
        await vi.advanceTimersByTimeAsync(125_000);
        await answer;
        expect(log).toEqual([
            "OVHcloud answered 429 and asks to wait: the next request goes out in 120 s, of the 86400 s asked for",
        ]);
    });

    it("a preview's look does not wait for it", async () => {
        const client = clientOn(first429({ "retry-after": "86400" }));
        await expect(client.glance("/first")).rejects.toThrow(/answered 429/);
        await expect(client.glance("/second")).rejects.toThrow(/no answer from OVHcloud \(the rate limit\)/);
        expect(sent).toHaveLength(1);
        // Those who must know go on after it.
        const answer = client.get("/third");
        await vi.advanceTimersByTimeAsync(125_000);
        await answer;
    });
});
