import { describe, expect, it } from "vitest";
import { settingsWarnings } from "../../src/settings";
import { faultsOf, ministral, monitoring, parse } from "./config";
import { configSet } from "./pulumi-config";

type Config = Record<string, unknown>;
const scaling = (over: Config, more: Config = {}) => ministral({ scaling: over, ...more });
const extraArgs = (...words: string[]) => ministral({ vllm: { extraArgs: words } });
const env = (variables: Config) => ministral({ env: variables });
const email = { type: "email", to: "a@example.org", from: "b@example.org", smarthost: "smtp.example.org:587" };
const alerting = (receiver: Config) => ({ alerting: { receivers: { mine: receiver }, routes: { page: ["mine"] } } });
const qwen = { model: "Qwen/Qwen3-8B" };
const digest = `sha256:${"0123456789abcdef".repeat(4)}`;
const encrypted = ["huggingFaceToken", "models", "alerting"];

describe("accepted once, and silently broken then", () => {
    it.each<[string, Config, string, RegExp]>([
        // What the autoscaler follows
        ["an expression", scaling({ metric: "sum(vllm:num_requests_running)" }), "scaling.metric", /name of a metric/],
        [
            "underscores",
            scaling({ metric: "vllm_num_requests_running" }),
            "scaling.metric",
            /"vllm:num_requests_running"/,
        ],
        ["another exporter's", scaling({ metric: "up" }), "scaling.metric", /vLLM 0\.13\.0 has no metric of this name/],
        ["a constant", scaling({ metric: "vllm:cache_config_info", target: 0.5 }), "scaling.metric", /how busy/],
        ["a clock", scaling({ metric: "process_start_time_seconds" }), "scaling.metric", /how busy/],
        [
            "underscores of an unknown version",
            scaling({ metric: "vllm_requests" }, { image: "vllm/vllm-openai:v0.20.0" }),
            "scaling.metric",
            /are not called so/,
        ],
        // What the command line says besides
        ["host", extraArgs("--host", "127.0.0.1"), "vllm.extraArgs[0]", /reaches vLLM by the network/],
        ["several servers", extraArgs("--api-server-count=4"), "vllm.extraArgs[0]", /those of one of them/],
        ["and short", extraArgs("-asc", "4"), "vllm.extraArgs[0]", /those of one of them/],
        ["no metrics", extraArgs("--disable_log_stats"), "vllm.extraArgs[0]", /every metric away/],
        ["no metrics, abbreviated", extraArgs("--disable-log-st"), "vllm.extraArgs[0]", /every metric away/],
        ["a key", extraArgs("--api-key", "very_secret"), "vllm.extraArgs[0]", /readiness probe would get 401/],
        ["a socket", extraArgs("--uds", "/tmp/vllm"), "vllm.extraArgs[0]", /by the network/],
        ["another root", extraArgs("--root-path", "/llm"), "vllm.extraArgs[0]", /the paths as they are/],
        ["TLS", extraArgs("--ssl-keyfile=/k", "--ssl-certfile=/c"), "vllm.extraArgs[1]", /gateway/],
        ["a file of options", extraArgs("--config", "/hub/vllm.yaml"), "vllm.extraArgs[0]", /could not be checked/],
        ["two words in one", extraArgs("--seed 7"), "vllm.extraArgs[0]", /two words: "--seed", "7"/],
        ["a setting, two words in one", extraArgs("--port 9000"), "vllm.extraArgs[0]", /models\.ministral\.port/],
        ["an option twice", extraArgs("--seed", "7", "--seed=8"), "vllm.extraArgs[2]", /the last one holds/],
        ["an abbreviation", extraArgs("--dtyp", "half"), "vllm.extraArgs[0]", /in full: "--dtype"/],
        ["a setting, abbreviated", extraArgs("--max-num-se", "7"), "vllm.extraArgs[0]", /vllm\.maxNumSeqs/],
        ["no such option", extraArgs("--swap-spaces", "7"), "vllm.extraArgs[0]", /no such option/],
        ["no such choice", extraArgs("--dtype", "float8"), "vllm.extraArgs[1]", /one of auto, bfloat16/],
        ["no such quantization", extraArgs("-q", "fp7"), "vllm.extraArgs[1]", /one of awq/],
        ["a switch with a value", extraArgs("--enforce-eager", "true"), "vllm.extraArgs[1]", /value of no option/],
        ["no number", extraArgs("--seed", "x"), "vllm.extraArgs[1]", /whole number/],
        ["too small a number", extraArgs("--stream-interval", "0"), "vllm.extraArgs[1]", /at least 1/],
        ["no JSON", extraArgs("--mm-processor-kwargs", "{x}"), "vllm.extraArgs[1]", /JSON/],
        ["no value", extraArgs("--seed", "--enforce-eager"), "vllm.extraArgs[0]", /next word/],
        ["GPUs that there are not", extraArgs("-tp", "2"), "vllm.extraArgs[0]", /gpus names 1: these come to 2/],
        ["no such parser", ministral({ vllm: { toolCallParser: "mistrall" } }), "vllm.toolCallParser", /"mistral"/],
        ["no such format", ministral({ vllm: { loadFormat: "s3" } }), "vllm.loadFormat", /runai_streamer/],
        // Variables
        ["a key in a variable", env({ VLLM_API_KEY: "very_secret" }), "env.VLLM_API_KEY", /would get 401/],
        ["mixed metrics", env({ PROMETHEUS_MULTIPROC_DIR: "/tmp" }), "env.PROMETHEUS_MULTIPROC_DIR", /mixed/],
        ["another port", env({ VLLM_PORT: 8000 }), "env.VLLM_PORT", /the setting port/],
        [
            "the token's old name",
            env({ HUGGING_FACE_HUB_TOKEN: "very_secret" }),
            "env.HUGGING_FACE_HUB_TOKEN",
            /HF_TOKEN/,
        ],
        // The model itself
        ["several names", ministral({ vllm: { servedModelName: "a b" } }), "vllm.servedModelName", /one name/],
        [
            "several names, with a comma",
            ministral({ vllm: { servedModelName: "a,b" } }),
            "vllm.servedModelName",
            /one name/,
        ],
        ["a relative folder", ministral({ model: "./weights" }), "model", /absolute path/],
        ["a relative folder, upwards", ministral({ model: "../weights" }), "model", /absolute path/],
        ["an address", ministral({ model: "https://huggingface.co/Qwen/Qwen3-8B" }), "model", /owner\/name/],
        ["latest, by its digest", ministral({ image: `vllm/vllm-openai:latest@${digest}` }), "image", /exact version/],
        [
            "a label of the job",
            ministral({ scrape: { labels: { job: "x" } } }),
            "scrape.labels.job",
            /label of this name/,
        ],
        [
            "a label of the target",
            ministral({ scrape: { labels: { instance: "x" } } }),
            "scrape.labels.instance",
            /already/,
        ],
    ])("%s", (_, config, key, fix) => {
        const fault = faultsOf(config, encrypted).find((one) => one.key === `models.ministral.${key}`);
        expect(fault?.fix).toMatch(fix);
        expect(JSON.stringify(fault)).not.toContain("very_secret");
    });

    it.each<[string, Config, string, RegExp]>([
        [
            "an interval below what a round takes",
            monitoring({ scrapeInterval: "1s", scrapeTimeout: "1s" }),
            "monitoring.scrapeInterval",
            /from "5s"/,
        ],
        [
            "a size in lower case",
            monitoring({ storage: { prometheus: "50gi" } }),
            "monitoring.storage.prometheus",
            /not "50G", "50gi"/,
        ],
        [
            "a size in powers of ten",
            monitoring({ storage: { grafana: "10G" } }),
            "monitoring.storage.grafana",
            /whole Gi/,
        ],
        [
            "half a size",
            monitoring({ storage: { alertmanager: "1.5Gi" } }),
            "monitoring.storage.alertmanager",
            /whole Gi/,
        ],
        [
            "less than a volume has",
            monitoring({ storage: { alertmanager: "100Mi" } }),
            "monitoring.storage.alertmanager",
            /at least 1Gi/,
        ],
        [
            "a misspelt class",
            monitoring({ storage: { class: "csi-cinder-highspeed" } }),
            "monitoring.storage.class",
            /"csi-cinder-high-speed"/,
        ],
        [
            "no name of a class",
            monitoring({ storage: { class: "High Speed" } }),
            "monitoring.storage.class",
            /storage class/,
        ],
        [
            "a class that the plan has not",
            {
                ...monitoring({ storage: { class: "csi-cinder-classic" } }),
                cluster: { plan: "standard", region: "EU-WEST-RBX" },
            },
            "monitoring.storage.class",
            /standard does not have it/,
        ],
        [
            "half a version of Kubernetes",
            { cluster: { version: 1.3 } },
            "cluster.version",
            /config set --path cluster\.version 1\.34/,
        ],
        ["half a login", alerting({ ...email, username: "b" }), "alerting.receivers.mine.password", /or neither/],
        ["a password alone", alerting({ ...email, password: "x" }), "alerting.receivers.mine.username", /or neither/],
        [
            "an address with dots",
            alerting({ ...email, to: "a..b@example.org" }),
            "alerting.receivers.mine.to",
            /an address/,
        ],
        [
            "an address with a name",
            alerting({ ...email, to: "Ops <a@example.org>" }),
            "alerting.receivers.mine.to",
            /an address/,
        ],
        [
            "no port",
            alerting({ ...email, smarthost: "smtp.example.org:99999" }),
            "alerting.receivers.mine.smarthost",
            /65535/,
        ],
        [
            "half a key",
            alerting({ type: "pagerduty", routingKey: "x" }),
            "alerting.receivers.mine.routingKey",
            /32 letters/,
        ],
        [
            "a channel in words",
            alerting({ type: "slack", url: "https://x.example.org", channel: "alerts" }),
            "alerting.receivers.mine.channel",
            /or its id/,
        ],
        ["a model beside the default one", { models: { qwen } }, "models.ministral", /say whether it is served too/],
    ])("%s", (_, config, key, fix) => {
        expect(faultsOf(config, encrypted).find((one) => one.key === key)?.fix).toMatch(fix);
    });
});

