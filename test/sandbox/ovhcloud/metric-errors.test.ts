import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Clock } from "../../../sandbox/ovhcloud/clock";
import { Scaling } from "../../../sandbox/ovhcloud/scaling";
import type { Slot } from "../../../sandbox/ovhcloud/slot";
import type { StoredApp } from "../../../sandbox/ovhcloud/store";

/**
 * What the autoscaler does while its metric cannot be read, in virtual time, with real answers of real servers. Source: the
 * HorizontalPodAutoscaler skips what it cannot compute and holds to the limits; KEDA from 2.6.1 on leaves the size alone on an
 * error without a fallback, of which AI Deploy offers none (docs/scaling.md).
 */

type Answer = RequestListener;
const page = (text: string): Answer => {
    return (_, response) => void response.end(text);
};
const gives = (value: number): Answer => page(`vllm:num_requests_running{engine="0"} ${value}\n`);
const failures: Record<string, Answer> = {
    "a status of 500": (_, response) => void response.writeHead(500).end("vllm:num_requests_running 0\n"),
    "a refusal": (_, response) => void response.writeHead(401).end(),
    "an empty page": page(""),
    "a page without the metric": page("vllm:num_requests_waiting 0\n"),
    "no number": page("vllm:num_requests_running NaN\n"),
    "an end of the connection": (_, response) => void response.socket!.destroy(),
    "half an answer": (_, response) => {
        response.writeHead(200, { "content-length": "1000" }).write("vllm:num_requests_running 0\n");
        response.socket!.end();
    },
};

let ends: (() => void)[] = [];
afterEach(() => {
    for (const end of ends) end();
    ends = [];
});

interface Custom {
    min?: number;
    aggregation?: string;
    /** Where the metric is; default: at each replica. */
    url?: string;
}

/** An app whose replicas are servers of this test, at a time that only `look` moves. */
async function stage(replicas: number, { min = 1, aggregation = "AVERAGE", url }: Custom = {}) {
    let answer: Answer[] = Array.from({ length: replicas }, () => gives(50));
    const serve = async (respond: RequestListener): Promise<number> => {
        const server = createServer(respond);
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        ends.push(() => void server.close());
        return (server.address() as AddressInfo).port;
    };
    const ports: number[] = [];
    for (let at = 0; at < replicas; at++) ports.push(await serve((...call) => answer[at](...call)));
    const automatic = {
        replicasMin: min,
        replicasMax: 5,
        customMetrics: {
            apiUrl: url === undefined ? "http://<SELF>:8000/metrics" : `http://127.0.0.1:${ports[0]}${url}`,
            format: "PROMETHEUS",
            valueLocation: "vllm:num_requests_running",
            targetValue: 50,
            aggregationType: aggregation,
        },
    };
    const app = { replicas, state: "RUNNING", spec: { name: "m", scalingStrategy: { automatic } } };
    let now = 0;
    const clock = { now: () => now, realMs: () => 0 } as unknown as Clock;
    const scaling = new Scaling({
        app: app as unknown as StoredApp,
        clock,
        sleep: { wakingRequest: "refused", keptAwakeBy: "metric" },
        log: () => undefined,
        changed: () => undefined,
    });
    const slots = () =>
        ports
            .slice(0, app.replicas)
            .map((port, index) => ({ index, ready: true, portOf: () => port }) as unknown as Slot);
    return {
        automatic,
        /** From now on every replica answers so, or each its own. */
        answers: (...given: Answer[]): void => {
            answer = ports.map((_, at) => given[Math.min(at, given.length - 1)]);
        },
        /** Looks for so many seconds, every 15. Returns the size of the app after each. */
        look: async (seconds: number): Promise<number[]> => {
            const sizes: number[] = [];
            for (const until = now + seconds; now < until;) {
                now += 15;
                app.replicas = scaling.decide(await scaling.read(slots())).to;
                sizes.push(app.replicas);
            }
            return sizes;
        },
        last: () => scaling.decisions.at(-1)!,
    };
}

const always = (size: number) => (sizes: number[]) => sizes.every((one) => one === size);

describe.each(Object.entries(failures))("while every replica answers with %s", (_, failure) => {
    it.each([
        ["", 3, 1],
        [", and may sleep", 1, 0],
    ])("the app keeps its size for an hour%s", async (_also, replicas, min) => {
        const { answers, look, last } = await stage(replicas, { min });
        answers(failure);
        expect(await look(3600)).toSatisfy(always(replicas));
        expect(last().reason).toBe("no replica gave a value: nothing is changed");
        expect(last().inputs.every(({ missing }) => missing !== undefined)).toBe(true);
    });
});

it("likewise when the metric is at one address of its own, which nobody listens at", async () => {
    const { look, automatic } = await stage(3, { url: "/number" });
    automatic.customMetrics.apiUrl = "http://127.0.0.1:1/number";
    expect(await look(3600)).toSatisfy(always(3));
});

it("one that may sleep falls asleep with the first answer that says it has long been idle, and not if it is in use", async () => {
    for (const [value, size] of [
        [0, 0],
        [20, 1],
    ]) {
        const { answers, look } = await stage(1, { min: 0 });
        answers(failures["a status of 500"]);
        await look(3600);
        answers(gives(value));
        expect((await look(15)).at(-1)).toBe(size);
    }
});

it("limits hold all the same", async () => {
    const { answers, look, automatic } = await stage(3);
    answers(failures["a status of 500"]);
    automatic.replicasMax = 2;
    expect(await look(60)).toSatisfy(always(2));
    automatic.replicasMin = 3;
    automatic.replicasMax = 4;
    expect((await look(60)).at(-1)).toBe(3);
});

it("an outage longer than the scale-down window has used it up: the first low answer takes replicas", async () => {
    const { answers, look } = await stage(3);
    await look(60);
    answers(failures["an empty page"]);
    await look(600);
    answers(gives(1));
    expect(await look(15)).toEqual([1]);
});

describe("while one of three replicas gives no value", () => {
    const failure = failures["a status of 500"];

    it("the average is that of the others", async () => {
        const { answers, look, last } = await stage(3);
        answers(failure, gives(60), gives(60));
        expect((await look(15)).at(-1)).toBe(4);
        expect(last()).toMatchObject({ value: 60, recommended: 4 });
    });

    it("a sum is short of its part, so that a busy app may lose a replica", async () => {
        const { answers, look } = await stage(3, { aggregation: "SUM" });
        answers(gives(16));
        expect(await look(600)).toSatisfy(always(3));
        answers(failure, gives(16), gives(16));
        expect((await look(600)).at(-1)).toBeLessThan(3);
    });
});
