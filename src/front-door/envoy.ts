/**
 * The front door as Envoy's configuration: what it listens to, whom it lets in, how long it holds a request and how many.
 * Pure data; docs/front-door.md says what it does, docs/decisions/21-front-door.md why it is Envoy.
 *
 * Two of the files are read once (`envoy.json`) or change in place (the others, which Envoy watches): a new address of the
 * app, a client key, the app's token or a certificate cut no request.
 */

import { countUsage, usageLog } from "./usage";

/** A front door as far as it is no secret. */
export interface DoorConfig {
    /** Address of the app as the platform gives it. */
    url: string;
    /** For how long a request waits for a replica. */
    holdSeconds: number;
    /** How many may wait. */
    maxWaiting: number;
    /** Whether it serves TLS. */
    tls: boolean;
}

/** What is secret of it. */
export interface DoorSecrets {
    /** By the consumer's name: its key, and how often it may ask. */
    clients: Record<string, { key: string; requestsPerMinute?: number }>;
    /** Opens the app. */
    token: string;
    /** PEM. */
    tls?: { certificate: string; key: string };
    holdSeconds: number;
}

/** Folders in the container: the ConfigMap's and the Secret's. */
export const filesFolder = "/etc/vllm-front-door/files";
export const secretsFolder = "/etc/vllm-front-door/secrets";

/** Read once, at the start. */
export const bootstrapFile = "envoy.json";
const appFile = "app.json";
const routesFile = "routes.json";
const tokenFile = "token.json";
const tlsFile = "tls.json";

/** Ports in the container. Only this pod reaches Envoy's administration: it could end it. */
export const doorPort = 8080;
export const metricsPort = 9400;
export const adminPort = 9901;

/** Certificates of the public authorities, in Envoy's image. */
export const authorities = "/etc/ssl/certs/ca-certificates.crt";

/** Bytes of a request's body that are kept for another try; a larger one is tried once. */
export const keptBodyBytes = 4 * 1024 ** 2;

/** Until a replica says a word more, once it has the request. As long as the platform's gateway is taken to wait. */
const silenceSeconds = 600;

/** Content of the ConfigMap. */
export function doorFiles(config: DoorConfig): Record<string, string> {
    return {
        [bootstrapFile]: json(bootstrap(config)),
        [appFile]: json(resources("cluster.v3.Cluster", appCluster(config))),
    };
}

/** Content of the Secret. */
export function doorSecrets({ clients, token, tls, holdSeconds }: DoorSecrets): Record<string, string> {
    const secret = (name: string, content: object) =>
        json({ resources: [{ "@type": `${types}.extensions.transport_sockets.tls.v3.Secret`, name, ...content }] });
    return {
        [routesFile]: json(resources("route.v3.RouteConfiguration", routeTable(clients, holdSeconds))),
        [tokenFile]: secret("app-token", { generic_secret: { secret: { inline_string: `Bearer ${token}` } } }),
        ...(tls && {
            [tlsFile]: secret("tls", {
                tls_certificate: {
                    certificate_chain: { inline_string: tls.certificate },
                    private_key: { inline_string: tls.key },
                },
            }),
        }),
    };
}

/** MiB that Envoy may take: its own, and what waits. */
export function doorMemory({ maxWaiting }: Pick<DoorConfig, "maxWaiting">): number {
    return 192 + Math.ceil((maxWaiting * keptBodyBytes) / 1024 ** 2);
}

const types = "type.googleapis.com/envoy";
const json = (content: object): string => JSON.stringify(content, undefined, 1);

/** As Envoy takes what it watches: a file of resources. */
function resources(type: string, content: object) {
    return { resources: [{ "@type": `${types}.config.${type}`, ...content }] };
}

/** A file that Envoy reads again when another one is moved into its folder, as Kubernetes does with what it mounts. */
function watched(folder: string, file: string) {
    return { path_config_source: { path: `${folder}/${file}`, watched_directory: { path: folder } } };
}

function extension(name: string, type: string, content: object = {}) {
    return { name, typed_config: { "@type": `${types}.extensions.${type}`, ...content } };
}

function socket(address: string, port: number) {
    return { socket_address: { address, port_value: port } };
}

