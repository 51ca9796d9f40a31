/**
 * The controller: a program of its own that runs in the cluster, in one file with nothing but Node beside it. Again and again
 * it looks at each model's app and has the platform do what the model's schedule, its lease and the limit of spend want at this
 * moment. It keeps nothing: one that was down does on its first round what it has missed. What it wants and why: docs/hours.md.
 */
import { readFileSync } from "node:fs";
import * as http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { minuteOfWeek } from "../hours/schedule";
import type { SpendAction } from "../hours/wanted";
import {
    ApiFailure,
    failureKinds,
    OvhApi,
    type ApiAddresses,
    type Credential,
    type FailureKind,
} from "../monitoring/pod-api";
import { keepModel, type Change, type Kept, type KeptModel, type Spent } from "./keep";
import { findUnowned, type UnitPrice, type UnownedApp } from "./unowned";
import { prometheusQuery, Spend, totalOf, type MonthSpend } from "./spend";

/** What the controller is told, as JSON in the file given by `--config`. */
export interface ControllerConfig {
    api: ApiAddresses;
    projectId: string;
    /** Seconds between two rounds. */
    period: number;
    models: KeptModel[];
    /** By which apps that belong to no stack are priced. */
    unitPrices: UnitPrice[];
    /** Absent: no limit of spend is kept. */
    spend?: {
        eurosPerMonth: number;
        action: SpendAction;
        /** Base URL of Prometheus. */
        prometheus: string;
    };
}

/** What is known of a model. */
interface Known extends Kept {
    /** When it was last found, or made, as wanted: Unix time in seconds. */
    seen: number;
}

/** Seconds between two looks at all apps of the project, and those after which the last one says nothing any more. */
const [projectPeriod, projectValid] = [300, 3600];

const changes: Change[] = ["scale", "stop", "start"];

export interface ControllerOptions {
    readCredential: () => Credential;
    log: (line: string) => void;
    /** Default: the clock of this machine. */
    now?: () => Date;
}

/** Keeps the models of one stack. */
export class Controller {
    private readonly api: OvhApi;
    private readonly spend?: Spend;
    private readonly known = new Map<string, Known>();
    private readonly counts: { changes: Map<string, number>; failures: Record<FailureKind | "prometheus", number> };
    /** What was last said of each model, so that nothing is said twice. */
    private readonly said = new Map<string, string>();
    private spent?: MonthSpend;
    private spendKnown = false;
    /** Apps that belong to no stack. Times are Unix times in seconds: of the last look, and of the last that came to something. */
    private unowned = { apps: [] as UnownedApp[], looked: -Infinity, seen: -Infinity };

    constructor(
        readonly config: ControllerConfig,
        private readonly options: ControllerOptions,
    ) {
        this.api = new OvhApi(config.api, options.readCredential);
        if (config.spend) this.spend = new Spend(config.models, prometheusQuery(config.spend.prometheus));
        const none = [...failureKinds, "prometheus" as const].map((kind) => [kind, 0]);
        this.counts = {
            changes: new Map(),
            failures: Object.fromEntries(none) as Record<FailureKind | "prometheus", number>,
        };
        // A time zone that this Node does not know would only show when its hour comes.
        for (const { schedule } of config.models) {
            for (const { timeZone } of schedule) minuteOfWeek(new Date(0), timeZone);
        }
    }

    /** One look at every model. Never throws: one that fails keeps none of the others from being looked at. */
    async round(): Promise<void> {
        const spent = await this.lookAtSpend();
        let failed = 0;
        for (const model of this.config.models) {
            try {
                await this.keep(model, spent);
            } catch (error) {
                failed++;
                this.failed(model.name, "cannot be kept", error);
            }
        }
        // An API that answers nothing is not asked for more.
        if (failed < this.config.models.length) await this.lookAtProject();
    }

    private async lookAtProject(): Promise<void> {
        const { projectId, unitPrices } = this.config;
        const now = this.now().getTime() / 1000;
        if (now - this.unowned.looked < projectPeriod) return;
        this.unowned.looked = now;
        try {
            const apps = await findUnowned((path) => this.api.get(path), projectId, unitPrices);
            this.unowned = { apps, looked: now, seen: now };
            const found = apps.map(({ id, name }) => `${name} (${id})`).join(", ");
            this.say("apps of no stack", found || "none");
        } catch (error) {
            this.failed("apps of no stack", "cannot be looked for", error);
        }
    }

    /** Rounds until the signal. */
    async run(signal: AbortSignal): Promise<void> {
        while (!signal.aborted) {
            await this.round();
            await sleep(this.config.period * 1000, undefined, { signal }).catch(() => undefined);
        }
    }

    private now(): Date {
        return this.options.now?.() ?? new Date();
    }

