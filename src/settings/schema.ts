import { z } from "zod";
import { cidrFault, durationSeconds } from "./formats";

/** A string with a pattern, and what to say when it does not match or is missing. */
const text = (pattern: RegExp, rule: string) =>
    z.string({ error: ({ input }) => (input === undefined ? rule : undefined) }).regex(pattern, rule);
const count = z.int();
/** A duration as Prometheus writes it, of at most, and at least, so many seconds. */
const duration = (rule: string, most: number, least = 0) =>
    z.string().refine((value) => {
        const seconds = durationSeconds(value) ?? Infinity;
        return seconds >= least && seconds <= most;
    }, rule);
const kubernetesName = text(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    "use lower-case letters, digits and hyphens, at most 63",
);
const sizeRule = 'give a size of at least 1Gi, in whole Gi or Ti, such as "50Gi" (not "50G", "50gi" or "0.5Ti")';
/** A volume's size. Block storage begins at 1 GiB. */
const size = text(/^[1-9]\d*(Mi|Gi|Ti)$/, sizeRule).refine(
    (value) => !value.endsWith("Mi") || parseInt(value) >= 1024,
    sizeRule,
);
const storageClass = text(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'give a storage class such as "csi-cinder-high-speed"');
const cidr = z.string().superRefine((value, context) => {
    const fault = cidrFault(value);
    if (fault) context.addIssue({ code: "custom", message: fault });
});
/** Text. `pulumi config set --path` stores 1 and true as number and boolean, so these are taken as their text. */
const written = <Schema extends z.ZodType<string>>(schema: Schema) =>
    z.preprocess((value) => (/^(number|boolean)$/.test(typeof value) ? String(value) : value), schema);
/** A number. `pulumi config set --path` stores 0.9 as text, so that is taken too. */
const decimal = (schema: z.ZodNumber) =>
    z.preprocess((value) => (typeof value === "string" && /^\d*\.\d+$/.test(value) ? Number(value) : value), schema);
/** A PEM file. */
const pem = (kind: string) =>
    z
        .string()
        .regex(
            new RegExp(`^-----BEGIN ${kind}-----\\n[\\s\\S]+-----END ${kind}-----\\s*$`),
            `give a PEM file, which begins with -----BEGIN ${kind.replace("(.+ )?", "")}-----`,
        );
const path = text(/^\/\S*$/, "give a path that starts with /");
const share = text(/^\d+%?$/, 'give a number of replicas or a share, such as "1" or "25%"');

const probe = {
    path,
    port: count.min(1).max(65535).optional(),
    initialDelaySeconds: count.min(0),
    periodSeconds: count.min(1).optional(),
    timeoutSeconds: count.min(1).optional(),
    failureThreshold: count.min(1).optional(),
};

const volume = z.strictObject({
    path,
    permission: z.enum(["RO", "RW", "RWD"]),
    /** Name of a standalone volume (one without a data source). */
    name: z.string().min(1).optional(),
    /** An object storage container of a data store of the project; without it the volume is standalone. */
    dataStore: z
        .strictObject({
            alias: z.string().min(1),
            container: z.string().min(1),
            prefix: z.string().optional(),
        })
        .optional(),
});

/** How a change rolls over an app's replicas; what is absent stays with the platform's default. */
const deploymentStrategy = z.strictObject({
    /** Replicas above the wanted number meanwhile: a number or a share, "1" or "25%". */
    maxSurge: written(share).optional(),
    /** Replicas below the wanted number meanwhile, likewise. */
    maxUnavailable: written(share).optional(),
    /** Seconds after which a roll-out without progress has failed. */
    progressDeadlineSeconds: count.min(1).optional(),
    /** Seconds that a replica has to end its requests. */
    terminationGracePeriodSeconds: count.min(0).optional(),
});

/** vLLM's own options; what is absent stays with vLLM's default. */
const vllm = z.strictObject({
    tokenizerMode: z.string().min(1).optional(),
    loadFormat: z.string().min(1).optional(),
    configFormat: z.string().min(1).optional(),
    enableAutoToolChoice: z.boolean().optional(),
    toolCallParser: z.string().min(1).optional(),
    enablePrefixCaching: z.boolean().optional(),
    /** What requests name the model; one name, else vLLM would take the others for names too. */
    servedModelName: written(text(/^[^\s,]+$/, "give one name, without spaces and commas")).optional(),
    maxModelLen: count.min(1).optional(),
    maxNumSeqs: count.min(1).optional(),
    gpuMemoryUtilization: decimal(z.number().gt(0).max(1)).optional(),
    /** Any further arguments, one word each: ["--seed", "7"]. */
    extraArgs: z.array(z.string()),
});

const stabilizationSeconds = count.min(0).max(3600).optional();

