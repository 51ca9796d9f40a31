import type { Metric } from "./metric";

const httpFine = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60,
] as const;

/**
 * Of the HTTP server and its process, which is not the engine's. Series with labels appear with the first request.
 * Probes and /metrics itself are not counted; a streamed answer is 2xx as soon as it starts.
 */
export const serverMetrics = {
    httpRequests: {
        name: "http_requests_total",
        type: "counter",
        unit: "short",
        labels: ["handler", "method", "status"],
        meaning: "Answered requests by status class (2xx, 4xx, 5xx). Refused ones (4xx) are counted here only.",
    },
    httpRequestDurationFine: {
        name: "http_request_duration_highr_seconds",
        type: "histogram",
        unit: "s",
        labels: [],
        buckets: httpFine,
        meaning: "Time of a request of any kind, streaming included.",
    },
    httpRequestDuration: {
        name: "http_request_duration_seconds",
        type: "histogram",
        unit: "s",
        labels: ["handler", "method"],
        buckets: [0.1, 0.5, 1],
        meaning: "Time of a request; the buckets are too coarse for percentiles.",
    },
    httpRequestSize: {
        name: "http_request_size_bytes",
        type: "summary",
        unit: "bytes",
        labels: ["handler"],
        meaning: "Size of requests, by their header.",
    },
    httpResponseSize: {
        name: "http_response_size_bytes",
        type: "summary",
        unit: "bytes",
        labels: ["handler"],
        meaning: "Size of answers, by their header; a streamed answer counts 0.",
    },
    processStartTime: {
        name: "process_start_time_seconds",
        type: "gauge",
        unit: "dateTimeFromNow",
        labels: [],
        meaning: "When the server process started: it tells replicas apart.",
    },
    processCpu: {
        name: "process_cpu_seconds_total",
        type: "counter",
        unit: "s",
        labels: [],
        meaning: "CPU time of the server process.",
    },
    processResidentMemory: {
        name: "process_resident_memory_bytes",
        type: "gauge",
        unit: "bytes",
        labels: [],
        meaning: "Memory of the server process.",
    },
    processVirtualMemory: {
        name: "process_virtual_memory_bytes",
        type: "gauge",
        unit: "bytes",
        labels: [],
        meaning: "Address space of the server process.",
    },
    processOpenFds: {
        name: "process_open_fds",
        type: "gauge",
        unit: "short",
        labels: [],
        meaning: "Open file descriptors of the server process, one for each connection among them.",
    },
    processMaxFds: {
        name: "process_max_fds",
        type: "gauge",
        unit: "short",
        labels: [],
        meaning: "File descriptors that the server process may open.",
    },
    pythonInfo: {
        name: "python_info",
        type: "gauge",
        unit: "short",
        labels: ["implementation", "major", "minor", "patchlevel", "version"],
        max: 1,
        meaning: "1; the labels are the version of Python.",
    },
    pythonGcObjectsCollected: {
        name: "python_gc_objects_collected_total",
        type: "counter",
        unit: "short",
        labels: ["generation"],
        meaning: "Objects that the garbage collector freed.",
    },
    pythonGcObjectsUncollectable: {
        name: "python_gc_objects_uncollectable_total",
        type: "counter",
        unit: "short",
        labels: ["generation"],
        meaning: "Objects that the garbage collector could not free.",
    },
    pythonGcCollections: {
        name: "python_gc_collections_total",
        type: "counter",
        unit: "short",
        labels: ["generation"],
        meaning: "Runs of the garbage collector.",
    },
} as const satisfies Record<string, Metric>;
