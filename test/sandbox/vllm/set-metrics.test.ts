import { expect, it } from "vitest";
import { replicaMetrics } from "../../../sandbox/vllm/metrics";
import { readSetMetric, SetMetrics } from "../../../sandbox/vllm/set-metrics";
import { readyReplica } from "./replica";

let now = 0;
const metrics = replicaMetrics({
    modelName: "a/b",
    maxModelLen: 4096,
    startTime: 1,
    created: false,
    now: () => 1,
    engine: true,
    hidden: false,
    cacheConfig: {},
});

/** The lines of a page with these, `seconds` after they were set, that begin with `prefix`. */
function lines(set: SetMetrics, prefix: string, seconds: number): string[] {
    now += seconds;
    return set
        .page(metrics.page())
        .split("\n")
        .filter((line) => line.startsWith(prefix));
}

it("a gauge shows the value while it lasts", () => {
    const set = new SetMetrics(() => now);
    set.set([readSetMetric("vllm:num_requests_waiting=50")]);
    const series = 'vllm:num_requests_waiting{engine="0",model_name="a/b"}';
    expect(lines(set, "vllm:num_requests_waiting", 0)).toEqual([`${series} 50.0`]);
    set.set([]);
    expect(lines(set, "vllm:num_requests_waiting", 1)).toEqual([`${series} 0.0`]);
});

it("a counter grows by so much a second, and keeps what it has when that ends", () => {
    const set = new SetMetrics(() => now);
    const name = "vllm:request_success_total";
    set.set([readSetMetric(`${name}{finished_reason="error"}=2`)]);
    const error = `${name}{engine="0",finished_reason="error",model_name="a/b"}`;
    expect(lines(set, error, 3)).toEqual([`${error} 6.0`]);
    set.set([]);
    expect(lines(set, error, 5)).toEqual([`${error} 6.0`]);
    expect(lines(set, name, 0).filter((line) => !line.endsWith(" 0.0"))).toHaveLength(1);
});

it("a histogram gets one observation a second", () => {
    const set = new SetMetrics(() => now);
    set.set([readSetMetric("vllm:time_to_first_token_seconds=30")]);
    const found = lines(set, "vllm:time_to_first_token_seconds", 4.5);
    const value = (part: string): string => found.find((line) => line.includes(part))!.split(" ")[1];
    expect([value('le="20.0"'), value('le="40.0"'), value('le="+Inf"')]).toEqual(["0.0", "4.0", "4.0"]);
    expect([value("_count"), value("_sum")]).toEqual(["4.0", "120.0"]);
});

it("series that only requests bring are made, with all their labels", () => {
    const set = new SetMetrics(() => now);
    const labels = 'handler="/v1/chat/completions",method="POST",status="5xx"';
    set.set([readSetMetric(`http_requests_total{${labels}}=1`)]);
    expect(lines(set, "http_requests_total", 2)).toEqual([`http_requests_total{${labels}} 2.0`]);
    set.set([readSetMetric('http_request_duration_seconds{handler="/x",method="GET"}=0.3')]);
    expect(lines(set, 'http_request_duration_seconds_bucket{handler="/x",le="0.5"', 1)).toHaveLength(1);
});

it.each([
    ["vllm:num_requests_waiting", "write NAME=VALUE"],
    ["vllm:num_requests_wating=5", 'there is no metric "vllm:num_requests_wating"; there is vllm:num_requests_running'],
    ["vllm:num_preemptions=1", "vllm:num_preemptions_total"],
    ["vllm:cache_config_info=1", "there is no metric"],
    ["vllm:num_requests_waiting=many", '"many" is no number'],
    ["vllm:num_preemptions_total=-1", "a counter takes nothing below 0"],
    ['vllm:num_requests_waiting{pod="a"}=1', 'has no label "pod"; it has engine, model_name'],
    ["http_requests_total{status=5xx}=1", "give all of its labels, handler, method too"],
])("%s is refused with what is possible", (text, message) => {
    expect(() => readSetMetric(text)).toThrow(message);
});

it("is on the page of a replica, whose own gauges it does not touch", async () => {
    const { replica, metric } = await readyReplica();
    const none = { slowness: 1, hanging: false, stalled: false, errors: [], metrics: [] };
    replica.impair({ ...none, metrics: [readSetMetric("vllm:kv_cache_usage_perc=0.97")] });
    expect(await metric("vllm:kv_cache_usage_perc")).toBe(0.97);
    expect(replica.load.kvUsage).toBe(0);
    replica.impair(none);
    expect(await metric("vllm:kv_cache_usage_perc")).toBe(0);
    await replica.stop();
});