/** One vLLM model on AI Deploy. */
export const modelSchema = z.strictObject({
    /**
     * Hugging Face repository ("owner/name", or "gpt2" of the first ones), of GGUF files with the quantization
     * ("owner/name:Q4_K_M"); an absolute path inside the container; or a folder in object storage.
     */
    model: text(
        /^(\/\S+|(s3|gs):\/\/[^\s/]+(\/\S*)?|(?=[A-Za-z0-9])[\w.-]+(\/[A-Za-z0-9][\w.-]*(:[\w+-]+)?)?)$/,
        "give a Hugging Face repository (owner/name), an absolute path, or s3://bucket/folder",
    ),
    appName: text(
        /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/,
        "use letters, digits, dots, hyphens and underscores, at most 63",
    ),
    image: text(
        /^[^\s:@]+(:\d+\/[^\s:@]+)?(:(?!latest(@|$))[\w.-]+(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})$/,
        'name an exact version, such as "vllm/vllm-openai:v0.13.0"',
    ),
    /** AI Deploy region; independent of the cluster's. */
    region: text(/^[A-Z][A-Z0-9-]*$/, 'give an AI Deploy region in capitals, such as "GRA"'),
    flavor: text(/^[a-z0-9][a-z0-9.-]*$/, 'give an AI Deploy flavor, such as "h100-1-gpu"'),
    /** GPUs of each replica. */
    gpus: count.min(1),
    port: count.min(1).max(65535),
    // Not 0: the metric is read from the replicas themselves, so with none left nothing could ask for the first one.
    replicas: z.strictObject({ min: count.min(1), max: count.min(1) }),
    scaling: z.strictObject({
        metric: text(/^[A-Za-z_:][\w:]*$/, 'give the name of a metric, such as "vllm:num_requests_running"'),
        target: decimal(z.number().gt(0)),
        aggregation: z.enum(["AVERAGE", "MAX", "MIN", "SUM"]),
        scaleUpStabilizationSeconds: stabilizationSeconds,
        scaleDownStabilizationSeconds: stabilizationSeconds,
    }),
    vllm,
    env: z.record(
        text(/^[A-Za-z_][A-Za-z0-9_]*$/, "use letters, digits and underscores for a variable's name"),
        written(z.string()),
    ),
    /** Labels of the app; tokens are bound to one of them. */
    labels: z.record(
        text(
            /^(?!ovh\/|pulumi-(adoption-id|made-as)$)[\w./-]{1,63}$/,
            'use letters, digits, ".", "_", "-" and "/"; "ovh/...", "pulumi-adoption-id" and "pulumi-made-as" are taken',
        ),
        written(text(/^[\w.-]{1,63}$/, 'use letters, digits, ".", "_" and "-", at most 63')),
    ),
    volumes: z.array(volume),
    probes: z.strictObject({
        liveness: z.strictObject(probe),
        readiness: z.strictObject({ ...probe, successThreshold: count.min(1).optional() }),
    }),
    tokens: z.strictObject({
        /** Key of the app label that both tokens are bound to. */
        label: z.string().min(1),
        /** Any text; a change gives Prometheus another token. */
        scrapeRotation: written(z.string()).optional(),
        /** Any text; a change makes another token for the API's clients. */
        clientRotation: written(z.string()).optional(),
        /** Seconds for which the token from before works on; the next `pulumi up` after them ends it. 0: at once. */
        overlapSeconds: count.min(0),
    }),
    scrape: z.strictObject({
        /** Labels that Prometheus adds to every series of this model. */
        labels: z.record(
            text(/^(?!__)[A-Za-z_]\w*$/, 'use letters, digits and underscores, without "__" in front'),
            written(z.string()),
        ),
    }),
    /** What users can count on: alerts and the lines in dashboards follow from it. */
    targets: z.strictObject({
        /** Seconds; a bound of the metric's buckets. */
        timeToFirstToken: decimal(z.number()),
        /** Seconds; a bound of the metric's buckets. */
        interTokenLatency: decimal(z.number()),
        /** Share of first tokens, and of tokens, that is to be within these two. */
        withinTargets: decimal(z.number().gt(0).lt(1)),
        /** Share of the requests that may fail on the server. */
        errorBudget: decimal(z.number().gt(0).lt(1)),
    }),
    /** Euros per hour of one replica, as on the project's price list: the dashboard of costs needs it. */
    replicaPrice: decimal(z.number().gt(0)).optional(),
    /** Seconds that the app may take: to serve when it is new, to serve again after a change, and to be gone. */
    timeouts: z.strictObject({
        createSeconds: count.min(1),
        updateSeconds: count.min(1),
        deleteSeconds: count.min(1),
    }),
    /** STOPPED keeps the app and its address, but runs nothing, and nothing is billed. */
    desiredState: z.enum(["RUNNING", "STOPPED"]),
    /** Taking it away replaces the app. */
    deploymentStrategy: deploymentStrategy.optional(),
    /** Id of an app that exists already, to take over in place of making one. Without effect once that is done. */
    adopt: text(
        /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
        "give the id of an app as OVHcloud shows it, such as 00000000-0000-4000-8000-000000000000",
    ).optional(),
    /** A replacement brings the new app up before the old one goes. Both are billed meanwhile, and need quota. */
    replaceFirst: z.boolean(),
    /** Refuses to delete or replace the app until this is false. */
    protect: z.boolean(),
});