    private async lookAtSpend(): Promise<Spent> {
        const { spend: limit } = this.config;
        if (!this.spend || !limit) return { known: true };
        try {
            this.spent = await this.spend.upTo(this.now());
        } catch (error) {
            this.spendKnown = false;
            this.count("prometheus");
            this.say("spend", `is not known: ${(error as Error).message}`);
            return { known: false };
        }
        const total = totalOf(this.spent);
        const reached = total >= limit.eurosPerMonth;
        const unpriced = this.config.models.filter(({ price }) => price === undefined);
        this.spendKnown = reached || unpriced.length === 0;
        if (!this.spendKnown) {
            const names = unpriced.map(({ name }) => name).join(" and ");
            this.say("spend", `is not known: a replica of ${names} has no price, which prices.file can give`);
            return { known: false };
        }
        this.say("spend", reached ? `has reached ${limit.eurosPerMonth} euros: ${limit.action}` : "is below its limit");
        return { known: true, action: reached ? limit.action : undefined };
    }

    private async keep(model: KeptModel, spent: Spent): Promise<void> {
        const now = this.now();
        const mayStart = this.config.spend?.action === "stop";
        const kept = await keepModel(this.api, this.config.projectId, model, { now, spent, mayStart });
        this.known.set(model.name, { ...kept, seen: now.getTime() / 1000 });
        const { change, reason, wanted } = kept;
        const what = wanted.state === "stopped" ? "stopped" : `${wanted.limits.min} to ${wanted.limits.max} replicas`;
        if (change) {
            const key = `${model.name} ${change}`;
            this.counts.changes.set(key, (this.counts.changes.get(key) ?? 0) + 1);
        }
        this.say(model.name, reason ? `is left alone: ${reason}` : `${what} (${wanted.why})`);
    }

    private failed(whom: string, what: string, error: unknown): void {
        this.count(error instanceof ApiFailure ? error.kind : "answer");
        this.say(whom, `${what}: ${(error as Error).message}`);
    }

    private count(kind: FailureKind | "prometheus"): void {
        this.counts.failures[kind]++;
    }

    private say(whom: string, what: string): void {
        if (this.said.get(whom) === what) return;
        this.said.set(whom, what);
        this.options.log(`${whom}: ${what}`);
    }

    /** Its own metrics, in Prometheus' text format. */
    page(): string {
        const series: Series[] = [
            ...this.config.models.flatMap((model) => this.seriesOf(model)),
            ...Object.entries(this.counts.failures).map(([kind, count]): Series => [
                "vllm_controller_failures_total",
                { kind },
                count,
            ]),
            ...this.spendSeries(),
            ...this.unownedSeries(),
            ["process_start_time_seconds", {}, performance.timeOrigin / 1000],
            ["process_resident_memory_bytes", {}, process.memoryUsage.rss()],
        ];
        return Object.entries(ownMetrics)
            .map(([name, [type, help]]) => {
                const lines = series
                    .filter(([one]) => one === name)
                    .map(([, labels, value]) => line(name, labels, value));
                return lines.length > 0 ? `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}` : "";
            })
            .join("");
    }

    private seriesOf({ name: model, lease }: KeptModel): Series[] {
        const known = this.known.get(model);
        const series: Series[] = changes.map((kind) => [
            "vllm_controller_changes_total",
            { model, kind },
            this.counts.changes.get(`${model} ${kind}`) ?? 0,
        ]);
        if (lease) {
            const end = Date.parse(lease.until) / 1000;
            series.push(["vllm_controller_lease_end_timestamp_seconds", { model }, end]);
        }
        if (!known) return series;
        const { wanted, applied, replicas, seen } = known;
        const limits = wanted.state === "stopped" ? { min: 0, max: 0 } : wanted.limits;
        series.push(
            ["vllm_controller_applied", { model }, Number(applied)],
            ["vllm_controller_replicas", { model }, replicas],
            ["vllm_controller_replicas_min", { model }, limits.min],
            ["vllm_controller_replicas_max", { model }, limits.max],
            ["vllm_controller_last_success_timestamp_seconds", { model }, seen],
            ...(["lease", "spend"] as const).map((why): Series => [
                "vllm_controller_stopped",
                { model, why },
                Number(wanted.state === "stopped" && wanted.why === why),
            ]),
        );
        return series;
    }

    private unownedSeries(): Series[] {
        const { apps, seen } = this.unowned;
        if (this.now().getTime() / 1000 - seen > projectValid) return [];
        return apps.flatMap(({ id: app, name, region, flavor, replicas, eurosPerHour }) => {
            const labels = { app, name, region, flavor };
            const price: Series[] =
                eurosPerHour === undefined
                    ? []
                    : [["vllm_controller_unowned_app_euros_per_hour", labels, eurosPerHour]];
            return [["vllm_controller_unowned_app_replicas", labels, replicas], ...price];
        });
    }

    private spendSeries(): Series[] {
        const { spend: limit } = this.config;
        if (!limit) return [];
        const series: Series[] = [
            ["vllm_controller_spend_limit_euros", {}, limit.eurosPerMonth],
            ["vllm_controller_spend_known", {}, Number(this.spendKnown)],
        ];
        if (this.spent) {
            const { month, euros, until } = this.spent;
            series.push(["vllm_controller_spend_until_timestamp_seconds", { month }, until]);
            for (const [model, value] of Object.entries(euros)) {
                series.push(["vllm_controller_spend_euros", { model, month }, value]);
            }
        }
        return series;
    }
}

