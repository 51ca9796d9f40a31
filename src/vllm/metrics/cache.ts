import { engine, type Metric } from "./metric";

/** The KV cache, and what is found in it and in the other caches. */
export const cacheMetrics = {
    kvCacheUsage: {
        name: "vllm:kv_cache_usage_perc",
        type: "gauge",
        unit: "percentunit",
        labels: engine,
        max: 1,
        meaning:
            "Share of the KV cache in use, 0 to 1. High alone is healthy; high with preemptions is too little memory.",
    },
    prefixCacheQueries: {
        name: "vllm:prefix_cache_queries_total",
        type: "counter",
        unit: "short",
        labels: engine,
        meaning: "Prompt tokens looked up in the prefix cache.",
    },
    prefixCacheHits: {
        name: "vllm:prefix_cache_hits_total",
        type: "counter",
        unit: "short",
        labels: engine,
        meaning: "Prompt tokens found in the prefix cache, in whole blocks.",
    },
    externalPrefixCacheQueries: {
        name: "vllm:external_prefix_cache_queries_total",
        type: "counter",
        unit: "short",
        labels: engine,
        meaning: "Prompt tokens looked up through a KV connector; 0 without one.",
    },
    externalPrefixCacheHits: {
        name: "vllm:external_prefix_cache_hits_total",
        type: "counter",
        unit: "short",
        labels: engine,
        meaning: "Prompt tokens found through a KV connector; 0 without one.",
    },
    mmCacheQueries: {
        name: "vllm:mm_cache_queries_total",
        type: "counter",
        unit: "short",
        labels: engine,
        meaning: "Images and other items looked up in the cache of processed inputs.",
    },
    mmCacheHits: {
        name: "vllm:mm_cache_hits_total",
        type: "counter",
        unit: "short",
        labels: engine,
        meaning: "Images and other items found in the cache of processed inputs.",
    },
    cacheConfigInfo: {
        name: "vllm:cache_config_info",
        type: "gauge",
        unit: "short",
        // And every other field of the version's cache configuration.
        labels: ["engine", "block_size", "num_gpu_blocks", "cache_dtype", "enable_prefix_caching"],
        max: 1,
        meaning: "1; the labels are the configuration of the KV cache.",
    },
} as const satisfies Record<string, Metric>;