function bootstrap(config: DoorConfig) {
    return {
        node: { id: "front-door", cluster: "front-door" },
        admin: { address: socket("127.0.0.1", adminPort), ignore_global_conn_limit: true },
        dynamic_resources: { cds_config: watched(filesFolder, appFile) },
        static_resources: {
            listeners: [doorListener(config), metricsListener()],
            clusters: [
                {
                    name: "admin",
                    load_assignment: { cluster_name: "admin", endpoints: [endpoint("127.0.0.1", adminPort)] },
                },
            ],
        },
        // Of some thousand series those that say something of a request.
        stats_config: { stats_matcher: { inclusion_list: { patterns: counted } } },
        overload_manager: overload(config),
    };
}

const counted = [
    ...[
        "cluster.app.upstream_rq_active",
        "cluster.app.upstream_rq_retry",
        "cluster.app.upstream_cx_connect_fail",
        "cluster.app.circuit_breakers.default.remaining_retries",
        "http.door.downstream_rq_active",
        "http.door.downstream_rq_total",
        "http.door.downstream_rq_2xx",
        "http.door.downstream_rq_4xx",
        "http.door.downstream_rq_5xx",
        "http.door.downstream_cx_active",
        "vhost.app.route",
        "door.",
        "server.uptime",
        "server.memory_allocated",
    ].map((prefix) => ({ prefix })),
    { suffix: ".http_local_rate_limit.rate_limited" },
];

function endpoint(address: string, port: number) {
    return { lb_endpoints: [{ endpoint: { address: socket(address, port) } }] };
}

/** Before the memory is full it turns new requests away, rather than end with those that it has. */
function overload(config: DoorConfig) {
    const action = (name: string, at: number) => ({
        name: `envoy.overload_actions.${name}`,
        triggers: [{ name: "envoy.resource_monitors.fixed_heap", threshold: { value: at } }],
    });
    return {
        refresh_interval: "0.25s",
        resource_monitors: [
            extension("envoy.resource_monitors.fixed_heap", "resource_monitors.fixed_heap.v3.FixedHeapConfig", {
                max_heap_size_bytes: String(doorMemory(config) * 1024 ** 2),
            }),
            extension(
                "envoy.resource_monitors.global_downstream_max_connections",
                "resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                { max_active_downstream_connections: "5000" },
            ),
        ],
        actions: [action("shrink_heap", 0.85), action("stop_accepting_requests", 0.95)],
    };
}

function doorListener({ holdSeconds, tls }: DoorConfig) {
    const manager = extension(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        {
            stat_prefix: "door",
            rds: { route_config_name: "door", config_source: watched(secretsFolder, routesFile) },
            // Nobody is trusted with Envoy's own headers, which would say how often to try.
            use_remote_address: true,
            internal_address_config: { cidr_ranges: [{ address_prefix: "255.255.255.255", prefix_len: 32 }] },
            normalize_path: true,
            merge_slashes: true,
            path_with_escaped_slashes_action: "REJECT_REQUEST",
            request_headers_timeout: "10s",
            // For the whole of a request to come in.
            request_timeout: "120s",
            stream_idle_timeout: `${holdSeconds + silenceSeconds}s`,
            // A client that keeps its connection comes to meet a new door.
            common_http_protocol_options: { idle_timeout: "300s", max_connection_duration: `${silenceSeconds}s` },
            // Told with an answer, so that no request is on its way when it is closed.
            http1_safe_max_connection_duration: true,
            http2_protocol_options: { max_concurrent_streams: 200 },
            access_log: [usageLog()],
            local_reply_config: { mappers: [sayWhen] },
            http_filters: doorFilters(),
        },
    );
    const secured = extension("envoy.transport_sockets.tls", "transport_sockets.tls.v3.DownstreamTlsContext", {
        common_tls_context: {
            alpn_protocols: ["h2", "http/1.1"],
            tls_certificate_sds_secret_configs: [{ name: "tls", sds_config: watched(secretsFolder, tlsFile) }],
        },
    });
    return {
        name: "door",
        address: socket("0.0.0.0", doorPort),
        filter_chains: [
            { filters: [manager], ...(tls && { transport_socket: secured, transport_socket_connect_timeout: "10s" }) },
        ],
    };
}

function doorFilters() {
    const token = extension("envoy.http.injected_credentials.generic", "http.injected_credentials.generic.v3.Generic", {
        credential: { name: "app-token", sds_config: watched(secretsFolder, tokenFile) },
    });
    return [
        extension("envoy.filters.http.lua", "filters.http.lua.v3.Lua", {
            default_source_code: { inline_string: onAnswer },
        }),
        // Limits nothing by itself: a consumer's route says of how many.
        extension("envoy.filters.http.local_ratelimit", "filters.http.local_ratelimit.v3.LocalRateLimit", {
            stat_prefix: unlimited,
        }),
        extension("envoy.filters.http.credential_injector", "filters.http.credential_injector.v3.CredentialInjector", {
            credential: token,
            overwrite: true,
            allow_request_without_credential: false,
        }),
        extension("envoy.filters.http.router", "filters.http.router.v3.Router", { suppress_envoy_headers: true }),
    ];
}