export const clusterSchema = z.strictObject({
    name: text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'use letters, digits, ".", "_" and "-", at most 63'),
    region: text(/^[A-Z][A-Z0-9-]*$/, 'give a Managed Kubernetes region in capitals, such as "GRA11"'),
    plan: z.enum(["free", "standard"]),
    /** Kubernetes minor version; the newest one when absent. */
    version: written(
        text(
            /^1\.\d\d$/,
            "give a minor version, in a stack file in quotes: pulumi config set --path cluster.version 1.34",
        ),
    ).optional(),
    updatePolicy: z.enum(["ALWAYS_UPDATE", "MINIMAL_DOWNTIME", "NEVER_UPDATE"]).optional(),
    nodePool: z.strictObject({
        name: text(
            /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
            "use lower-case letters, digits and hyphens (no underscore)",
        ),
        flavor: text(/^[a-z0-9][a-z0-9.-]*$/, 'give an instance flavor, such as "b2-15"'),
        nodes: count.min(1).max(100),
        /** Lets MKS choose the number of nodes; `nodes` is then only where it starts. */
        autoscale: z.strictObject({ min: count.min(1).max(100), max: count.min(1).max(100) }).optional(),
        availabilityZones: z.array(z.string().min(1)).optional(),
    }),
    network: z.enum(["public", "private"]),
    /** The private network; used with `network: private` only. */
    private: z.strictObject({
        /** VLAN of the project's vRack. */
        vlanId: count.min(0).max(4000).optional(),
        cidr,
        externalNetwork: z.string().min(1),
        /** Egress of nodes and pods by the router's address instead of each node's own. */
        routeThroughGateway: z.boolean(),
    }),
    /** Refuses to delete the cluster, its network and the monitoring's volumes until this is false. */
    protect: z.boolean(),
});

export const monitoringSchema = z.strictObject({
    namespace: kubernetesName,
    retention: duration('give a duration such as "15d" or "36h", at most "10y"', 10 * 365 * 86400),
    // With more, the dashboards' and alerts' windows of five minutes have too few samples; with less, asking every replica
    // takes longer than the time between two rounds.
    scrapeInterval: duration('give a duration such as "15s", from "5s" to "2m"', 120, 5),
    scrapeTimeout: duration('give a duration such as "10s", at most "2m"', 120),
    /**
     * How models with more than one replica are scraped. `relay`: every replica, told apart. `direct`: the app's
     * load-balanced address, so another replica each time, and rates and sums are wrong.
     */
    replicaMetrics: z.enum(["relay", "direct"]),
    /**
     * Whether each relay asks its model for a completion of one token, every 45 s, to notice an engine that hangs. It costs
     * some 20,000 tokens of prompt and 2,000 of answer a day: less than a second of a GPU's time.
     */
    completionProbe: z.boolean(),
    storage: z.strictObject({ class: storageClass, prometheus: size, grafana: size, alertmanager: size }),
    chart: z.strictObject({
        version: text(/^\d+\.\d+\.\d+$/, 'pin an exact version, such as "88.5.3"'),
        repository: text(/^(https|oci):\/\/\S+$/, "give a chart repository, https://... or oci://..."),
        /** A local chart folder or archive, taken instead of the repository's. */
        path: z.string().min(1).optional(),
        /** Values laid over those of this program, as a way out for what it has no setting for. */
        values: z.record(z.string(), z.unknown()),
    }),
    grafana: z.strictObject({
        /**
         * `internal`: reachable by `kubectl port-forward` only. `loadBalancer`: port 80 of a public address, without
         * TLS. `ingress`: https through an ingress controller that runs in the cluster already.
         */
        access: z.enum(["loadBalancer", "internal", "ingress"]),
        allowedSources: z.array(cidr),
        /** Any text; a change makes a new password, which Grafana is then to be told (docs/operations/README.md). */
        passwordRotation: written(z.string()).optional(),
        /** With `access: ingress`; the certificate is either asked of cert-manager or given. */
        ingress: z
            .strictObject({
                host: text(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, 'give a host name such as "grafana.example.org"'),
                /** Class of the controller. Only ingress-nginx keeps to `allowedSources`. */
                class: kubernetesName,
                /** ClusterIssuer of cert-manager. */
                issuer: kubernetesName.optional(),
                /** Certificate chain, PEM; its key is `grafanaTlsKey`. */
                certificate: pem("CERTIFICATE").optional(),
            })
            .optional(),
    }),
});

