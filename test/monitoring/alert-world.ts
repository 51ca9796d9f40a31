import { metricsOf, seriesNames } from "../../src/vllm/metrics";
import { phases } from "../../src/monitoring/relay/sleep";
import type { WatchedModel } from "../../src/monitoring/rules";
import { recordedPage, samples } from "./metrics-page";
import type { InputSeries } from "./promtool";

/** Hours that a world lasts: longer than the longest window of a rule. */
const minutes = 7 * 60;

/** A value that stays. */
export const steady = (value: number) => `${value}x${minutes}`;
/** A counter that grows by so much a minute. */
export const growing = (perMinute: number) => `0+${perMinute}x${minutes}`;

/** Those that the rules read, so that promtool is not fed a page of 500 series for nothing. */
const readByRules = new Set(
    seriesNames(
        metricsOf("0.13.0").filter(({ name }) =>
            /num_requests|kv_cache_usage|preemptions|generation_tokens|request_success|first_token|inter_token|http_requests|process_start/.test(
                name,
            ),
        ),
    ),
);

/** The labels of an app that somebody made by hand. */
export const appOfNoStack = {
    ...{ app: "22222222-3333-4444-8555-666666666666", name: "by-hand" },
    ...{ region: "GRA", flavor: "h100-1-gpu" },
};

/** What Prometheus holds of a model: replicas that idle, until something is changed. */
export class AlertWorld {
    readonly series: InputSeries = {};