/** Under which the filter counts what it limits without a route's limit: nothing. */
export const unlimited = "unlimited";

/** Seconds after which a client that was turned away may ask again. */
export const retryAfter = 30;

/** Of Envoy's own 503, also where it turns away before any filter, for want of memory. */
const sayWhen = {
    filter: { status_code_filter: { comparison: { op: "EQ", value: { default_value: 503, runtime_key: "unused" } } } },
    headers_to_add: added({ "retry-after": String(retryAfter) }),
};

/**
 * Counts the tokens of answers, and says what a client gets in place of others. An app that is gone answers 404, as would
 * whatever stands in its way; vLLM's own says which model or path it does not have.
 */
const onAnswer = `
${countUsage}
function envoy_on_response(answer)
  local status = answer:headers():get(":status")
  if status == "200" then return count_usage(answer) end
  if status == "404" then
    local body = answer:body(true)
    local text = body:length() > 0 and body:getBytes(0, body:length()) or ""
    if text:find("NotFoundError", 1, true) or text:find('"detail"', 1, true) then return end
    local message = '${JSON.stringify(failure("the model is not there now; ask again later", "service_unavailable"))}'
    local length = body:setBytes(message)
    status = "503"
    answer:headers():replace(":status", status)
    answer:headers():replace("content-type", "application/json")
    answer:headers():replace("content-length", tostring(length))
  end
  if status == "503" and not answer:headers():get("retry-after") then
    answer:headers():add("retry-after", "${retryAfter}")
  end
end
`;

/** An error as clients of OpenAI's API read it. */
function failure(message: string, type: string) {
    return { error: { message, type, param: null, code: type } };
}

/** What others in the cluster may see of Envoy's administration. */
function metricsListener() {
    const page = (path: string, rewritten: string) => ({
        match: { path },
        route: { cluster: "admin", prefix_rewrite: rewritten },
    });
    const manager = extension(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        {
            stat_prefix: "metrics",
            http_filters: [extension("envoy.filters.http.router", "filters.http.router.v3.Router")],
            route_config: {
                name: "metrics",
                virtual_hosts: [
                    {
                        name: "metrics",
                        domains: ["*"],
                        routes: [page("/metrics", "/stats/prometheus"), page("/healthz", "/ready")],
                    },
                ],
            },
        },
    );
    return {
        name: "metrics",
        address: socket("0.0.0.0", metricsPort),
        filter_chains: [{ filters: [manager] }],
        // A door that is full is not dead: the kubelet would end it, and with it all that it has.
        ignore_global_conn_limit: true,
        bypass_overload_manager: true,
    };
}

/**
 * The app. It is asked only when somebody asks the door: a health check would wake it, and keep it awake. Each request has a
 * connection of its own, since one that is kept leads to the replica of before, also when others have come.
 * @throws Error when its address is no http or https URL
 */
function appCluster({ url, maxWaiting }: DoorConfig) {
    if (!/^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : "")) {
        throw new Error(`the platform gave "${url}" as the app's address, expected http(s)://host[:port]`);
    }
    const { protocol, hostname, port } = new URL(url);
    const secured = protocol === "https:";
    const many = 10_000;
    return {
        name: "app",
        type: "STRICT_DNS",
        connect_timeout: "10s",
        load_assignment: {
            cluster_name: "app",
            endpoints: [endpoint(hostname, port ? Number(port) : secured ? 443 : 80)],
        },
        circuit_breakers: {
            thresholds: [
                {
                    max_retries: maxWaiting,
                    max_requests: many,
                    max_connections: many,
                    max_pending_requests: many,
                    track_remaining: true,
                },
            ],
        },
        typed_extension_protocol_options: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": `${types}.extensions.upstreams.http.v3.HttpProtocolOptions`,
                common_http_protocol_options: { max_requests_per_connection: 1 },
                explicit_http_config: { http_protocol_options: {} },
            },
        },
        ...(secured && { transport_socket: appTls(hostname) }),
    };
}

