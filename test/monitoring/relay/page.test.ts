import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
    confidence,
    contradiction,
    drawsNeeded,
    PageError,
    parsePage,
    replicaName,
    writePages,
    type Family,
} from "../../../src/monitoring/relay/relay";
import { SimulatedReplica } from "./load-balancer";

const vllmPage = (): string => new SimulatedReplica({ startTime: 1764000000.25 }).metrics.page();

describe("parsePage", () => {
    it("reads every series of a page of vLLM into its family", () => {
        const text = vllmPage();
        const page = parsePage(text);
        const lines = text.split("\n").filter((line) => line && !line.startsWith("#"));
        expect(page.flatMap(({ series }) => series)).toHaveLength(lines.length);
        for (const { type, name } of page) expect(type, name).toMatch(/^(counter|gauge|histogram|summary)$/);
        // A histogram whose name ends as a counter's does.
        const steps = page.find(({ name }) => name === "vllm:iteration_tokens_total")!;
        expect(steps.type).toBe("histogram");
        expect(steps.series.length).toBeGreaterThan(3);
    });

    it("keeps what stands in labels, values and times", () => {
        const [one, two, three] = parsePage(
            String.raw`# HELP a Said "so", in C:\\ and {braces}` +
                "\n# TYPE a gauge\n" +
                String.raw`a{x="a\"b\\",y="} 1",z="é,\n"} 1.5e+06 1764000000000` +
                "\n  \n# a comment\nb NaN\nc{} +Inf\n",
        );
        expect(one).toEqual({
            name: "a",
            type: "gauge",
            help: String.raw`Said "so", in C:\\ and {braces}`,
            series: [
                { name: "a", labels: String.raw`x="a\"b\\",y="} 1",z="é,\n"`, value: "1.5e+06", time: "1764000000000" },
            ],
        });
        expect(two).toMatchObject({ name: "b", series: [{ labels: "", value: "NaN" }] });
        expect(three).toMatchObject({ name: "c", series: [{ labels: "", value: "+Inf" }] });
    });

    it.each([
        ["HTML", "<html>Starting</html>\n"],
        ["JSON", '{"message": "starting"}\n'],
        ["a value that is none", "a one\n"],
        ["no value", "a\n"],
        ["a label without end", 'a{x="1} 2\n'],
        ["text behind", "a 1 2 3\n"],
    ])("refuses %s", (_, text) => expect(() => parsePage(text)).toThrow(PageError));

    it("refuses a page of vLLM that is cut within a line, or within a histogram, wherever", () => {
        const text = vllmPage();
        let offset = 0;
        let histogram = false;
        const lines = text.split(/(?<=\n)/);
        for (const [index, line] of lines.entries()) {
            for (const at of [1, Math.floor(line.length / 2), line.length - 1]) {
                expect(() => parsePage(text.slice(0, offset + at)), `line ${index}, ${at}`).toThrow(PageError);
            }
            if (line.startsWith("# TYPE")) histogram = line.endsWith(" histogram\n");
            const within = histogram && /_bucket\{|_count[ {]/.test(line);
            offset += line.length;
            // The last line of a histogram's series is its sum.
            if (within) expect(() => parsePage(text.slice(0, offset)), `after line ${index}`).toThrow(PageError);
        }
    });

    it("throws nothing but a PageError, whatever it is given", () => {
        const tokens = fc.constantFrom(
            "a",
            "{",
            "}",
            '"',
            "\\",
            "=",
            ",",
            " ",
            "\n",
            "# TYPE ",
            "1",
            "le",
            "_bucket",
            "é",
        );
        const text = fc.oneof(
            fc.string({ unit: "binary" }),
            fc.array(tokens).map((parts) => parts.join("") + "\n"),
        );
        fc.assert(
            fc.property(text, (given) => {
                try {
                    parsePage(given);
                } catch (error) {
                    expect(error).toBeInstanceOf(PageError);
                }
            }),
            { numRuns: 2000 },
        );
    });
});

/** A series of any page: its labels are what was meant, not how it is written. */
interface Truth {
    family: string;
    type: "counter" | "gauge" | "histogram" | "untyped";
    series: { labels: Record<string, string>; value: number }[];
}

const labelValue = fc.string({ unit: fc.constantFrom(...'ab=,{}"\\\n é#') });
const truths = fc.uniqueArray(
    fc.record({
        family: fc.stringMatching(/^[a-z:][a-z_:]{0,6}$/).filter((name) => !/_(bucket|sum|count|created)$/.test(name)),
        type: fc.constantFrom("counter", "gauge", "histogram", "untyped"),
        series: fc.uniqueArray(
            fc.record({
                labels: fc.dictionary(fc.constantFrom("a", "b", "replica", "model_name"), labelValue),
                value: fc.integer({ min: 0, max: 1e9 }),
            }),
            { selector: ({ labels }) => JSON.stringify(Object.entries(labels).sort()), maxLength: 4 },
        ),
    }),
    { selector: ({ family }) => family, minLength: 1 },
);

const quoted = (text: string): string => `"${text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n").replace(/"/g, '\\"')}"`;
const unquoted = (text: string): string =>
    text.slice(1, -1).replace(/\\(.)/g, (_, letter: string) => (letter === "n" ? "\n" : letter));
const line = (name: string, labels: Record<string, string>, value: number): string =>
    `${name}{${Object.entries(labels)
        .map(([key, text]) => `${key}=${quoted(text)}`)
        .join(",")}} ${value}`;

/** The page as a client library writes it. */
function written(page: Truth[]): string {
    const lines = page.flatMap(({ family, type, series }) => [
        `# HELP ${family} Help of ${family}`,
        ...(type === "untyped" ? [] : [`# TYPE ${family} ${type}`]),
        ...series.flatMap(({ labels, value }) =>
            type === "histogram"
                ? [
                      line(`${family}_bucket`, { ...labels, le: "1.0" }, Math.floor(value / 2)),
                      line(`${family}_bucket`, { ...labels, le: "+Inf" }, value),
                      line(`${family}_count`, labels, value),
                      line(`${family}_sum`, labels, value * 3),
                  ]
                : [line(family, labels, value)],
        ),
    ]);
    return lines.map((text) => `${text}\n`).join("");
}

/** Sums over replicas, by name and labels. The label that the relay adds is the first one. */
function sums(page: Family[], added: boolean): Map<string, number> {
    const sum = new Map<string, number>();
    for (const { name, labels, value } of page.flatMap(({ series }) => series)) {
        const pairs = [...labels.matchAll(/(\w+)=("(?:[^"\\]|\\.)*")/g)].map(([, key, text]) => [key, unquoted(text)]);
        const own = (added ? pairs.slice(1) : pairs).map(([key, text]) => [
            key === "exported_replica" ? "replica" : key,
            text,
        ]);
        const series = `${name} ${JSON.stringify(own.sort())}`;
        sum.set(series, (sum.get(series) ?? 0) + Number(value));
    }
    return sum;
}

describe("writePages", () => {
    it("for any pages of any replicas, the sum over replicas of each series is the truth", () => {
        fc.assert(
            fc.property(fc.array(truths, { minLength: 1, maxLength: 5 }), (replicas) => {
                const pages = replicas.map((truth) => parsePage(written(truth)));
                const merged = parsePage(
                    writePages(pages.map((page, index) => ({ replica: `r${index}`, page, time: 1000 + index }))),
                );
                const expected = new Map<string, number>();
                for (const page of pages) {
                    for (const [series, value] of sums(page, false)) {
                        expected.set(series, (expected.get(series) ?? 0) + value);
                    }
                }
                expect(sums(merged, true)).toEqual(expected);
                for (const { labels, time } of merged.flatMap(({ series }) => series)) {
                    const [, index] = /^replica="r(\d)"(,|$)/.exec(labels)!;
                    expect(time).toBe(String(1000 + Number(index)));
                }
            }),
            { numRuns: 300 },
        );
    });

    it("writes help and type of a family once, with all of its series behind them", () => {
        const page = parsePage(vllmPage());
        const text = writePages(["a", "b", "c"].map((replica) => ({ replica, page, time: 1 })));
        const heads = text.split("\n").filter((each) => each.startsWith("# TYPE"));
        expect(new Set(heads).size).toBe(heads.length);
        expect(heads).toHaveLength(page.length);
        expect(parsePage(text).map(({ name, type, help, series }) => [name, type, help, series.length])).toEqual(
            page.map(({ name, type, help, series }) => [name, type, help, 3 * series.length]),
        );
    });

    it("makes way for its label, and leaves values that look like it alone", () => {
        const page = parsePage(String.raw`a{replica="x",b="replica=\"y\"",replica_set="z"} 1` + "\n");
        expect(writePages([{ replica: "r", page, time: 5 }])).toBe(
            String.raw`a{replica="r",exported_replica="x",b="replica=\"y\"",replica_set="z"} 1 5` + "\n",
        );
    });
});

describe("replicaName", () => {
    const named = (startTime: number, created = true) =>
        replicaName(new SimulatedReplica({ startTime, created }).metrics.page());

    it("stays the same while a process lives, also when further series come", () => {
        const replica = new SimulatedReplica({ startTime: 1764000000.25 });
        const before = replicaName(replica.metrics.page());
        replica.work(100, 3);
        replica.metrics.http.requests.labels({ handler: "/v1/models", method: "GET", status: "2xx" }).add();
        expect(replicaName(replica.metrics.page())).toBe(before);
    });

    it("is another one for another process", () => {
        expect(named(1764000000.25, false)).not.toBe(named(1764000000.26, false));
    });

    it("differs between processes that started in one tick, by their first series", () => {
        const names = Array.from({ length: 10 }, () => named(1764000000.25));
        expect(new Set(names).size).toBe(10);
        // Without created series there is nothing left to tell them by.
        expect(named(1764000000.25, false)).toBe(named(1764000000.25, false));
    });

    it("needs the start time", () => {
        expect(replicaName("a 1\n")).toBeUndefined();
    });
});

describe("contradiction", () => {
    const page = (text: string): Family[] => parsePage(`# TYPE c counter\n${text}`);
    const before = page('c{x="1"} 5\nc{x="2"} 7\n');

    it.each([
        ["grown", 'c{x="1"} 6\nc{x="2"} 7\n', undefined],
        ["with more series", 'c{x="2"} 7\nc{x="1"} 5\nc{x="3"} 1\n', undefined],
        ["fallen", 'c{x="1"} 5\nc{x="2"} 6\n', 'c{x="2"}'],
        ["missing", 'c{x="2"} 7\n', 'c{x="1"}'],
    ])("%s", (_, text, series) => expect(contradiction(before, page(text))).toBe(series));

    it("gauges may fall", () => {
        const gauge = (value: number) => parsePage(`# TYPE g gauge\ng ${value}\n`);
        expect(contradiction(gauge(2), gauge(1))).toBeUndefined();
    });
});

describe("drawsNeeded", () => {
    /** Chance that `draws` draws leave out at least one of `n`: inclusion and exclusion. */
    function leftOut(n: number, draws: number): number {
        let chance = 0;
        let choose = 1;
        for (let k = 1; k < n; k++) {
            choose = (choose * (n - k + 1)) / k;
            chance += (k % 2 ? 1 : -1) * choose * (1 - k / n) ** draws;
        }
        return chance;
    }

    it.each([2, 3, 4, 5, 6, 7, 8, 9, 10, 20])("%i replicas: enough, and hardly more than that", (n) => {
        const draws = drawsNeeded(n);
        expect(leftOut(n, draws)).toBeLessThanOrEqual(1 - confidence);
        expect(leftOut(n, draws - 2)).toBeGreaterThan(1 - confidence);
    });

    it("one replica takes one", () => expect(drawsNeeded(1)).toBe(1));
});
