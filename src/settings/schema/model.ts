import { z } from "zod";
import { frontDoor } from "./front-door";
import { hours, lease } from "./hours";
import { exactImage } from "../formats";
import { probe, readinessProbe } from "./probe";
import { count, decimal, path, text, written } from "./values";
import { vllm } from "./vllm";

const share = text(/^\d+%?$/, 'give a number of replicas or a share, such as "1" or "25%"');
const stabilizationSeconds = count.min(0).max(3600).optional();

const volume = z.strictObject({
    /**
     * Where the volume is mounted in the container.
     * @default `"/hub"`, `"/workspace"`
     * @change replaces the app
     */
    path,
    /**
     * `RO`: read; `RW`: read and write; `RWD`: read, write and delete.
     * @default `"RW"`
     * @change replaces the app
     */
    permission: z.enum(["RO", "RW", "RWD"]),
    /**
     * Name of a standalone volume, one without a data source.
     * @default none
     * @change replaces the app
     */
    name: z.string().min(1).optional(),
    /** An object storage container of a data store of the project; without it the volume is standalone. */
    dataStore: z
        .strictObject({
            /**
             * The data store's alias in the project (`ovhai datastore list`). It has to be in the app's region.
             * @default none
             * @change replaces the app
             * @cost the object storage that it names
             */
            alias: z.string().min(1),
            /**
             * Container, or bucket, of the data store.
             * @default none
             * @change replaces the app
             */
            container: z.string().min(1),
            /**
             * Only objects whose names begin with this.
             * @default none: all
             * @change replaces the app
             */
            prefix: z.string().optional(),
        })
        .optional(),
});

/**
 * Weights from object storage in place of the Hugging Face hub: a container with the files of `model`, mounted read-only and
 * kept in the platform's cache, so that a new replica finds them there. How to fill it, and what it saves: docs/cold-starts.md.
 */
const weights = z.strictObject({
    /**
     * The data store's alias in the project (`ovhai datastore list`). It has to be in the app's region.
     * @default none
     * @example
     * pulumi config set --path models.ministral.weights.dataStore my-store
     * pulumi config set --path models.ministral.weights.container my-weights
     * @change replaces the app
     * @cost the object storage that it names
     */
    dataStore: z.string().min(1),
    /**
     * Container, or bucket, of the data store, with the files of this model and nothing else.
     * @default none
     * @example
     * pulumi config set --path models.ministral.weights.dataStore my-store
     * pulumi config set --path models.ministral.weights.container my-weights
     * @change replaces the app
     */
    container: z.string().min(1),
});

/** How a change rolls over an app's replicas; what is absent stays with the platform's default. Taking it away replaces the app. */
const deploymentStrategy = z.strictObject({
    /**
     * Replicas above the wanted number meanwhile: a number or a share of them. Not 0 together with `maxUnavailable`.
     * @default none: the platform's
     * @example pulumi config set --path models.ministral.deploymentStrategy.maxSurge 1
     * @change rolls
     * @cost those replicas too while a change rolls, and they need quota
     */
    maxSurge: written(share).optional(),
    /**
     * Replicas below the wanted number meanwhile, likewise.
     * @default none: the platform's
     * @example pulumi config set --path models.ministral.deploymentStrategy.maxUnavailable 1
     * @change rolls
     */
    maxUnavailable: written(share).optional(),
    /**
     * After so long a roll-out without progress has failed.
     * @unit seconds
     * @default none: the platform's
     * @example pulumi config set --path models.ministral.deploymentStrategy.progressDeadlineSeconds 1800
     * @change rolls
     */
    progressDeadlineSeconds: count.min(1).optional(),
    /**
     * What a replica that goes has to answer what it has: 10 s less than this, with `drain`. Without, vLLM 0.13.0 makes
     * no use of it: it stops answering at once.
     * @unit seconds
     * @default none: 120, or 30 without drain
     * @example pulumi config set --path models.ministral.deploymentStrategy.terminationGracePeriodSeconds 300
     * @change rolls
     * @cost a replica that goes is billed until it has gone: so long at most, and not longer than its last answer takes
     */
    terminationGracePeriodSeconds: count.min(0).optional(),
});