    constructor(
        readonly model: WatchedModel,
        readonly replicas: number,
        /** Series of vLLM's page that there are. */
        page: ReadonlySet<string> = readByRules,
        instance = "app.example.net",
    ) {
        const job = `vllm-${model.name}`;
        const target = (jobName: string) => ({ job: jobName, instance });
        this.scraped(target(job));
        for (let index = 0; index < replicas; index++) {
            const replica: Record<string, string> = model.relayed ? { replica: replicaName(index) } : {};
            for (const [series, value] of samples(recordedPage("0.13.0"))) {
                const [name, labels = ""] = series.replace(/}$/, "").split("{");
                if (!page.has(name)) continue;
                // The page was written under way; here nothing is.
                const idle = /num_requests_(running|waiting)|kv_cache_usage/.test(name) ? 0 : value;
                this.add(name, { ...target(job), ...replica, ...parseLabels(labels) }, steady(idle));
            }
        }
        const claim = {
            namespace: "monitoring",
            persistentvolumeclaim: "prometheus-monitoring-prometheus-db-prometheus-monitoring-prometheus-0",
        };
        this.add("kubelet_volume_stats_available_bytes", claim, steady(40e9));
        this.add("kubelet_volume_stats_capacity_bytes", claim, steady(50e9));
        if (model.controlled) this.keptBy({ job: "model-controller", instance: "vllm-controller:9400" });
        if (model.frontDoor) this.hasDoor();
        if (!model.relayed) return;
        const relay = { job: "replica-relay", instance: "vllm-relay:9400", model: model.name };
        if (model.replicas.min > 0) this.scraped(target(`${job}-direct`));
        else this.maySleep(relay);
        this.scraped(relay);
        const own = relay;
        this.add("vllm_relay_blind", own, steady(0));
        this.add("vllm_relay_certificate_expiry_timestamp_seconds", own, steady(60 * 86400));
        for (const kind of ["unauthorized", "timeout", "status", "connection", "certificate"]) {
            this.add("vllm_relay_failures_total", { ...own, kind }, steady(0));
        }
        this.add("vllm_relay_completion_success", own, steady(1));
        for (let index = 0; index < replicas; index++) {
            this.add("vllm_relay_sample_age_seconds", { ...own, replica: replicaName(index) }, steady(5));
        }
    }

    /** What the relay tells of a model that may sleep, and is awake. */
    private maySleep(own: Record<string, string>): void {
        for (const phase of phases) this.add("vllm_relay_phase", { ...own, phase }, steady(Number(phase === "awake")));
        this.add("vllm_relay_app_replicas", own, steady(this.replicas));
        this.add("vllm_relay_state_age_seconds", own, steady(5));
    }

    /** What its front door tells: it is there, and one consumer's requests are answered. */
    private hasDoor(): void {
        const own = { job: "front-door", instance: "vllm-door-metrics:9400", model: this.model.name };
        const consumer = { ...own, consumer: "search" };
        this.scraped(own);
        for (const code of ["200", "401", "500", "503"]) {
            this.add("envoy_vhost_route_upstream_rq", { ...consumer, code }, growing(code === "200" ? 60 : 0));
        }
        for (const [status, perMinute] of [
            ["2", 60],
            ["4", 0],
            ["5", 0],
        ] as const) {
            const labels = { envoy_http_conn_manager_prefix: "door", envoy_response_code_class: status };
            this.add("envoy_http_downstream_rq_xx", { ...own, ...labels }, growing(perMinute));
        }
        for (const name of ["retry_overflow", "retry_limit_exceeded"]) {
            this.add(`envoy_vhost_route_upstream_rq_${name}`, consumer, steady(0));
        }
        this.add("envoy_http_local_rate_limit_rate_limited", consumer, steady(0));
        this.add("envoy_cluster_circuit_breakers_default_remaining_retries", own, steady(100));
        this.add("envoy_cluster_upstream_rq_active", own, steady(20));
        this.add("envoy_cluster_upstream_cx_connect_fail", own, steady(0));
        this.uses(own, "search", { seconds: 3.005, prompt: 200, generated: 100 });
    }

    /** What a consumer's requests, one a second, take each. */
    private uses(
        own: Record<string, string>,
        consumer: string,
        { seconds, prompt, generated, uncounted = 0 }: Record<string, number>,
    ): void {
        const labels = { ...own, consumer };
        this.add("envoy_door_request_milliseconds_total", labels, growing(60 * 1000 * seconds));
        this.add("envoy_door_held_milliseconds_total", labels, growing(60 * 5));
        const times = { first_byte: 200, held: 5 };
        for (const [name, milliseconds] of Object.entries(times)) {
            for (const le of ["1.0", "500.0", "10000.0", "+Inf"]) {
                const within = le === "+Inf" || milliseconds <= Number(le);
                this.add(`envoy_door_${name}_milliseconds_bucket`, { ...labels, le }, growing(within ? 60 : 0));
            }
            this.add(`envoy_door_${name}_milliseconds_sum`, labels, growing(60 * milliseconds));
            this.add(`envoy_door_${name}_milliseconds_count`, labels, growing(60));
        }
        this.add("envoy_door_prompt_tokens", labels, growing(60 * prompt));
        this.add("envoy_door_generated_tokens", labels, growing(60 * generated));
        this.add("envoy_door_answers_without_usage", labels, growing(60 * uncounted));
    }

    /** Another consumer of its front door, who asks once a second: what each request takes. */
    alsoUsedBy(
        consumer: string,
        each: { seconds: number; prompt: number; generated: number; uncounted?: number },
    ): this {
        const own = { job: "front-door", instance: "vllm-door-metrics:9400", model: this.model.name };
        this.uses(own, consumer, each);
        return this;
    }

    /** Its front door answers every request so. */
    doorAnswers(code: "401" | "500" | "503"): this {
        for (const [series, labels] of [
            ["envoy_vhost_route_upstream_rq", { code: "200" }],
            ["envoy_http_downstream_rq_xx", { envoy_response_code_class: "2" }],
        ] as const) {
            this.set(series, steady(60), labels);
        }
        this.set("envoy_vhost_route_upstream_rq", growing(60), { code });
        return this.set("envoy_http_downstream_rq_xx", growing(60), { envoy_response_code_class: code[0] });
    }

    /** What its controller tells: all is as wanted, and little is spent. */
    private keptBy(controller: Record<string, string>): void {
        const own = { ...controller, model: this.model.name };
        this.scraped(controller);
        this.add("vllm_controller_applied", own, steady(1));
        this.add("vllm_controller_last_success_timestamp_seconds", own, growing(60));
        this.add("vllm_controller_lease_end_timestamp_seconds", own, steady(30 * 86400));
        for (const why of ["lease", "spend"]) this.add("vllm_controller_stopped", { ...own, why }, steady(0));
        this.add("vllm_controller_spend_euros", { ...own, month: "1970-01" }, steady(100));
        this.add("vllm_controller_spend_limit_euros", controller, steady(1000));
        this.add("vllm_controller_spend_known", controller, steady(1));
    }

    /** An app beside the stack's, whose replicas the controller tells. */
    ofNoStack(replicas: string, euros?: string): this {
        const controller = { job: "model-controller", instance: "vllm-controller:9400", ...appOfNoStack };
        this.add("vllm_controller_unowned_app_replicas", controller, replicas);
        if (euros) this.add("vllm_controller_unowned_app_euros_per_hour", controller, euros);
        return this;
    }

    /** What Prometheus notes of each scrape. */
    private scraped(labels: Record<string, string>): void {
        this.add("up", labels, steady(1));
        this.add("scrape_duration_seconds", labels, steady(0.1));
        this.add("scrape_samples_scraped", labels, steady(350));
    }

    private add(name: string, labels: Record<string, string>, values: string): void {
        const text = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
        this.series[`${name}{${text.join(",")}}`] = values;
    }

    /** Gives all series of this name, or those whose labels hold these, other samples; `undefined` removes them. */
    set(name: string, values: string | undefined, labels: Record<string, string> = {}): this {
        const parts = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
        const hit = Object.keys(this.series).filter(
            (key) => key.startsWith(`${name}{`) && parts.every((part) => key.includes(part)),
        );
        if (hit.length === 0) throw new Error(`no series ${name} with ${parts.join(",")}`);
        for (const key of hit) {
            if (values === undefined) delete this.series[key];
            else this.series[key] = values;
        }
        return this;
    }

    /** So many requests a minute at each replica, of which these shares are slow or fail. */
    traffic({ requests = 60, firstTokenSlow = 0, tokensSlow = 0, failed = 0 } = {}): this {
        const call = { handler: "/v1/chat/completions" };
        const served = requests * (1 - failed);
        this.set("http_requests_total", growing(served), { ...call, status: "2xx" });
        this.set("http_requests_total", growing(requests * failed), { ...call, status: "5xx" });
        this.set("vllm:request_success_total", growing(served), { finished_reason: "stop" });
        this.set("vllm:generation_tokens_total", growing(100 * served));
        this.histogram("vllm:request_generation_tokens", 2, served, 0);
        this.histogram("vllm:time_to_first_token_seconds", 1, served, firstTokenSlow);
        this.histogram("vllm:inter_token_latency_seconds", 0.05, 100 * served, tokensSlow);
        return this;
    }

    /**
     * From that minute on the engines take requests and make no step, while their API answers: gauges stay as they are,
     * calls are answered no more, and nothing that counts grows.
     */
    stalled(minute: number): this {
        for (const [key, values] of Object.entries(this.series)) {
            const [, perMinute] = /^0\+(\S+)x/.exec(values) ?? [];
            if (/^(vllm:|http_)/.test(key) && perMinute !== undefined) {
                this.series[key] = `0+${perMinute}x${minute} ${Number(perMinute) * minute}x${minutes}`;
            }
        }
        this.set("vllm:num_requests_running", `3x${minute} 8x${minutes}`);
        return this.set("vllm:num_requests_waiting", `0x${minute} 5x${minutes}`);
    }

    /**
     * For these minutes nothing answers at the app's address, for this reason (a kind of the relay's): series of the replicas
     * end, and those that come afterwards are new processes.
     */
    unreachable(from: number, to = minutes, kind = "timeout"): this {
        this.change(/^(vllm:|http_|process_|vllm_relay_sample_age)/, (values) => interrupted(values, from, to));
        this.change(/^up\{job="vllm-/, () => `1x${from} 0x${to - from - 1} 1x${minutes}`);
        if (!this.model.relayed) return this;
        this.set("vllm_relay_blind", `0x${from} 1x${to - from - 1} 0x${minutes}`);
        const failed = 16 * (to - from);
        return this.set("vllm_relay_failures_total", `0x${from} 16+16x${to - from - 1} ${failed}x${minutes}`, { kind });
    }

    /** It sleeps from that minute on, is asked at the second, and serves from the third on; then as it was at first. */
    sleeps(from: number, wakes = minutes, serves = minutes): this {
        this.change(/^(vllm:|http_|process_|vllm_relay_sample_age|vllm_relay_completion)/, (values) =>
            interrupted(values, from, serves),
        );
        const during = (...[awake, asleep, waking]: number[]): string =>
            `${awake}x${from} ${asleep}x${wakes - from - 1} ${waking}x${serves - wakes} ${awake}x${minutes}`;
        this.set("vllm_relay_phase", during(1, 0, 0), { phase: "awake" });
        this.set("vllm_relay_phase", during(0, 1, 0), { phase: "asleep" });
        this.set("vllm_relay_phase", during(0, 0, 1), { phase: "waking" });
        return this.set("vllm_relay_app_replicas", during(this.replicas, 0, 0));
    }

    /** Its lease ends at that minute; at the second it is extended, which starts the controller anew, and it serves from the third on. */
    leaseEnds(from: number, extended = minutes, serves = minutes): this {
        const values = `0x${from} 1x${extended - from - 1} stale 0x${minutes}`;
        this.set("vllm_controller_stopped", values, { why: "lease" });
        const state = (...[before, meanwhile]: number[]): string =>
            `${before}x${from} ${meanwhile}x${serves - from - 1} ${before}x${minutes}`;
        if (this.model.replicas.min === 0) {
            this.set("vllm_relay_phase", state(1, 0), { phase: "awake" });
            this.set("vllm_relay_phase", state(0, 1), { phase: "down" });
            this.set("vllm_relay_app_replicas", state(this.replicas, 0));
        }
        return this.unreachable(from, serves, "status");
    }

    /** That replica is gone from that minute on. */
    unreachableReplica(index: number, minute: number): this {
        const own = new RegExp(`replica="${replicaName(index)}"`);
        return this.change(own, (values) => `${upTo(values, minute)} stale`);
    }

    /** That replica answers from that minute on, and not before. */
    startsReplica(index: number, minute: number): this {
        return this.change(new RegExp(`replica="${replicaName(index)}"`), (values) => `_x${minute} ${values}`);
    }

    /** So long the app's address is not known yet, and then the model is loaded until it answers. */
    begins(from: number, serves: number): this {
        this.change(/^(vllm:|http_|process_|vllm_relay_sample_age)/, (values) => `_x${serves} ${values}`);
        this.change(/^up\{job="vllm-/, () => `_x${from} 0x${serves - from - 1} 1x${minutes}`);
        if (!this.model.relayed) return this;
        return this.set("vllm_relay_blind", `0x${from} 1x${serves - from - 1} 0x${minutes}`);
    }

    /** From that minute on nothing is scraped at the app's address any more: its jobs are gone, or have another one. */
    unscraped(minute: number): this {
        return this.change(/^(vllm:|http_|process_|up\{job="vllm-)/, (values) => `${upTo(values, minute)} stale`);
    }

    /** What Prometheus did not record, since it did not run: no series ends in that. */
    unrecorded(from: number, to: number): this {
        return this.change(/./, (values) => missing(values, from, to));
    }

    /** The same for so many hours in all. */
    lasting(hours: number): this {
        return this.change(/./, (values) => values.replace(new RegExp(`x${minutes}$`), `x${hours * 60}`));
    }

    /** The relay's probes alone, each answered with one token. */
    probed(): this {
        const perMinute = 60 / 45;
        this.set("vllm:request_generation_tokens_bucket", growing(perMinute));
        return this.set("vllm:request_generation_tokens_count", growing(perMinute));
    }

    /** Gives all series of these names and labels the samples that come of theirs. */
    private change(names: RegExp, of: (values: string) => string): this {
        for (const [key, values] of Object.entries(this.series)) if (names.test(key)) this.series[key] = of(values);
        return this;
    }

    /** Everything that counts grows, and every gauge of the model's page is 1. */
    busy(): this {
        for (const key of Object.keys(this.series).filter((series) => /^(vllm:|http_)/.test(series))) {
            this.series[key] = /(_total|_count|_sum|_bucket)\{/.test(key) ? growing(60) : steady(1);
        }
        return this;
    }

    private histogram(name: string, target: number, perMinute: number, slow: number): void {
        for (const key of Object.keys(this.series).filter((series) => series.startsWith(`${name}_bucket{`))) {
            const bound = Number(/le="([^"]+)"/.exec(key)![1].replace("+Inf", "Infinity"));
            this.series[key] = growing(bound < target ? 0 : bound < 80 ? perMinute * (1 - slow) : perMinute);
        }
        this.set(`${name}_count`, growing(perMinute));
    }
}

/** The first minutes of samples that stay, or grow evenly. */
function upTo(values: string, minute: number): string {
    const [, start, step = ""] = /^([\d.e]+)(\+[\d.e]+)?x\d+$/.exec(values) ?? [];
    if (start === undefined) throw new Error(`neither steady nor growing: ${values}`);
    return `${start}${step}x${minute}`;
}

/** Ends at one minute, and begins again as it began at the other. */
function interrupted(values: string, from: number, to: number): string {
    return `${upTo(values, from)} stale _x${Math.max(to - from - 2, 0)} ${values}`;
}

/** Goes on, and lacks the samples in between. */
function missing(values: string, from: number, to: number): string {
    const [, start, step = "+0"] = /^([\d.e]+)(\+[\d.e]+)?x\d+$/.exec(values) ?? [];
    return `${upTo(values, from)} _x${to - from - 1} ${Number(start) + Number(step) * to}${step}x${minutes}`;
}

/** Name of a replica, as the relay gives it. */
export function replicaName(index: number): string {
    return `replica-${index}`;
}

function parseLabels(text: string): Record<string, string> {
    return Object.fromEntries([...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, value]) => [label, value]));
}