describe("taken, as it should be", () => {
    it.each<[string, Config]>([
        ["an image by version and digest", ministral({ image: `vllm/vllm-openai:v0.13.0@${digest}` })],
        ["and of a registry with a port", ministral({ image: `registry.example.org:5000/vllm:v0.13.0@${digest}` })],
        ["a repository of the first ones", ministral({ model: "gpt2" })],
        ["GGUF files by their quantization", ministral({ model: "unsloth/Qwen3-0.6B-GGUF:Q4_K_M" })],
        ["weights in object storage", ministral({ model: "s3://weights/qwen3" })],
        ["and streamed by name", ministral({ model: "gs://weights/qwen3", vllm: { loadFormat: "runai_streamer" } })],
        ["a channel by its id", alerting({ type: "slack", url: "https://x.example.org", channel: "C0123456789" })],
        ["a mail server without a login", alerting(email)],
        ["and with one", alerting({ ...email, username: "b", password: "x" })],
        ["a version as a number", { cluster: { version: 1.34 } }],
        [
            "a parser of one's own",
            ministral({ vllm: { toolCallParser: "mine", extraArgs: ["--tool-parser-plugin", "/hub/mine.py"] } }),
        ],
        [
            "arguments of every form",
            extraArgs(
                "--seed",
                "-1",
                "-O3",
                "-cc.mode",
                "3",
                "--max-num-batched-tokens=8k",
                "--enforce_eager",
                "-tp",
                "1",
            ),
        ],
        [
            "any option of a version that is not known",
            ministral({ image: "x/vllm:v0.20.0", vllm: { extraArgs: ["--new-option", "x"] } }),
        ],
        ["a metric of a version that is not known", scaling({ metric: "my_gauge" }, { image: "x/vllm:v0.20.0" })],
        ["a target below one request", scaling({ target: 0.9 }, { vllm: { maxNumSeqs: 1 } })],
        ["the default model beside another", { models: { ministral: {}, qwen } }],
        [
            "variables that are no secrets",
            env({ TOKENIZERS_PARALLELISM: "false", PROMETHEUS_DISABLE_CREATED_SERIES: "true" }),
        ],
    ])("%s", (_, config) => expect(faultsOf(config, encrypted)).toEqual([]));
});