/** One vLLM model on AI Deploy. */
export const modelSchema = z.strictObject({
    /**
     * Hugging Face repository (`owner/name`, or `gpt2` of the first ones), of GGUF files with the quantization
     * (`owner/name:Q4_K_M`); an absolute path inside the container; or a folder in object storage. Has to be set for
     * every model but `ministral`. The formats and the tool parser of `ministral` go with its own model alone.
     * @default `"mistralai/Ministral-3-14B-Instruct-2512"`
     * @example pulumi config set --path models.ministral.model Qwen/Qwen3-8B
     * @change rolls; what requests name as their model changes at the first new replica, unless vllm.servedModelName is set
     */
    model: text(
        /^(\/\S+|(s3|gs):\/\/[^\s/]+(\/\S*)?|(?=[A-Za-z0-9])[\w.-]+(\/[A-Za-z0-9][\w.-]*(:[\w+-]+)?)?)$/,
        "give a Hugging Face repository (owner/name), an absolute path, or s3://bucket/folder",
    ),
    /**
     * Commit, tag or branch of the Hugging Face repository: vLLM's `--revision`, which its tokenizer follows. A commit
     * is what no upload changes; a branch may give two replicas two models. Not with `weights` or a path.
     * @default none: the branch main, as it is when a replica starts
     * @example pulumi config set --path models.ministral.revision 0123456789abcdef0123456789abcdef01234567
     * @change rolls
     */
    revision: written(
        text(/^[A-Za-z0-9][\w./-]*$/, "give a commit, tag or branch of the repository, such as a commit of 40 digits"),
    ).optional(),
    /**
     * Name of the app on AI Deploy, and the beginning of its tokens' names.
     * @default `"vllm-ministral-14B-autoscaling-custom-metric"`, `"vllm-NAME"`
     * @example pulumi config set --path models.ministral.appName vllm-ministral-14B-b
     * @change replaces the app and its tokens
     */
    appName: text(
        /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/,
        "use letters, digits, dots, hyphens and underscores, at most 63",
    ),
    /**
     * Container image of vLLM by an exact version, with or without a digest. Metrics and options are known of 0.13.0
     * and, metrics only, of 0.33.0; of a version with known security advisories preview warns.
     * @default `"vllm/vllm-openai:v0.13.0"`
     * @example pulumi config set --path models.ministral.image vllm/vllm-openai:v0.33.0
     * @change rolls
     */
    image: text(exactImage, 'name an exact version, such as "vllm/vllm-openai:v0.13.0"'),
    /**
     * AI Deploy region; independent of the cluster's.
     * @default `"GRA"`
     * @example pulumi config set --path models.ministral.region BHS
     * @change replaces the app and its tokens
     * @cost prices go by region
     */
    region: text(/^[A-Z][A-Z0-9-]*$/, 'give an AI Deploy region in capitals, such as "GRA"'),
    /**
     * What a replica runs on. Preview names those of the region when there is none of this name.
     * @default `"h100-1-gpu"`
     * @example pulumi config set --path models.ministral.flavor l40s-1-gpu
     * @change rolls
     * @cost per minute, GPU and replica: `ai-app.FLAVOR.minute.consumption` of OVHcloud's price list
     */
    flavor: text(/^[a-z0-9][a-z0-9.-]*$/, 'give an AI Deploy flavor, such as "h100-1-gpu"'),
    /**
     * GPUs of each replica; vLLM splits the model over them. A flavor has at most so many, which preview checks.
     * @default `1`
     * @example pulumi config set --path models.ministral.gpus 2
     * @change rolls
     * @cost the price of a replica goes up with it
     */
    gpus: count.min(1),
    /**
     * Port of vLLM's server in the container.
     * @default `8000`
     * @example pulumi config set --path models.ministral.port 8080
     * @change rolls
     */
    port: count.min(1).max(65535),
    /** How many replicas the autoscaler may choose from, 1 to 100. */
    replicas: z.strictObject({
        /**
         * Replicas that always run. With 0 a model that nobody asks goes to sleep, and the first request wakes it
         * (docs/scaling.md).
         * @default `1`
         * @example pulumi config set --path models.ministral.replicas.min 0
         * @change live; the model's relay restarts when it comes to be 0, or ceases to be
         * @cost so many replicas, day and night
         */
        min: count.min(0),
        /**
         * Replicas under the highest load.
         * @default `3`
         * @example pulumi config set --path models.ministral.replicas.max 4
         * @change live
         * @cost the most that the model can cost an hour: so many replicas. GPUs in all models count against the quota
         */
        max: count.min(1),
    }),
    /**
     * Hours of the week with other limits than `replicas`, which apply outside of all of them. No two may overlap. A
     * controller in the cluster carries them out: docs/hours.md.
     * @example
     * pulumi config set --path 'models.ministral.schedule[0].days' mon-fri
     * pulumi config set --path 'models.ministral.schedule[0].from' 08:00
     * pulumi config set --path 'models.ministral.schedule[0].to' 19:00
     * pulumi config set --path 'models.ministral.schedule[0].timeZone' Europe/Paris
     * pulumi config set --path 'models.ministral.schedule[0].min' 2
     * pulumi config set --path 'models.ministral.schedule[0].max' 6
     */
    schedule: z.array(hours),
    lease: lease.optional(),
    /** When the platform adds and takes replicas. */
    scaling: z.strictObject({
        /**
         * Metric of vLLM that the autoscaler follows, a gauge that tells how busy the engine is.
         * @default `"vllm:num_requests_running"`
         * @example
         * pulumi config set --path models.ministral.scaling.metric vllm:num_requests_waiting
         * pulumi config set --path models.ministral.scaling.target 10
         * @change live
         */
        metric: text(/^[A-Za-z_:][\w:]*$/, 'give the name of a metric, such as "vllm:num_requests_running"'),
        /**
         * The value, aggregated over the replicas, that they are to have: above it, by more than 10 %, replicas come.
         * @unit the metric's
         * @default `50`
         * @example pulumi config set --path models.ministral.scaling.target 40
         * @change live
         * @cost a lower one has more replicas run at the same load
         */
        target: decimal(z.number().gt(0)),
        /**
         * How the replicas' values become one.
         * @default `"AVERAGE"`
         * @example pulumi config set --path models.ministral.scaling.aggregation MAX
         * @change live
         */
        aggregation: z.enum(["AVERAGE", "MAX", "MIN", "SUM"]),
        /**
         * For so long the load has to be up before replicas are added.
         * @unit seconds
         * @default none: the platform's, 0
         * @example pulumi config set --path models.ministral.scaling.scaleUpStabilizationSeconds 60
         * @change live
         */
        scaleUpStabilizationSeconds: stabilizationSeconds,
        /**
         * For so long the load has to be down before replicas go.
         * @unit seconds
         * @default none: the platform's, 300
         * @example pulumi config set --path models.ministral.scaling.scaleDownStabilizationSeconds 900
         * @change live
         * @cost replicas of a peak are billed so much longer
         */
        scaleDownStabilizationSeconds: stabilizationSeconds,
        /**
         * With `replicas.min` of 0: how much longer than the scale-down window nobody must have asked before the last
         * replica goes, at most an hour.
         * @unit seconds
         * @default none: 300
         * @example
         * pulumi config set --path models.ministral.replicas.min 0
         * pulumi config set --path models.ministral.scaling.cooldownSeconds 900
         * @change live; the model's relay restarts
         * @cost the last replica is billed so much longer
         */
        cooldownSeconds: stabilizationSeconds,
    }),
    /** vLLM's own options; what is absent stays with vLLM's default. */
    vllm,
    /**
     * Variables of the container by name; what is secret of them encrypted. `HF_TOKEN` is set from `huggingFaceToken`.
     * @default `{"OUTLINES_CACHE_DIR":"/tmp/.outlines","HF_HOME":"/hub","HF_DATASETS_TRUST_REMOTE_CODE":"1","HF_HUB_ENABLE_HF_TRANSFER":"0"}`
     * @example pulumi config set --path models.ministral.env.VLLM_LOGGING_LEVEL DEBUG
     * @change rolls
     */
    env: z.record(
        text(/^[A-Za-z_][A-Za-z0-9_]*$/, "use letters, digits and underscores for a variable's name"),
        written(z.string()),
    ),
    /**
     * Labels of the app; its tokens are bound to one of them, which no other model may have.
     * @default `{"ai_deploy_token":"my_operator_token"}`, `{"ai_deploy_token":"NAME"}`
     * @example pulumi config set --path models.ministral.labels.team search
     * @change live; another value of the label `tokens.label` replaces the tokens
     */
    labels: z.record(
        text(
            /^(?!ovh\/|pulumi-(adoption-id|made-as|hours)$)[\w./-]{1,63}$/,
            'use letters, digits, ".", "_", "-" and "/"; "ovh/...", "pulumi-adoption-id", "pulumi-made-as" and "pulumi-hours" are taken',
        ),
        written(text(/^[\w.-]{1,63}$/, 'use letters, digits, ".", "_" and "-", at most 63')),
    ),
    /**
     * What is mounted. A list replaces the default one, which has two standalone volumes: `/hub` for what is downloaded
     * from Hugging Face, and `/workspace`.
     * @example
     * pulumi config set --path 'models.ministral.volumes[0].path' /hub
     * pulumi config set --path 'models.ministral.volumes[0].permission' RW
     * pulumi config set --path 'models.ministral.volumes[0].name' weights
     * pulumi config set --path 'models.ministral.volumes[1].path' /data
     * pulumi config set --path 'models.ministral.volumes[1].permission' RO
     * pulumi config set --path 'models.ministral.volumes[1].dataStore.alias' my-store
     * pulumi config set --path 'models.ministral.volumes[1].dataStore.container' my-bucket
     * pulumi config set --path 'models.ministral.volumes[1].dataStore.prefix' prompts/
     */
    volumes: z.array(volume),
    weights: weights.optional(),
    /** How the platform tells that a replica lives, and that it serves. */
    probes: z.strictObject({
        /** A replica that fails it is ended and started again. */
        liveness: z.strictObject(probe),
        /** A replica that fails it gets no requests. */
        readiness: z.strictObject(readinessProbe),
    }),
    /** The two tokens of the app, one for Prometheus and one for the API's clients: of role read, and for this app only. */
    tokens: z.strictObject({
        /**
         * Key of the app label that both tokens are bound to.
         * @default `"ai_deploy_token"`
         * @example
         * pulumi config set --path models.ministral.labels.access chat
         * pulumi config set --path models.ministral.tokens.label access
         * @change replaces the tokens
         */
        label: z.string().min(1),
        /**
         * Any text; a change gives Prometheus another token.
         * @default none
         * @example pulumi config set --path models.ministral.tokens.scrapeRotation 2026-12
         * @change live; the token of before works on for overlapSeconds
         */
        scrapeRotation: written(z.string()).optional(),
        /**
         * Any text; a change makes another token for the API's clients.
         * @default none
         * @example pulumi config set --path models.ministral.tokens.clientRotation 2026-12
         * @change live; the token of before works on for overlapSeconds
         */
        clientRotation: written(z.string()).optional(),
        /**
         * For so long the token from before works on; the next `pulumi up` after that ends it. 0: at once, as for one
         * that has leaked.
         * @unit seconds
         * @default `86400`
         * @example pulumi config set --path models.ministral.tokens.overlapSeconds 0
         * @change live
         */
        overlapSeconds: count.min(0),
    }),
    /** What Prometheus makes of the model's series. */
    scrape: z.strictObject({
        /**
         * Labels that Prometheus adds to every series of this model.
         * @default `{"service":"vllm","model":"NAME","environment":"production"}`
         * @example pulumi config set --path models.ministral.scrape.labels.environment staging
         * @change live; series go on under the new labels, what was stored keeps the old ones
         */
        labels: z.record(
            text(/^(?!__)[A-Za-z_]\w*$/, 'use letters, digits and underscores, without "__" in front'),
            written(z.string()),
        ),
    }),
    /** What users can count on: alerts and the lines in dashboards follow from it. */
    targets: z.strictObject({
        /**
         * Time to the first token; a bound of the metric's buckets.
         * @unit seconds
         * @default `1`
         * @example pulumi config set --path models.ministral.targets.timeToFirstToken 2.5
         * @change live
         */
        timeToFirstToken: decimal(z.number()),
        /**
         * Time between two tokens; a bound of the metric's buckets.
         * @unit seconds
         * @default `0.05`
         * @example pulumi config set --path models.ministral.targets.interTokenLatency 0.1
         * @change live
         */
        interTokenLatency: decimal(z.number()),
        /**
         * Share of first tokens, and of tokens, that is to be within these two.
         * @unit share, 0 to 1
         * @default `0.95`
         * @example pulumi config set --path models.ministral.targets.withinTargets 0.99
         * @change live
         */
        withinTargets: decimal(z.number().gt(0).lt(1)),
        /**
         * Share of the requests that may fail on the server.
         * @unit share, 0 to 1
         * @default `0.01`
         * @example pulumi config set --path models.ministral.targets.errorBudget 0.001
         * @change live
         */
        errorBudget: decimal(z.number().gt(0).lt(1)),
    }),
    /** How long the app may take before `pulumi up` gives up waiting. The app stays, and the next `up` goes on. */
    timeouts: z.strictObject({
        /**
         * Until a new app serves.
         * @unit seconds
         * @default `1800`
         * @example pulumi config set --path models.ministral.timeouts.createSeconds 7200
         * @change live
         */
        createSeconds: count.min(1),
        /**
         * Until it serves again after a change.
         * @unit seconds
         * @default `1800`
         * @example pulumi config set --path models.ministral.timeouts.updateSeconds 7200
         * @change live
         */
        updateSeconds: count.min(1),
        /**
         * Until it is gone.
         * @unit seconds
         * @default `600`
         * @example pulumi config set --path models.ministral.timeouts.deleteSeconds 1200
         * @change live
         */
        deleteSeconds: count.min(1),
    }),
    /**
     * `STOPPED` keeps the app and its address, but runs nothing.
     * @default `"RUNNING"`
     * @example pulumi config set --path models.ministral.desiredState STOPPED
     * @change stops the app, or starts it again: nothing serves until a replica has booted
     * @cost nothing is billed for an app that is stopped
     */
    desiredState: z.enum(["RUNNING", "STOPPED"]),
    deploymentStrategy: deploymentStrategy.optional(),
    frontDoor: frontDoor.optional(),
    /**
     * A replica that goes, by a scale-down, a change or a stop, answers what it has before it ends, within
     * `deploymentStrategy.terminationGracePeriodSeconds`: docs/draining.md. Without, vLLM 0.13.0 drops it all at once.
     * @default `true`
     * @example pulumi config set --path models.ministral.drain false
     * @change rolls
     * @cost a replica that goes is billed until it has gone, at least 5 s longer
     */
    drain: z.boolean(),
    /**
     * Id of an app that exists already, to take over in place of making one. Without effect once that is done.
     * @default none
     * @example pulumi config set --path models.ministral.adopt 00000000-0000-4000-8000-000000000000
     * @change replaces the app, where the stack has another one
     */
    adopt: text(
        /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
        "give the id of an app as OVHcloud shows it, such as 00000000-0000-4000-8000-000000000000",
    ).optional(),
    /**
     * A replacement brings the new app up before the old one goes.
     * @default `false`
     * @example pulumi config set --path models.ministral.replaceFirst true
     * @change live
     * @cost both apps while a replacement is under way, and quota for both
     */
    replaceFirst: z.boolean(),
    /**
     * Refuses to delete or replace the app until this is false.
     * @default `false`
     * @example pulumi config set --path models.ministral.protect true
     * @change live
     */
    protect: z.boolean(),
});

export type ModelSettings = z.output<typeof modelSchema>;
