/** What is asked for but does not exist in any supported version, and what to use. */
export const goneMetrics: Record<string, string> = {
    "vllm:gpu_cache_usage_perc": "vllm:kv_cache_usage_perc, since 0.12",
    "vllm:gpu_prefix_cache_queries_total": "vllm:prefix_cache_queries_total, since 0.12",
    "vllm:gpu_prefix_cache_hits_total": "vllm:prefix_cache_hits_total, since 0.12",
    "vllm:gpu_prefix_cache_hit_rate": "the rates of vllm:prefix_cache_hits_total and vllm:prefix_cache_queries_total",
    "vllm:num_requests_swapped": "vllm:num_preemptions_total: requests are computed again instead of swapped",
    "vllm:cpu_cache_usage_perc": "vllm:kv_cache_usage_perc: there is one cache",
    "vllm:time_in_queue_requests": "vllm:request_queue_time_seconds",
    "vllm:avg_prompt_throughput_toks_per_s": "the rate of vllm:prompt_tokens_total",
    "vllm:avg_generation_throughput_toks_per_s": "the rate of vllm:generation_tokens_total",
};