type Series = [name: keyof typeof ownMetrics, labels: Record<string, string>, value: number];

function line(name: string, labels: Record<string, string>, value: number): string {
    const text = Object.entries(labels).map(([key, word]) => `${key}="${escaped(word)}"`);
    return `${name}${text.length > 0 ? `{${text.join(",")}}` : ""} ${value}\n`;
}

/** A label's value in Prometheus' text format: the name of somebody's app is any text. */
function escaped(text: string): string {
    return text.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n");
}

export const ownMetrics = {
    vllm_controller_applied: ["gauge", "1 when the app was found as schedule, lease and limit want it, else 0."],
    vllm_controller_replicas: ["gauge", "Replicas that run, as the platform says."],
    vllm_controller_replicas_min: ["gauge", "Fewest replicas that are wanted now."],
    vllm_controller_replicas_max: ["gauge", "Most replicas that are wanted now; 0 when the app is to be stopped."],
    vllm_controller_stopped: ["gauge", "1 when the app is to be stopped, by why: lease, spend."],
    vllm_controller_lease_end_timestamp_seconds: ["gauge", "End of the model's lease."],
    vllm_controller_last_success_timestamp_seconds: ["gauge", "When the app was last looked at."],
    vllm_controller_changes_total: ["counter", "Calls that changed the app, by kind: scale, stop, start."],
    vllm_controller_failures_total: ["counter", "Requests without an answer that can be used, by kind."],
    vllm_controller_spend_euros: ["gauge", "What the replicas have cost this month."],
    vllm_controller_spend_until_timestamp_seconds: ["gauge", "Up to when this month's cost is counted."],
    vllm_controller_spend_limit_euros: ["gauge", "What they may cost in a month."],
    vllm_controller_spend_known: [
        "gauge",
        "1 when it is known what is spent, else 0: Prometheus does not tell, or a price is missing.",
    ],
    vllm_controller_unowned_app_replicas: ["gauge", "Billed replicas of an app that no stack has made."],
    vllm_controller_unowned_app_euros_per_hour: ["gauge", "What it costs, where the price of its flavor is known."],
    process_start_time_seconds: ["gauge", "Start of the controller."],
    process_resident_memory_bytes: ["gauge", "Memory of the controller."],
} as const satisfies Record<string, readonly ["gauge" | "counter", string]>;

/** Any pod of the cluster can send requests: these are short, have no body, and there are few at a time. */
const limits = { maxHeaderSize: 8192, headersTimeout: 5000, requestTimeout: 10_000 };
const maxConnections = 32;

/** Serves `/metrics` and `/healthz`. The caller listens. */
export function controllerServer(controller: Controller): http.Server {
    const server = http.createServer(limits, ({ method, url }, response) => {
        const [path] = url!.split("?");
        const pages: Record<string, () => string> = { "/healthz": () => "ok\n", "/metrics": () => controller.page() };
        const found = method === "GET" && Object.hasOwn(pages, path) ? pages[path] : undefined;
        if (!found) response.setHeader("connection", "close");
        response.writeHead(found ? 200 : 404, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
        response.end(found?.() ?? "no such page: GET /metrics and /healthz\n");
    });
    server.maxConnections = maxConnections;
    return server;
}

function main(): void {
    const { values } = parseArgs({
        options: {
            config: { type: "string", default: "/etc/vllm-controller/files/config.json" },
            "credential-file": { type: "string", default: "/etc/vllm-controller/credential/credential" },
            listen: { type: "string", default: "0.0.0.0:9400" },
        },
    });
    const [, host, port] = /^(.+):(\d+)$/.exec(values.listen) ?? [];
    if (host === undefined) return refuse(`--listen is "${values.listen}", expected host:port`);
    let controller: Controller;
    try {
        const config = JSON.parse(readFileSync(values.config, "utf8")) as ControllerConfig;
        controller = new Controller(config, {
            readCredential: () => readCredential(values["credential-file"]),
            log: (text) => console.log(`${new Date().toISOString()} ${text}`),
        });
    } catch (error) {
        return refuse(`--config ${values.config}: ${(error as Error).message}`);
    }
    const server = controllerServer(controller);
    server.on("error", (error) => refuse(error.message));
    server.listen(Number(port), host, () => {
        const { port: bound } = server.address() as { port: number };
        console.log(`listening on ${host}:${bound} for ${controller.config.models.map(({ name }) => name).join(", ")}`);
        void controller.run(new AbortController().signal);
    });
    process.on("SIGTERM", () => process.exit(0));
}

/** Of a file that is no JSON the parser's message would show a part. */
function readCredential(file: string): Credential {
    try {
        return JSON.parse(readFileSync(file, "utf8")) as Credential;
    } catch {
        throw new ApiFailure("unauthorized", `--credential-file ${file} cannot be read, or is no JSON`);
    }
}

function refuse(reason: string): void {
    console.error(`vllm-controller does not start: ${reason}`);
    process.exitCode = 1;
}

// Told by the module, not by comparing paths: a ConfigMap mounts the file as a symbolic link.
if (require.main === module) main();