describe("a command in a message, pasted, mends the fault", () => {
    it.each<[string, Config, string]>([
        ["no model", { models: {} }, "models"],
        ["a model beside the default one", { models: { qwen } }, "models.ministral"],
        ["an unquoted version", { cluster: { version: 1.3 } }, "cluster.version"],
        ["a reserved namespace", monitoring({ namespace: "default" }), "monitoring.namespace"],
        [
            "a class that the plan has not",
            {
                ...monitoring({ storage: { class: "csi-cinder-classic" } }),
                cluster: { plan: "standard", region: "EU-WEST-RBX" },
            },
            "monitoring.storage.class",
        ],
        [
            "weights that are streamed",
            ministral({ model: "s3://weights/x", vllm: { loadFormat: "pt" } }),
            "models.ministral.vllm.loadFormat",
        ],
    ])("%s", (_, config, key) => {
        const fault = faultsOf(config).find((one) => one.key === key)!;
        const lines = fault.fix.match(/pulumi config set (--\w+ )*\S+ [^\s,;]+/g) ?? [];
        expect(lines.length).toBeGreaterThan(0);
        for (const line of lines) expect(faultsOf(configSet(config, line)), line).toEqual([]);
    });

    it.each(["models.ministral.env.AWS_SECRET_ACCESS_KEY", "models.ministral.env.LMCACHE"])(
        "%s is encrypted",
        (key) => {
            const variable = key.split(".").at(-1)!;
            const config = env({ [variable]: "sk-very_secret" });
            const fix = `encrypt it: pulumi config set --secret --path ${key}`;
            expect(faultsOf(config)).toEqual([{ key, found: "stored in plain text", fix }]);
            expect(faultsOf(config, ["huggingFaceToken", "models"])).toEqual([]);
        },
    );
});