/** A text that goes where Alertmanager and Prometheus take `{{ }}` for a template. */
const plain = (pattern: RegExp, rule: string) =>
    text(pattern, rule).refine((value) => !value.includes("{{"), 'leave out "{{", it would be run as a template');
/** One address, as mail servers take it: Alertmanager reads it only once there is an alert to send. */
const mailAddress = plain(
    /^[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/,
    'give an address such as "ops@example.org"',
);
const secret = z.string().regex(/^\S+$/, "give the secret without spaces");
/** Address with a secret in it. */
const secretUrl = z
    .string()
    .regex(/^https?:\/\/\S+$/, "give an address, http(s)://...")
    .refine((value) => URL.canParse(value), "give an address, http(s)://...");

/** Someone who is told of alerts. What is secret of it ends in a Secret, as a file that Alertmanager reads. */
export const receiverSchema = z.discriminatedUnion(
    "type",
    [
        z.strictObject({ type: z.literal("webhook"), url: secretUrl }),
        z.strictObject({
            type: z.literal("slack"),
            /** Of an incoming webhook. */
            url: secretUrl,
            /** By name, or by its id, which stays when it is renamed. */
            channel: plain(/^([#@]\S+|[CDG][A-Z0-9]{8,})$/, 'give a channel such as "#alerts", or its id'),
        }),
        z.strictObject({
            type: z.literal("email"),
            to: mailAddress,
            from: mailAddress,
            /** Host and port of the mail server. */
            smarthost: text(
                /^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[1-9]\d{0,4}$/,
                'give host and port, such as "smtp.example.org:587"',
            ).refine((value) => Number(value.slice(value.lastIndexOf(":") + 1)) <= 65535, "give a port up to 65535"),
            /** Both or neither: a relay of one's own network may ask for no login. */
            username: z.string().min(1).optional(),
            password: secret.optional(),
        }),
        z.strictObject({
            type: z.literal("pagerduty"),
            /** Of an integration of type Events API v2. */
            routingKey: z
                .string()
                .regex(/^[A-Za-z0-9]{32}$/, "give the integration key of Events API v2, 32 letters and digits"),
        }),
        z.strictObject({
            type: z.literal("opsgenie"),
            apiKey: secret,
            /** Where the account is. */
            region: z.enum(["us", "eu"]).optional(),
        }),
    ],
    {
        error: (issue) =>
            issue.code === "invalid_union" ? "give one of webhook, slack, email, pagerduty, opsgenie" : undefined,
    },
);

export const alertingSchema = z.strictObject({
    /** By name. */
    receivers: z.record(
        text(/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/, "use lower-case letters, digits and hyphens for a receiver's name"),
        receiverSchema,
    ),
    /** Names of the receivers that are told of each tier. */
    routes: z.strictObject({
        /** Users feel it now. */
        page: z.array(z.string()),
        /** To be looked at in working hours. */
        ticket: z.array(z.string()),
        info: z.array(z.string()),
        /** Told every 5 minutes that the monitoring lives; it is for them to raise the alarm when that ends. */
        heartbeat: z.array(z.string()),
    }),
    /** Address of the folder docs/operations as alerts link to it, without a slash at the end. */
    runbooks: plain(/^\S+[^\s/]$/, "give the address of the runbooks, without a slash at the end").refine(
        // As a browser reads it: Alertmanager's and Grafana's pages link to it.
        (value) => !URL.canParse(value) || /^https?:$/.test(new URL(value).protocol),
        "give an address that begins with https:// or http://",
    ),
});

export const settingsSchema = z.strictObject({
    projectId: text(
        /^[0-9A-Za-z][0-9A-Za-z-]{0,63}$/,
        "give the id of the Public Cloud project, 32 hexadecimal digits",
    ),
    huggingFaceToken: z.string().regex(/^\S+$/, "give a Hugging Face access token, without spaces"),
    models: z.record(
        text(/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/, "use lower-case letters, digits and hyphens for a model's name"),
        modelSchema,
    ),
    cluster: clusterSchema,
    monitoring: monitoringSchema,
    alerting: alertingSchema,
    /** Private key of `monitoring.grafana.ingress.certificate`, PEM. */
    grafanaTlsKey: pem("(.+ )?PRIVATE KEY").optional(),
});

export type ModelSettings = z.output<typeof modelSchema>;
export type ClusterSettings = z.output<typeof clusterSchema>;
export type MonitoringSettings = z.output<typeof monitoringSchema>;
export type AlertingSettings = z.output<typeof alertingSchema>;
export type Receiver = z.output<typeof receiverSchema>;
export type Settings = z.output<typeof settingsSchema>;
