/**
 * The replica relay: a program of its own that runs in the cluster, of this file, those that it imports and nothing but Node.
 *
 * The platform gives an app one load-balanced address, so a scrape of it reaches one replica, another one each time. The
 * relay asks `/metrics` of that address over fresh connections until it has seen every replica, and answers a scrape of
 * `/replicas` with the pages of all of them, each series with a label `replica` and the time it was sampled at.
 * Its own state is at `/metrics`. How it decides, and what it cannot know: docs/relay.md.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import type { TLSSocket } from "node:tls";
import { parseArgs } from "node:util";
import type { Credential } from "../pod-api";
import { parseReader, StateReader } from "./app-state";
import { CompletionProbe, completionResults, type CompletionProbeConfig } from "./completion-probe";
import { phases, Sleep, type SleepConfig, type Work } from "./sleep";

/** What the relay is told, as JSON in the file given by `--config`. */
export interface RelayConfig {
    /** Address of the app as the platform gives it. */
    url: string;
    /** Seconds between two scrapes. */
    interval: number;
    /** How many replicas the platform runs at least and at most. */
    replicas: { min: number; max: number };
    /** Absent: no completion is asked for. */
    completions?: CompletionProbeConfig;
    /** Of a model that may sleep; absent: it never does. */
    sleep?: SleepConfig;
}

// ---- How many samples it takes

/** Probability with which a complete round has seen every replica, when each connection may reach any of them. */
export const confidence = 0.99;

/**
 * Draws after which `replicas` equally likely replicas have all been seen with `confidence`: the coupon collector's
 * problem, with the union bound n (1 - 1/n)^draws for the chance that one is left.
 */
export function drawsNeeded(replicas: number): number {
    if (replicas <= 1) return 1;
    return Math.ceil(Math.log(replicas / (1 - confidence)) / -Math.log(1 - 1 / replicas));
}

// ---- The text format of a metrics page

/** A family of series under one name; each series as the text before and after the place of the new label. */
export interface Family {
    name: string;
    type?: string;
    help?: string;
    series: { name: string; labels: string; value: string; time?: string }[];
}

/** A page that is not what a metrics endpoint writes, or not all of it. The message says where. */
export class PageError extends Error {
    constructor(
        readonly kind: "malformed" | "truncated" | "unidentified",
        message: string,
    ) {
        super(message);
    }
}

const label = String.raw`[a-zA-Z_]\w*\s*=\s*"(?:[^"\\]|\\.)*"`;
const seriesLine = new RegExp(
    String.raw`^([a-zA-Z_:][\w:]*)\s*(?:\{\s*((?:${label}\s*,\s*)*(?:${label}\s*)?)\})?\s+(\S+)(?:\s+(-?\d+))?\s*$`,
);

/**
 * Reads a page of Prometheus' text format into its families, in their order.
 * @throws PageError when a line does not fit, the last one has no end, or a histogram is not whole.
 */
export function parsePage(text: string): Family[] {
    if (!text.endsWith("\n")) throw new PageError("truncated", "the last line has no end");
    const families = new Map<string, Family>();
    const family = (name: string): Family => {
        let found = families.get(name);
        if (!found) families.set(name, (found = { name, series: [] }));
        return found;
    };
    for (const line of text.split("\n")) {
        if (line.trim() === "") continue;
        if (line.startsWith("#")) {
            const [, keyword, name, rest] = /^#\s*(HELP|TYPE)\s+(\S+)\s?(.*)$/.exec(line) ?? [];
            if (keyword === "HELP") family(name).help ??= rest;
            if (keyword === "TYPE") family(name).type ??= rest.trim();
            continue;
        }
        const [, name, labels = "", value, time] = seriesLine.exec(line) ?? [];
        if (name === undefined || !isNumber(value)) {
            throw new PageError("malformed", `not a series: ${JSON.stringify(line.slice(0, 80))}`);
        }
        family(familyName(name, families)).series.push({ name, labels: labels.trim(), value, time });
    }
    const page = [...families.values()];
    for (const one of page) if (one.type === "histogram") requireWhole(one);
    return page;
}

function isNumber(text: string): boolean {
    return !Number.isNaN(Number(text)) || /^[+-]?(nan|inf|infinity)$/i.test(text);
}

/** A number of the format; NaN where it says so. */
function numberOf(text: string): number {
    const infinite = /^([+-]?)inf(inity)?$/i.exec(text);
    return infinite ? Number(`${infinite[1]}Infinity`) : Number(text);
}