describe("the default model", () => {
    it("of another family keeps none of the formats, and its name and labels", () => {
        const before = parse({}).models.ministral;
        const { ministral: after } = parse(ministral(qwen)).models;
        expect(after.vllm).toEqual({ enablePrefixCaching: true, extraArgs: [] });
        expect(after).toEqual({ ...before, model: qwen.model, vllm: after.vllm });
    });

    it("by its own name is the default one", () => {
        const { model } = parse({}).models.ministral;
        expect(parse(ministral({ model }))).toEqual(parse({}));
    });

    it.each([null, "null"])("is left out with %j", (none) => {
        expect(Object.keys(parse({ models: { ministral: none, qwen } }).models)).toEqual(["qwen"]);
        expect(faultsOf({ models: { ministral: none } }).map(({ key }) => key)).toEqual(["models"]);
    });
});

it("faults come in the order of the settings, and the models in theirs", () => {
    const models = {
        qwen: { ...qwen, replicas: { max: 1000 } },
        ministral: { targets: { timeToFirstToken: 2 }, gpus: 0 },
    };
    const config = { alerting: { runbooks: "" }, cluster: { plan: "gold" }, models, projectId: "", modle: {} };
    expect(faultsOf(config).map(({ key }) => key)).toEqual([
        "modle",
        "projectId",
        "models.qwen.replicas.max",
        "models.ministral.gpus",
        "models.ministral.targets.timeToFirstToken",
        "cluster.plan",
        "alerting.runbooks",
    ]);
});

it("a kind of receiver that there is not is shown, and nothing else of it", () => {
    const config = alerting({ type: "pager", routingKey: "very_secret" });
    expect(faultsOf(config, encrypted)).toEqual([
        expect.objectContaining({ key: "alerting.receivers.mine.type", found: '"pager"' }),
    ]);
});

describe("warnings", () => {
    const warnings = (config: Config) =>
        settingsWarnings(parse(config)).filter((text) => !/^alerting|security holes/.test(text));

    it("of weights that nothing brings", () => {
        expect(warnings(ministral({ model: "/weights/qwen" }))).toEqual([
            expect.stringMatching(/^models\.ministral\.model: no volume .* at "\/weights\/qwen"/),
        ]);
        const volumes = [{ path: "/weights", permission: "RO", dataStore: { alias: "GRA", container: "x" } }];
        expect(warnings(ministral({ model: "/weights/qwen", volumes }))).toEqual([]);
    });

    it("of a storage class that Managed Kubernetes does not have", () => {
        expect(warnings(monitoring({ storage: { class: "my-own-class" } }))).toEqual([
            expect.stringMatching(/^monitoring\.storage\.class: "my-own-class" is no class of Managed Kubernetes/),
        ]);
    });
});