function appTls(hostname: string) {
    const isAddress = /^[\d.]+$/.test(hostname);
    return extension("envoy.transport_sockets.tls", "transport_sockets.tls.v3.UpstreamTlsContext", {
        ...(!isAddress && { sni: hostname }),
        common_tls_context: {
            validation_context: {
                trusted_ca: { filename: authorities },
                match_typed_subject_alt_names: [
                    { san_type: isAddress ? "IP_ADDRESS" : "DNS", matcher: { exact: hostname } },
                ],
            },
        },
    });
}

/** A route for each consumer, told by its key: what it may, and what is counted of it. Without one there is no way in. */
function routeTable(clients: DoorSecrets["clients"], holdSeconds: number) {
    const refused = (
        match: object,
        status: number,
        message: string,
        type: string,
        headers: Record<string, string>,
    ) => ({
        match,
        direct_response: { status, body: { inline_string: JSON.stringify(failure(message, type)) } },
        response_headers_to_add: added({ "content-type": "application/json", ...headers }),
    });
    return {
        name: "door",
        virtual_hosts: [
            {
                name: "app",
                domains: ["*"],
                request_body_buffer_limit: String(keptBodyBytes),
                // What is read along here is to be text.
                request_headers_to_remove: ["accept-encoding"],
                routes: [
                    ...Object.entries(clients).map(([name, client]) => consumerRoute(name, client, holdSeconds)),
                    refused({ prefix: "/v1/" }, 401, "no key, or one that is not known here", "invalid_api_key", {
                        "www-authenticate": "Bearer",
                    }),
                    refused({ prefix: "/" }, 404, "only what is below /v1/ is served here", "NotFoundError", {}),
                ],
            },
        ],
    };
}

function consumerRoute(name: string, { key, requestsPerMinute }: DoorSecrets["clients"][string], holdSeconds: number) {
    return {
        name,
        match: {
            prefix: "/v1/",
            headers: [{ name: "authorization", string_match: { exact: `Bearer ${key}` } }],
        },
        stat_prefix: name,
        route: { cluster: "app", auto_host_rewrite: true, timeout: "0s", retry_policy: holding(holdSeconds) },
        ...(requestsPerMinute !== undefined && {
            typed_per_filter_config: { "envoy.filters.http.local_ratelimit": limit(name, requestsPerMinute) },
        }),
    };
}

/** Seconds between two tries at most, and how many tries there are, so that they last for as long as a request is held. */
export function tries(holdSeconds: number): { first: number; longest: number; count: number } {
    const longest = Math.min(10, holdSeconds / 10);
    const first = Math.min(1, longest);
    let count = 0;
    // Each pause is half of its bound on average: Envoy draws it between nothing and that, and doubles the bound.
    for (let [lasted, bound] = [0, first]; lasted < holdSeconds; bound = Math.min(bound * 2, longest)) {
        lasted += bound / 2;
        count++;
    }
    return { first, longest, count };
}

/**
 * Asks again while nobody has taken the request: the platform has no replica for it (503), or no connection comes. After
 * any other failure it may have been worked on, or have been what ended a replica.
 */
function holding(holdSeconds: number) {
    const { first, longest, count } = tries(holdSeconds);
    return {
        retry_on: "retriable-status-codes,connect-failure,refused-stream",
        retriable_status_codes: [503],
        num_retries: count,
        retry_back_off: { base_interval: `${first.toFixed(3)}s`, max_interval: `${longest.toFixed(3)}s` },
    };
}

/** A minute's worth at once, and then as it comes in. Envoy puts in no oftener than every 50 ms. */
function limit(name: string, requestsPerMinute: number) {
    const share = Math.max(1, Math.ceil((requestsPerMinute * 0.05) / 60));
    const always = { default_value: { numerator: 100, denominator: "HUNDRED" } };
    return {
        "@type": `${types}.extensions.filters.http.local_ratelimit.v3.LocalRateLimit`,
        stat_prefix: name,
        token_bucket: {
            max_tokens: requestsPerMinute,
            tokens_per_fill: share,
            fill_interval: `${((60 * share) / requestsPerMinute).toFixed(3)}s`,
        },
        filter_enabled: always,
        filter_enforced: always,
        response_headers_to_add: added({ "retry-after": String(Math.ceil(60 / requestsPerMinute)) }),
    };
}

function added(headers: Record<string, string>) {
    return Object.entries(headers).map(([key, value]) => ({
        header: { key, value },
        append_action: "OVERWRITE_IF_EXISTS_OR_ADD",
    }));
}