/** Histograms and summaries have series with suffixes; any other series is called as its family. */
function familyName(series: string, families: Map<string, Family>): string {
    if (families.has(series)) return series;
    const base = series.replace(/_(bucket|sum|count)$/, "");
    return /^(histogram|summary)$/.test(families.get(base)?.type ?? "") ? base : series;
}

/** A histogram has, for each set of labels, buckets up to the infinite one, a count and a sum: less is a page cut off. */
function requireWhole({ name, series }: Family): void {
    const labelsOf = (suffix: string): string[] =>
        series.filter((one) => one.name === name + suffix).map(({ labels }) => labels);
    const buckets = labelsOf("_bucket");
    const sets = new Set(buckets.map((labels) => labels.replace(/(^|,)\s*le\s*=\s*"[^"]*"/, ""))).size;
    const infinite = buckets.filter((labels) => /(^|,)\s*le\s*=\s*"\+Inf"/.test(labels)).length;
    if ([infinite, labelsOf("_count").length, labelsOf("_sum").length].some((count) => count !== sets)) {
        throw new PageError("truncated", `the histogram ${name} is not whole`);
    }
}

/** A replica's page as it was sampled. */
export interface Sample {
    /** Name of the replica; another one after a restart. */
    replica: string;
    page: Family[];
    /** Unix time in milliseconds. */
    time: number;
}

/** One page out of those of several replicas: each family once, each series with the label `replica` and its time. */
export function writePages(samples: Sample[]): string {
    const merged = new Map<string, { type?: string; help?: string; lines: string[] }>();
    for (const { replica, page, time } of samples) {
        for (const { name, type, help, series } of page) {
            let family = merged.get(name);
            if (!family) merged.set(name, (family = { lines: [] }));
            family.type ??= type;
            family.help ??= help;
            for (const one of series) {
                const labels = [`replica="${replica}"`, ...(one.labels ? [makeWay(one.labels)] : [])].join(",");
                family.lines.push(`${one.name}{${labels}} ${one.value} ${one.time ?? time}\n`);
            }
        }
    }
    return [...merged]
        .map(([name, { type, help, lines }]) => {
            const head =
                (help === undefined ? "" : `# HELP ${name} ${help}\n`) + (type ? `# TYPE ${name} ${type}\n` : "");
            return head + lines.join("");
        })
        .join("");
}

/** A label called `replica` that the page brings along is renamed as Prometheus would. */
function makeWay(labels: string): string {
    if (!labels.includes("replica")) return labels;
    return labels.replace(new RegExp(label, "g"), (one) => one.replace(/^replica(?=\s*=)/, "exported_replica"));
}

/**
 * Tells replicas apart, and a replica from itself after a restart: by the time its process started (in ticks of 10 ms),
 * and for those that started in one tick by the time it made its first series, to the microsecond. Undefined for a page
 * without `process_start_time_seconds`.
 */
export function replicaName(text: string): string | undefined {
    const start = /^process_start_time_seconds(?:\{.*\})?\s+(\S+)/m.exec(text)?.[1];
    if (start === undefined) return undefined;
    const created = [...text.matchAll(/^[\w:]+_created(?:\{.*\})?\s+(\S+)/gm)].map(([, value]) => Number(value));
    const first = created.reduce((least, value) => Math.min(least, value), Infinity);
    return createHash("sha256")
        .update(`${Number(start)} ${first}`)
        .digest("hex")
        .slice(0, 8);
}

/** Every value of a page that never falls while its process lives, by series. */
function counters(page: Family[]): Map<string, number> {
    const values = new Map<string, number>();
    for (const { type, series } of page) {
        for (const { name, labels, value } of series) {
            const grows = type === "counter" || (type === "histogram" && !name.endsWith("_sum"));
            if (grows) values.set(`${name}{${labels}}`, numberOf(value));
        }
    }
    return values;
}

/** The first counter of `before` that is lower in `after` or gone, which no page of the same process can have. */
export function contradiction(before: Family[], after: Family[]): string | undefined {
    const now = counters(after);
    for (const [series, value] of counters(before)) {
        const later = now.get(series);
        if (later === undefined || later < value) return series;
    }
    return undefined;
}

// ---- One request

/** Why a request gave no sample. */
export const failureKinds = [
    "unauthorized", // 401 or 403
    "status", // any other status but 200
    "connection", // refused, reset, or the name is not known
    "certificate",
    "timeout", // still no whole answer at the end of the round
    "truncated", // an answer cut off
    "malformed", // an answer that is no metrics page
    "unidentified", // a page without process_start_time_seconds
    "contradicted", // a counter fell without a restart: two replicas that cannot be told apart, or half a page
] as const;
export type FailureKind = (typeof failureKinds)[number];

class RequestError extends Error {
    constructor(
        readonly kind: FailureKind,
        message: string,
    ) {
        super(message);
    }
}

/** Of one replica about 50 kB; anything far larger is not a page of vLLM. */
const maxPageBytes = 4 * 1024 * 1024;

interface Answer {
    text: string;
    /** When the answer began: Unix time in milliseconds, and by the relay's own clock. */
    time: number;
    at: number;
    /** Unix time in seconds at which the certificate ends; undefined over plain HTTP. */
    certificateEnd?: number;
}

/**
 * Gets a page over a connection of its own, which stays open until `agent` is destroyed.
 * @throws RequestError
 */
function getPage(app: string, token: string, agent: http.Agent): Promise<Answer> {
    const url = new URL("/metrics", app);
    const headers = {
        authorization: `Bearer ${token}`,
        accept: "text/plain;version=0.0.4",
        "user-agent": "vllm-relay",
    };
    const get = url.protocol === "https:" ? https.get : http.get;
    return new Promise((resolve, reject) => {
        const request = get(url, { agent, headers }, (response) => {
            const [time, at] = [Date.now(), performance.now()];
            const fail = (kind: FailureKind, message: string): void => reject(new RequestError(kind, message));
            const status = response.statusCode!;
            if (status !== 200) {
                fail(status === 401 || status === 403 ? "unauthorized" : "status", `status ${status}`);
                response.resume();
                return;
            }
            // Without either there is no telling a whole answer from one that broke off.
            if (response.headers["content-length"] === undefined && !response.headers["transfer-encoding"]) {
                fail("truncated", "the answer says neither its length nor where it ends");
                request.destroy();
                return;
            }
            const { valid_to: end } = (response.socket as TLSSocket).getPeerCertificate?.() ?? {};
            const chunks: Buffer[] = [];
            let bytes = 0;
            response.on("data", (chunk: Buffer) => {
                chunks.push(chunk);
                bytes += chunk.length;
                if (bytes <= maxPageBytes) return;
                fail("malformed", `more than ${maxPageBytes} bytes`);
                request.destroy();
            });
            response.on("end", () => {
                const certificateEnd = end === undefined ? undefined : Date.parse(end) / 1000;
                resolve({ text: Buffer.concat(chunks).toString("utf8"), time, at, certificateEnd });
            });
            response.on("error", (error) => fail("truncated", error.message));
        });
        request.on("error", (error: NodeJS.ErrnoException) => {
            const certificate = /^(CERT_|ERR_TLS_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_)/.test(error.code ?? "");
            reject(new RequestError(certificate ? "certificate" : "connection", error.message));
        });
    });
}

// ---- Rounds

/** Requests of a round at most, and at one time at least and at most: what a scrape may cost the app. */
export const maxRequests = 100;
const concurrency = { least: 4, most: 20 };
/** Share of a round after which a request is late: while nobody has answered, others are made in its stead. */
const lateAfter = 1 / 8;

/**
 * Failures after which a round that has seen nobody asks no more: had one of `replicas` been well, it would have been met
 * in all but one round of 10,000.
 */
export function hopelessAfter(replicas: number): number {
    return Math.min(maxRequests, Math.ceil(Math.log(1e-4) / Math.log(1 - 1 / Math.max(replicas, 2))));
}

/** Milliseconds by which two clocks may differ without one having been set. */
const clockStep = 1000;

/**
 * A replica that lives, as far as is known. Ages are told by `performance.now()`, in milliseconds: by the time of day, which
 * may be set back, an old sample could pass for a young one.
 */
interface Replica extends Sample {
    /** When the sample was taken. */
    at: number;
    /** Complete rounds since `at` that did not see it. */
    missed: number;
}

/** What came of a round. */
export interface Round {
    /** `complete`: every replica seen, with `confidence`. `incomplete`: some, until requests or time ran out. */
    result: "complete" | "incomplete" | "failed";
    /** Names of the replicas that answered. */
    seen: Set<string>;
    requests: number;
    /** Pages that counted, so draws of a replica. */
    draws: number;
    failures: Partial<Record<FailureKind, number>>;
    /** By `performance.now()`. */
    started: number;
    ended: number;
}

/** Samples one app. Scrapes at the same time share a round. */
export class Sampler {
    private readonly replicas = new Map<string, Replica>();
    private running?: Promise<Round>;
    private last?: Round;
    private spread = false;
    private certificateEnd?: number;
    /** Unix time in milliseconds. */
    private lastSuccess?: number;
    private readonly totals = { requests: 0, rounds: { complete: 0, incomplete: 0, failed: 0 } };
    private readonly failures = Object.fromEntries(failureKinds.map((kind) => [kind, 0])) as Record<
        FailureKind,
        number
    >;

    constructor(
        readonly config: RelayConfig,
        private readonly readToken: () => string,
        private readonly log: (line: string) => void,
    ) {}

    /**
     * The page of all replicas, or undefined when none answered, and the round that made it.
     * @param seconds time that the round may take
     */
    async scrape(seconds: number): Promise<{ page?: string; round: Round }> {
        // Every sample carries its time, so a second Prometheus loses nothing by being given the same ones.
        const recent = this.last && performance.now() - this.last.started < (this.config.interval * 1000) / 2;
        const round = recent
            ? this.last!
            : await (this.running ??= this.sample(seconds).finally(() => (this.running = undefined)));
        this.date();
        return round.seen.size === 0 ? { round } : { page: writePages(this.exported()), round };
    }

    /** Dates samples by their age where the time of day was set since they were taken: what was ahead would pass for young. */
    private date(): void {
        const now = Date.now() - performance.now();
        for (const replica of this.replicas.values()) {
            const time = Math.round(now + replica.at);
            if (Math.abs(time - replica.time) > clockStep) replica.time = time;
        }
    }

    private exported(): Replica[] {
        return [...this.replicas.values()];
    }

    private async sample(seconds: number): Promise<Round> {
        const before = new Set(this.replicas.keys());
        const round = await this.draw(seconds * 1000, before);
        const wasFailing = this.last?.result === "failed";
        this.last = round;
        this.totals.requests += round.requests;
        this.totals.rounds[round.result]++;
        if (round.seen.size > 0) this.lastSuccess = Date.now();
        if (round.seen.size > 1) this.spread = true;
        this.forget(round);
        for (const replica of round.seen) if (!before.has(replica)) this.log(`replica ${replica} is new`);
        for (const replica of before) if (!this.replicas.has(replica)) this.log(`replica ${replica} is gone`);
        if (round.result === "failed" && !wasFailing) this.log(`no replica answers: ${describe(round)}`);
        if (round.result !== "failed" && wasFailing) this.log("replicas answer again");
        return round;
    }

    /** Lets go of replicas that are no more, so that their series end instead of standing still. */
    private forget(round: Round): void {
        const oldest = round.ended - 4 * this.config.interval * 1000;
        for (const [name, replica] of this.replicas) {
            if (round.seen.has(name)) continue;
            if (round.result === "complete") replica.missed++;
            // Once may be chance. With as many others as there can be, it has made room for one of them.
            const replaced = replica.missed > 0 && round.seen.size >= this.config.replicas.max;
            if (replica.missed > 1 || replaced || replica.at < oldest) this.replicas.delete(name);
        }
    }

    /** How many replicas there may be, given those seen in this round so far; 0 when nobody is left to be seen. */
    private supposed(seen: Set<string>, before: Set<string>): number {
        const { min, max } = this.config.replicas;
        const known = new Set([...before, ...seen]).size;
        if (known === seen.size && seen.size >= max) return 0;
        // One more than was seen may be there; and at first, nobody having answered, two.
        return Math.max(known, min, Math.min(max, Math.max(seen.size, 1) + 1));
    }

    private draw(milliseconds: number, before: Set<string>): Promise<Round> {
        const started = performance.now();
        const seen = new Set<string>();
        const failures: Round["failures"] = {};
        let over = false;
        const agents: http.Agent[] = [];
        const token = this.readToken();
        const enoughFailures = hopelessAfter(this.config.replicas.max);
        let draws = 0;
        let failed = 0;
        let pending = 0;
        let late = 0;
        return new Promise((resolve, reject) => {
            const fail = (kind: FailureKind): void => {
                failed++;
                failures[kind] = (failures[kind] ?? 0) + 1;
                this.failures[kind]++;
            };
            const end = (): void => {
                over = true;
                clearTimeout(deadline);
                // Ends the requests that are still under way, too.
                for (const agent of agents) agent.destroy();
            };
            const finish = (complete: boolean): void => {
                end();
                const result = seen.size === 0 ? "failed" : complete ? "complete" : "incomplete";
                resolve({ result, seen, requests: agents.length, draws, failures, started, ended: performance.now() });
            };
            const deadline = setTimeout(() => {
                for (let i = 0; i < pending; i++) fail("timeout");
                finish(false);
            }, milliseconds);

            const one = async (): Promise<void> => {
                // Kept open to the end of the round: a balancer that prefers the replica with the fewest connections
                // has to move on to the others.
                const protocol = this.config.url.startsWith("https:") ? https : http;
                const agent = new protocol.Agent({ keepAlive: true });
                agents.push(agent);
                let isLate = false;
                const lateness = setTimeout(() => {
                    isLate = true;
                    late++;
                    step();
                }, milliseconds * lateAfter);
                pending++;
                try {
                    const answer = await getPage(this.config.url, token, agent);
                    if (over) return;
                    seen.add(this.accept(answer, seen));
                    draws++;
                } catch (error) {
                    if (over) return;
                    if (error instanceof RequestError || error instanceof PageError) fail(error.kind);
                    else throw error;
                } finally {
                    clearTimeout(lateness);
                    pending--;
                    if (isLate) late--;
                }
            };
            /** Whether another request is to be made beside those that are under way. */
            const worthAsking = (supposed: number, needed: number): boolean => {
                // A token that is refused here is refused everywhere.
                if (seen.size === 0 && (failures.unauthorized || failed >= enoughFailures)) return false;
                if (pending >= concurrency.most || agents.length >= maxRequests) return false;
                // Those that hang may all be one replica's.
                const expected = seen.size === 0 ? pending - late : pending;
                // Enough at one time that a balancer which prefers the replica with the fewest requests comes to each.
                return expected < Math.max(supposed + 1, concurrency.least) && draws + expected < needed;
            };
            const step = (): void => {
                if (over) return;
                const supposed = this.supposed(seen, before);
                if (supposed === 0) return finish(true);
                const needed = drawsNeeded(supposed);
                if (draws >= needed && pending === 0) return finish(true);
                while (worthAsking(supposed, needed)) {
                    one().then(step, (error: Error) => {
                        end();
                        reject(error);
                    });
                }
                // What is still on its way may come from a slow replica that nobody has seen.
                if (pending === 0) finish(false);
            };
            step();
        });
    }

    /** Takes an answer as its replica's sample, unless this round has one, and returns the replica's name. */
    private accept({ text, time, at, certificateEnd }: Answer, seen: Set<string>): string {
        this.certificateEnd = certificateEnd;
        const replica = replicaName(text);
        // A second page of one round may be older than the first: answers overtake each other.
        if (replica !== undefined && seen.has(replica)) return replica;
        const page = parsePage(text);
        if (replica === undefined) throw new PageError("unidentified", "the page has no process_start_time_seconds");
        const known = this.replicas.get(replica);
        const fallen = known && contradiction(known.page, page);
        if (fallen) throw new RequestError("contradicted", `${fallen} fell or is missing`);
        this.replicas.set(replica, { replica, page, time, at, missed: 0 });
        return replica;
    }

    /** What the replicas have to do, as they were sampled last. */
    work(): Map<string, Work> {
        const sum = (page: Family[], name: string): number =>
            page
                .flatMap((family) => family.series)
                .filter((one) => one.name === name)
                .reduce((all, { value }) => all + numberOf(value), 0);
        const of = ({ replica, page }: Replica): [string, Work] => [
            replica,
            {
                underWay: sum(page, "vllm:num_requests_running") + sum(page, "vllm:num_requests_waiting"),
                ended: sum(page, "vllm:request_success_total"),
            },
        ];
        return new Map(this.exported().map(of));
    }

    /** Forgets what was sampled, so that series end: the app is not asked any more. */
    rest(): void {
        this.replicas.clear();
        this.last = undefined;
    }

    /** The chance that the last round missed a replica that is there, if connections are spread evenly; at most 1. */
    private unseen(): number {
        if (!this.last || this.last.seen.size === 0) return 1;
        const { seen, draws } = this.last;
        if (seen.size >= this.config.replicas.max) return 0;
        const replicas = seen.size + 1;
        return Math.min(1, replicas * (1 - 1 / replicas) ** draws);
    }

    /** The relay's own series. */
    series(): OwnSeries[] {
        const { replicas } = this.config;
        const now = performance.now();
        const exported = this.last && this.last.seen.size > 0 ? this.exported() : [];
        const blind = this.last !== undefined && (this.last.result !== "complete" || exported.length < replicas.min);
        const series: OwnSeries[] = [
            ["vllm_relay_replicas", {}, exported.length],
            ["vllm_relay_replicas_min", {}, replicas.min],
            ["vllm_relay_replicas_max", {}, replicas.max],
            ["vllm_relay_blind", {}, Number(blind)],
            ["vllm_relay_spread_seen", {}, Number(this.spread)],
            ["vllm_relay_unseen_probability", {}, this.unseen()],
            ["vllm_relay_requests_total", {}, this.totals.requests],
        ];
        for (const { replica, at } of exported) {
            series.push(["vllm_relay_sample_age_seconds", { replica }, (now - at) / 1000]);
        }
        for (const [result, count] of Object.entries(this.totals.rounds)) {
            series.push(["vllm_relay_rounds_total", { result }, count]);
        }
        for (const kind of failureKinds) {
            series.push(["vllm_relay_failures_total", { kind }, this.failures[kind]]);
        }
        if (this.last) {
            series.push(["vllm_relay_round_requests", {}, this.last.requests]);
            series.push(["vllm_relay_round_duration_seconds", {}, (this.last.ended - this.last.started) / 1000]);
        }
        if (this.lastSuccess) {
            series.push(["vllm_relay_last_success_timestamp_seconds", {}, this.lastSuccess / 1000]);
        }
        if (this.certificateEnd) {
            series.push(["vllm_relay_certificate_expiry_timestamp_seconds", {}, this.certificateEnd]);
        }
        return series;
    }
}

/** A round in words. */
export function describe({ requests, failures }: Round): string {
    const kinds = Object.entries(failures).map(([kind, count]) => `${count} ${kind}`);
    return `${requests} requests, ${kinds.join(", ") || "none failed"}`;
}

// ---- The relay's own page

type OwnSeries = [name: keyof typeof ownMetrics, labels: Record<string, string>, value: number];

/** What the relay says of itself, at `/metrics`. */
export const ownMetrics = {
    vllm_relay_replicas: ["gauge", "Replicas whose series are exported."],
    vllm_relay_replicas_min: ["gauge", "Replicas that the platform runs at least."],
    vllm_relay_replicas_max: ["gauge", "Replicas that the platform runs at most."],
    vllm_relay_sample_age_seconds: ["gauge", "Age of the sample that is exported of a replica."],
    vllm_relay_blind: [
        "gauge",
        "1 when replicas are known to be missing: the last round was not complete, or fewer than the minimum are seen.",
    ],
    vllm_relay_spread_seen: [
        "gauge",
        "1 once a round has seen two replicas, which proves that the balancer spreads connections; 0 until then.",
    ],
    vllm_relay_unseen_probability: [
        "gauge",
        "Chance that the last round missed a replica, if connections are spread evenly.",
    ],
    vllm_relay_round_requests: ["gauge", "Requests that the last round took."],
    vllm_relay_round_duration_seconds: ["gauge", "Time that the last round took."],
    vllm_relay_rounds_total: ["counter", "Rounds by result: complete, incomplete, failed."],
    vllm_relay_requests_total: ["counter", "Requests made to the app."],
    vllm_relay_failures_total: ["counter", "Requests that gave no sample, by kind."],
    vllm_relay_last_success_timestamp_seconds: ["gauge", "End of the last round in which a replica answered."],
    vllm_relay_certificate_expiry_timestamp_seconds: ["gauge", "End of the app's certificate."],
    vllm_relay_completion_success: [
        "gauge",
        "1 when the last completion of one token came, 0 when it did not; absent while the token is refused.",
    ],
    vllm_relay_completion_duration_seconds: ["gauge", "Time that the last completion took, or was waited for."],
    vllm_relay_completions_total: ["counter", "Completions of one token asked for, by result."],
    vllm_relay_phase: ["gauge", `1 for what an app that may sleep is now, of ${phases.join(", ")}; 0 for the others.`],
    vllm_relay_app_replicas: ["gauge", "Replicas of an app that may sleep, as OVHcloud's API told last."],
    vllm_relay_state_age_seconds: ["gauge", "Time since OVHcloud's API told the state of an app that may sleep."],
    vllm_relay_wakes_total: ["counter", "Times that the app was found awake or waking after it had slept."],
    vllm_relay_last_wake_seconds: ["gauge", "Time from the first sign of the last waking to a replica that serves."],
    process_start_time_seconds: ["gauge", "Start of the relay."],
    process_resident_memory_bytes: ["gauge", "Memory of the relay."],
    process_cpu_seconds_total: ["counter", "CPU time of the relay."],
} as const satisfies Record<string, readonly ["gauge" | "counter", string]>;

function completionSeries({ last, totals }: CompletionProbe): OwnSeries[] {
    const series = completionResults.map((result): OwnSeries => [
        "vllm_relay_completions_total",
        { result },
        totals[result],
    ]);
    // A token that is refused says nothing of what clients with theirs get.
    if (last && last.result !== "refused") {
        series.push(["vllm_relay_completion_success", {}, Number(last.result === "ok")]);
        series.push(["vllm_relay_completion_duration_seconds", {}, last.seconds]);
    }
    return series;
}

function sleepSeries({ phase, known, wakes, lastWakeSeconds }: Sleep): OwnSeries[] {
    return [
        ...phases.map((one): OwnSeries => ["vllm_relay_phase", { phase: one }, Number(one === phase)]),
        ["vllm_relay_state_age_seconds", {}, (performance.now() - known.at) / 1000],
        ["vllm_relay_wakes_total", {}, wakes],
        ...(known.replicas === undefined ? [] : [["vllm_relay_app_replicas", {}, known.replicas] as OwnSeries]),
        ...(lastWakeSeconds === undefined ? [] : [["vllm_relay_last_wake_seconds", {}, lastWakeSeconds] as OwnSeries]),
    ];
}

function ownPage({ sampler, probe, sleep }: Parts): string {
    const { user, system } = process.cpuUsage();
    const series: OwnSeries[] = [
        ...sampler.series(),
        ...(probe ? completionSeries(probe) : []),
        ...(sleep ? sleepSeries(sleep) : []),
        ["process_start_time_seconds", {}, performance.timeOrigin / 1000],
        ["process_resident_memory_bytes", {}, process.memoryUsage.rss()],
        ["process_cpu_seconds_total", {}, (user + system) / 1e6],
    ];
    return Object.entries(ownMetrics)
        .map(([name, [type, help]]) => {
            const lines = series
                .filter(([one]) => one === name)
                .map(([, labels, value]) => {
                    const text = Object.entries(labels).map(([key, word]) => `${key}="${word}"`);
                    return `${name}${text.length > 0 ? `{${text.join(",")}}` : ""} ${value}\n`;
                });
            return lines.length > 0 ? `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}` : "";
        })
        .join("");
}

// ---- The server

/** Seconds that a round may take when the scraper does not say how long it waits. */
const defaultSeconds = 8;

/** Any pod of the cluster can send requests: these are short, have no body, and there are few at a time. */
const limits = { maxHeaderSize: 8192, headersTimeout: 5000, requestTimeout: 10_000 };
const maxConnections = 32;

/** What answers are made of. */
interface Parts {
    sampler: Sampler;
    probe?: CompletionProbe;
    sleep?: Sleep;
}

/**
 * Serves `/replicas`, `/metrics` and `/healthz`. The caller listens.
 * @param readToken called for each round, so that a rotated token needs no restart
 * @param readReader likewise for each look at OVHcloud's API; only for an app that may sleep
 */
export function relayServer(
    config: RelayConfig,
    readToken: () => string,
    log: (line: string) => void,
    readReader?: () => Credential,
): http.Server {
    const sampler = new Sampler(config, readToken, log);
    const sleep = config.sleep && sleeping(config.sleep, config.interval, log, readReader);
    const mayProbe = (since?: number): boolean => sleep?.mayProbe(since) ?? true;
    const probe = config.completions && new CompletionProbe(config.url, config.completions, readToken, log, mayProbe);
    const parts = { sampler, probe, sleep };
    const server = http.createServer(limits, (request, response) => {
        respond(request, parts).then(
            ([status, text]) => {
                // The rest of a request that is refused is not waited for.
                if (status >= 400 && status < 500) response.setHeader("connection", "close");
                response.writeHead(status, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
                response.end(text);
            },
            (error: Error) => {
                log(error.message);
                response.writeHead(500, { "content-type": "text/plain; charset=utf-8" }).end(`${error.message}\n`);
            },
        );
    });
    server.maxConnections = maxConnections;
    server.on("listening", () => probe?.begin());
    server.on("close", () => probe?.stop());
    return server;
}

function sleeping(
    config: SleepConfig,
    interval: number,
    log: (line: string) => void,
    readReader: (() => Credential) | undefined,
): Sleep {
    if (!readReader) throw new Error("an app that may sleep needs a credential with which its state is read");
    const reader = new StateReader(config, readReader);
    return new Sleep(config, interval, () => reader.read(), log);
}

async function respond(
    { method, url, headers }: http.IncomingMessage,
    parts: Parts,
): Promise<[status: number, text: string]> {
    if (method !== "GET") return [405, "only GET\n"];
    if (Number(headers["content-length"] ?? 0) > 0 || headers["transfer-encoding"]) return [413, "no body\n"];
    // Not parsed: of some paths, such as "//", no URL can be made.
    const [path] = url!.split("?");
    if (path === "/healthz") return [200, "ok\n"];
    if (path === "/metrics") return [200, ownPage(parts)];
    if (path !== "/replicas") return [404, "no such page: /replicas, /metrics and /healthz\n"];
    return replicasPage(parts, Number(headers["x-prometheus-scrape-timeout-seconds"]));
}

/** @param timeout seconds that the scraper waits; NaN when it does not say */
async function replicasPage(
    { sampler, probe, sleep }: Parts,
    timeout: number,
): Promise<[status: number, text: string]> {
    const began = performance.now();
    if (sleep && !(await sleep.mayAsk())) {
        sampler.rest();
        // No replica, and no outage either, unless it is down.
        return [sleep.phase === "down" ? 503 : 200, `# not asked: the app is ${sleep.phase}\n`];
    }
    // A part of the scraper's patience, so that what was seen by then still reaches it; less what the API has taken of it.
    const spent = (performance.now() - began) / 1000;
    const patience = Math.max(timeout * 0.8 - spent, timeout * 0.2);
    const { page, round } = await sampler.scrape(
        patience > 0 ? Math.min(patience, sampler.config.interval) : defaultSeconds,
    );
    // Of a round that met nobody the replicas are those of before.
    if (round.seen.size > 0) sleep?.saw(round.started, sampler.work(), probe?.work ?? { underWay: 0, ended: 0 });
    return page === undefined ? [503, `no replica answers: ${describe(round)}\n`] : [200, page];
}

function main(): void {
    const { values } = parseArgs({
        options: {
            config: { type: "string", default: "/etc/vllm-relay/files/config.json" },
            "token-file": { type: "string", default: "/etc/vllm-relay/token/token" },
            "key-file": { type: "string", default: "/etc/vllm-relay/key/key" },
            listen: { type: "string", default: "0.0.0.0:9400" },
        },
    });
    const [, host, port] = /^(.+):(\d+)$/.exec(values.listen) ?? [];
    if (host === undefined) return refuse(`--listen is "${values.listen}", expected host:port`);
    let config: RelayConfig;
    try {
        config = JSON.parse(readFileSync(values.config, "utf8")) as RelayConfig;
    } catch (error) {
        return refuse(`--config ${values.config}: ${(error as Error).message}`);
    }
    const readToken = (): string => readFileSync(values["token-file"], "utf8").trim();
    const readReader = (): Credential => parseReader(readFileSync(values["key-file"], "utf8").trim());
    const log = (line: string): void => console.log(`${new Date().toISOString()} ${line}`);
    const server = relayServer(config, readToken, log, readReader);
    server.on("error", (error) => refuse(error.message));
    server.listen(Number(port), host, () => {
        const { port: bound } = server.address() as { port: number };
        console.log(`listening on ${host}:${bound} for ${config.url}`);
    });
    process.on("SIGTERM", () => process.exit(0));
}

function refuse(reason: string): void {
    console.error(`vllm-relay does not start: ${reason}`);
    process.exitCode = 1;
}

// Told by the module, not by comparing paths: a ConfigMap mounts the file as a symbolic link.
if (require.main === module) main();
