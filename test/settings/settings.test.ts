import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { containerCommand } from "../../src/vllm/command-line";
import { SettingsError, type Fault } from "../../src/settings";
import { faultsOf, ministral, monitoring, parse, toSet } from "./config";
import { readProjectFile, stackFiles } from "./files";

/** What a model needs to sleep. */

describe("defaults", () => {
    it("are the reference architecture once the three values are set", () => {
        const settings = parse({});
        expect(Object.keys(settings.models)).toEqual(["ministral"]);
        expect(settings).toMatchObject({
            cluster: { name: "prometheus-vllm-metrics-ai-deploy", network: "public", nodePool: { nodes: 3 } },
            monitoring: { retention: "15d", chart: { version: "88.5.3" } },
        });
    });

    it("are those that Pulumi.yaml declares, each key with type and description", () => {
        const { config } = readProjectFile();
        expect(Object.keys(config)).toEqual([
            "projectId",
            "huggingFaceToken",
            "models",
            "cluster",
            "monitoring",
            "alerting",
            "appReaderKey",
            "clientKeys",
            "limits",
            "prices",
            "grafanaTlsKey",
            "frontDoorTlsKey",
            "controllerClientId",
            "controllerClientSecret",
        ]);
        for (const [key, declared] of Object.entries(config)) {
            expect(declared, key).toMatchObject({ type: expect.stringMatching(/^(string|object)$/) });
            expect(declared.description.length, key).toBeGreaterThan(20);
        }
        const { models, cluster, monitoring: watch } = config;
        const declared = { models: models.default, cluster: cluster.default };
        // What Pulumi.yaml declares for a part is what an empty part comes to.
        const sources = toSet.monitoring.grafana.allowedSources;
        const grafana = { ...(watch.default.grafana as object), allowedSources: sources };
        expect(parse({ ...declared, monitoring: { ...watch.default, grafana } })).toEqual(parse({}));
        expect(parse({}).cluster).toEqual(cluster.default);
        expect(parse({}).alerting).toEqual(config.alerting.default);
        expect(parse({}).monitoring).toEqual({ ...watch.default, grafana });
    });

    it("every setting is named in its description", () => {
        const { config } = readProjectFile();
        for (const key of ["models", "cluster", "monitoring", "alerting"] as const) {
            const part = key === "models" ? parse({}).models.ministral : parse({})[key];
            for (const setting of Object.keys(part)) expect(config[key].description, key).toContain(setting);
        }
    });

    it("of another model name no Mistral option, app name or label", () => {
        const { qwen, ...others } = parse({ models: { ministral: null, qwen: { model: "Qwen/Qwen3-8B" } } }).models;
        expect(others).toEqual({});
        expect(qwen).toMatchObject({
            appName: "vllm-qwen",
            labels: { ai_deploy_token: "qwen" },
            vllm: { enablePrefixCaching: true, extraArgs: [] },
            scrape: { labels: { service: "vllm", model: "qwen", environment: "production" } },
        });
        expect(JSON.stringify(qwen)).not.toMatch(/mistral/i);
    });
});

describe("a model's life", () => {
    it("has defaults", () => {
        expect(parse({}).models.ministral).toMatchObject({
            timeouts: { createSeconds: 1800, updateSeconds: 1800, deleteSeconds: 600 },
            desiredState: "RUNNING",
            replaceFirst: false,
            protect: false,
        });
    });

    it("one bound changed leaves the others", () => {
        expect(parse(ministral({ timeouts: { createSeconds: 7200 } })).models.ministral.timeouts).toEqual({
            createSeconds: 7200,
            updateSeconds: 1800,
            deleteSeconds: 600,
        });
    });

    it.each<[string, Record<string, unknown>, string, RegExp]>([
        ["no time", { timeouts: { createSeconds: 0 } }, "timeouts.createSeconds", /at least 1/],
        ["another state", { desiredState: "PAUSED" }, "desiredState", /"RUNNING", "STOPPED"/],
        ["no id of an app", { adopt: "my-app" }, "adopt", /id of an app/],
        ["a path for an id", { adopt: "../../evil" }, "adopt", /id of an app/],
        ["a surge in words", { deploymentStrategy: { maxSurge: "one" } }, "deploymentStrategy.maxSurge", /share/],
        [
            "a roll-out that cannot move",
            { deploymentStrategy: { maxSurge: "0", maxUnavailable: "0%" } },
            "deploymentStrategy",
            /: pulumi config set --path models\.ministral\.deploymentStrategy\.maxSurge 1$/,
        ],
        ["a drain in words", { drain: "no" }, "drain", /true or false|boolean/],
        [
            "weights and a path",
            { weights: { dataStore: "GRA", container: "w" }, model: "/models/a" },
            "weights",
            /keep one of weights and "\/models\/a"/,
        ],
        [
            "a revision of weights",
            { weights: { dataStore: "GRA", container: "w" }, revision: "v1.0" },
            "revision",
            /come from weights, which has no revisions/,
        ],
        ["a revision of a path", { model: "/models/a", revision: "v1.0" }, "revision", /the place "\/models\/a"/],
        ["a revision that is an option", { revision: "--port" }, "revision", /commit, tag or branch/],
        [
            "a revision among the arguments",
            { vllm: { extraArgs: ["--revision", "v1.0"] } },
            "vllm.extraArgs[0]",
            /models\.ministral\.revision <value>/,
        ],
        [
            "a volume where the weights are",
            {
                weights: { dataStore: "GRA", container: "w" },
                volumes: [{ path: "/weights", permission: "RW" }],
            },
            "volumes[0].path",
            /another path/,
        ],
        ["a label of the provider", { labels: { "pulumi-made-as": "x" } }, "labels.pulumi-made-as", /are taken/],
    ])("%s is refused by the key as one types it", (_what, settings, key, fix) => {
        expect(faultsOf(ministral(settings))).toEqual([
            expect.objectContaining({ key: `models.ministral.${key}`, fix: expect.stringMatching(fix) as string }),
        ]);
    });

    it("a number of replicas written as a number is taken", () => {
        const { deploymentStrategy } = parse(ministral({ deploymentStrategy: { maxSurge: 1 } })).models.ministral;
        expect(deploymentStrategy).toEqual({ maxSurge: "1" });
    });

    it("no app is adopted twice", () => {
        const adopt = "00000000-0000-4000-8000-000000000001";
        const models = { ministral: { adopt }, qwen: { model: "Qwen/Qwen3-8B", adopt } };
        expect(faultsOf({ models })).toEqual([
            expect.objectContaining({
                key: "models.qwen.adopt",
                fix: expect.stringContaining('"ministral"') as string,
            }),
        ]);
    });
});

describe("stack files", () => {
    it.each(Object.entries(stackFiles()))("%s needs nothing but the values it says", (_, { config, secrets }) => {
        const missing = Object.fromEntries(Object.entries(toSet).filter(([key]) => !(key in config)));
        const given = { ...config, ...Object.fromEntries(secrets.map((key) => [key, "decrypted"])) };
        expect(faultsOf({ ...missing, ...given })).toEqual([]);
    });

    it("none holds a project or token but the sandbox's, which are made up", () => {
        for (const [name, { config, secrets, salt }] of Object.entries(stackFiles())) {
            expect(
                Object.keys(config).filter((key) => key === "projectId"),
                name,
            ).toEqual(name === "sandbox" ? ["projectId"] : []);
            expect(secrets, name).toEqual(name === "sandbox" ? ["huggingFaceToken"] : []);
            // With a salt of its own `pulumi stack init sandbox` leaves the file as it is.
            expect(Boolean(salt), name).toBe(name === "sandbox");
        }
    });
});

describe("overlay", () => {
    it("changes the one value set and leaves the rest", () => {
        const before = parse({}).models.ministral;
        const after = parse(ministral({ replicas: { max: 5 }, env: { LEVEL: "debug" } })).models.ministral;
        expect(after).toEqual({
            ...before,
            replicas: { min: 1, max: 5 },
            env: { ...before.env, LEVEL: "debug" },
        });
    });

    it("null takes a default away", () => {
        const settings = parse(ministral({ env: { HF_HOME: null }, vllm: { tokenizerMode: null } })).models.ministral;
        expect(settings.env).not.toHaveProperty("HF_HOME");
        expect(settings.vllm).not.toHaveProperty("tokenizerMode");
        expect(settings.vllm.loadFormat).toBe("mistral");
    });

    it("an empty entry means the defaults", () => {
        expect(parse({ models: "null", cluster: "null" })).toEqual(parse({}));
        expect(parse(ministral({}))).toEqual(parse({}));
    });

    it("lists replace", () => {
        const volumes = [{ path: "/hub", permission: "RO" }];
        expect(parse(ministral({ volumes })).models.ministral.volumes).toEqual(volumes);
    });

    it("numbers and truths of the command line become text where text is meant, and text a decimal", () => {
        const settings = parse(
            ministral({ env: { A: 1, B: true }, labels: { tier: 2 }, vllm: { gpuMemoryUtilization: "0.85" } }),
        ).models.ministral;
        expect(settings.env).toMatchObject({ A: "1", B: "true" });
        expect(settings.labels.tier).toBe("2");
        expect(settings.vllm.gpuMemoryUtilization).toBe(0.85);
    });
});

describe("faults", () => {
    it.each<[string, Record<string, unknown>, string, string, RegExp]>([
        ["project missing", { projectId: "" }, "projectId", "not set", /pulumi config set projectId/],
        ["project malformed", { projectId: "my project" }, "projectId", '"my project"', /32 hexadecimal digits/],
        ["token missing", { huggingFaceToken: undefined }, "huggingFaceToken", "not set", /config set --secret/],
        ["no sources", { monitoring: {} }, "monitoring.grafana.allowedSources", "[]", /0\.0\.0\.0\/0 opens it to all/],
        [
            "one address",
            monitoring({ grafana: { allowedSources: ["198.51.100.7"] } }),
            "monitoring.grafana.allowedSources[0]",
            '"198.51.100.7"',
            /"198\.51\.100\.7\/32"/,
        ],
        [
            "host bits",
            monitoring({ grafana: { allowedSources: ["198.51.100.7/24"] } }),
            "monitoring.grafana.allowedSources[0]",
            '"198.51.100.7/24"',
            /"198\.51\.100\.0\/24"/,
        ],
        ["unknown key", { modles: {} }, "modles", "no such setting", /did you mean "models"/],
        [
            "unknown key inside",
            ministral({ replicas: { maximum: 3 } }),
            "models.ministral.replicas.maximum",
            "no such setting",
            /settings here are min, max/,
        ],
        [
            "misspelt key",
            ministral({ scaling: { agregation: "SUM" } }),
            "models.ministral.scaling.agregation",
            "no such setting",
            /did you mean "aggregation"/,
        ],
        ["no models", { models: {} }, "models", "{}", /name at least one: pulumi config/],
        ["model name", { models: { "My Model": {} } }, 'models["My Model"]', "a name that does not fit", /lower-case/],
        ["no such model", { models: { qwen: {} } }, "models.qwen.model", "not set", /Hugging Face repository/],
        [
            "zero replicas",
            ministral({ replicas: { max: 0 } }),
            "models.ministral.replicas.max",
            "0",
            /^give at least 1$/,
        ],
        [
            "a cooldown of a model that never sleeps",
            ministral({ scaling: { cooldownSeconds: 60 } }),
            "models.ministral.scaling.cooldownSeconds",
            "60",
            /^only a model with replicas\.min of 0.*: pulumi config rm --path/,
        ],
        [
            "a cooldown of more than an hour",
            { ...ministral({ replicas: { min: 0 }, scaling: { cooldownSeconds: 3601 } }) },
            "models.ministral.scaling.cooldownSeconds",
            "3601",
            /at most 3600/,
        ],
        [
            "sleep by a metric that is 0 while requests run",
            {
                ...ministral({ replicas: { min: 0 }, scaling: { metric: "vllm:num_requests_waiting", target: 5 } }),
            },
            "models.ministral.scaling.metric",
            '"vllm:num_requests_waiting"',
            /^give vllm:num_requests_running/,
        ],
        [
            "sleep as soon as one of several replicas idles",
            { ...ministral({ replicas: { min: 0 }, scaling: { aggregation: "MIN" } }) },
            "models.ministral.scaling.aggregation",
            '"MIN"',
            /AVERAGE, MAX or SUM/,
        ],
        [
            "sleep between two looks",
            {
                ...ministral({
                    replicas: { min: 0 },
                    scaling: { scaleDownStabilizationSeconds: 60, cooldownSeconds: 10 },
                }),
            },
            "models.ministral.scaling.cooldownSeconds",
            "10",
            /^give at least 60: /,
        ],
        [
            "sleep and a scrape that would prevent it",
            { ...ministral({ replicas: { min: 0 } }), ...monitoring({ replicaMetrics: "direct" }) },
            "monitoring.replicaMetrics",
            '"direct"',
            /scraped directly "ministral" would never sleep/,
        ],
        [
            "min above max",
            ministral({ replicas: { min: 4 } }),
            "models.ministral.replicas.min",
            "4",
            /at most replicas\.max, which is 3/,
        ],
        [
            "replicas without end",
            ministral({ replicas: { max: 1e9 } }),
            "models.ministral.replicas.max",
            "1000000000",
            /^give at most 100: /,
        ],
        [
            "a namespace of Kubernetes",
            monitoring({ namespace: "kube-system" }),
            "monitoring.namespace",
            '"kube-system"',
            /config set --path monitoring\.namespace monitoring$/,
        ],
        [
            "everyone's namespace",
            monitoring({ namespace: "default" }),
            "monitoring.namespace",
            '"default"',
            /one of its own/,
        ],
        ["half a GPU", ministral({ gpus: 1.5 }), "models.ministral.gpus", "1.5", /whole number/],
        ["no target", ministral({ scaling: { target: 0 } }), "models.ministral.scaling.target", "0", /more than 0/],
        [
            "aggregation",
            ministral({ scaling: { aggregation: "average" } }),
            "models.ministral.scaling.aggregation",
            '"average"',
            /"AVERAGE", "MAX", "MIN", "SUM"/,
        ],
        [
            "window",
            ministral({ scaling: { scaleDownStabilizationSeconds: 7200 } }),
            "models.ministral.scaling.scaleDownStabilizationSeconds",
            "7200",
            /at most 3600/,
        ],
        [
            "image without version",
            ministral({ image: "vllm/vllm-openai" }),
            "models.ministral.image",
            '"vllm/vllm-openai"',
            /exact version/,
        ],
        [
            "image latest",
            ministral({ image: "vllm/vllm-openai:latest" }),
            "models.ministral.image",
            '"vllm/vllm-openai:latest"',
            /exact version/,
        ],
        [
            "tool choice without parser",
            ministral({ vllm: { toolCallParser: null } }),
            "models.ministral.vllm.toolCallParser",
            "not set",
            /does not start/,
        ],
        [
            "token without label",
            ministral({ labels: { ai_deploy_token: null } }),
            "models.ministral.tokens.label",
            '"ai_deploy_token"',
            /opens nothing/,
        ],
        [
            "platform's label",
            ministral({ labels: { "ovh/id": "x" } }),
            'models.ministral.labels["ovh/id"]',
            "a name that does not fit",
            /are taken/,
        ],
        [
            "a path mounted twice",
            ministral({ volumes: ["/hub", "/hub"].map((path) => ({ path, permission: "RW" })) }),
            "models.ministral.volumes[1].path",
            '"/hub"',
            /path of its own/,
        ],
        [
            "label of vLLM's own",
            ministral({ scrape: { labels: { finished_reason: "x" } } }),
            "models.ministral.scrape.labels.finished_reason",
            '"x"',
            /have a label of this name already/,
        ],
        [
            "bucket label",
            ministral({ scrape: { labels: { le: "x" } } }),
            "models.ministral.scrape.labels.le",
            '"x"',
            /have a label of this name already/,
        ],
        [
            "expression as scaling metric",
            ministral({ scaling: { metric: 'up{job="x"}' } }),
            "models.ministral.scaling.metric",
            '"up{job=\\"x\\"}"',
            /name of a metric/,
        ],
        [
            "template in the runbooks",
            { alerting: { runbooks: "https://x.example.org/{{.x}}" } },
            "alerting.runbooks",
            '"https://x.example.org/{{.x}}"',
            /run as a template/,
        ],
        ...[
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "\x01javascript:alert(1)",
            "data:text/html,x",
            "file:///etc",
        ].map((runbooks): [string, Record<string, unknown>, string, string, RegExp] => [
            `runbooks at ${JSON.stringify(runbooks)}`,
            { alerting: { runbooks } },
            "alerting.runbooks",
            JSON.stringify(runbooks),
            /begins with https:\/\/ or http:/,
        ]),
        [
            "interval longer than the rules' windows bear",
            { monitoring: { scrapeInterval: "5m", grafana: { allowedSources: ["198.51.100.7/32"] } } },
            "monitoring.scrapeInterval",
            '"5m"',
            /from "5s" to "2m"/,
        ],
        ["plan", { cluster: { plan: "gold" } }, "cluster.plan", '"gold"', /"free", "standard"/],
        [
            "underscore in a pool",
            { cluster: { nodePool: { name: "my_pool" } } },
            "cluster.nodePool.name",
            '"my_pool"',
            /no underscore/,
        ],
        ["VLAN", { cluster: { network: "private" } }, "cluster.private.vlanId", "not set", /VLAN of the vRack/],
        [
            "range of the pods",
            { cluster: { network: "private", private: { vlanId: 7, cidr: "10.2.128.0/20" } } },
            "cluster.private.cidr",
            '"10.2.128.0/20"',
            /apart from 10\.2\.0\.0\/16/,
        ],
        [
            "range around the services",
            { cluster: { network: "private", plan: "standard", private: { vlanId: 7, cidr: "10.0.0.0/8" } } },
            "cluster.private.cidr",
            '"10.0.0.0/8"',
            /apart from 10\.240\.0\.0\/13/,
        ],
        [
            "pool outside its limits",
            { cluster: { nodePool: { autoscale: { min: 4, max: 6 } } } },
            "cluster.nodePool.nodes",
            "3",
            /give 4 to 6/,
        ],
        ["retention", monitoring({ retention: "15" }), "monitoring.retention", '"15"', /"15d"/],
        [
            "timeout above interval",
            monitoring({ scrapeInterval: "5s" }),
            "monitoring.scrapeTimeout",
            '"10s"',
            /scrapeInterval, which is "5s"/,
        ],
        [
            "size",
            monitoring({ storage: { prometheus: "50GB" } }),
            "monitoring.storage.prometheus",
            '"50GB"',
            /in whole Gi or Ti/,
        ],
        ["chart", monitoring({ chart: { version: "^88" } }), "monitoring.chart.version", '"^88"', /exact version/],
        [
            "not an object",
            { cluster: "GRA11" },
            "cluster",
            '"GRA11"',
            /give a map of name, region|give a map of namespace/,
        ],
        [
            "broken JSON",
            { monitoring: '{"grafana":' },
            "monitoring",
            '"{\\"grafana\\":"',
            /give a map of name, region|give a map of namespace/,
        ],
    ])("%s", (_, config, key, found, fix) => {
        const faults = faultsOf(config);
        const fault = faults.find((one) => one.key === key);
        expect(fault, JSON.stringify(faults)).toMatchObject({ key, found, fix: expect.stringMatching(fix) });
    });

    it("0.0.0.0/0 holds when it is written out, and no sources are needed inside", () => {
        expect(faultsOf(monitoring({ grafana: { allowedSources: ["0.0.0.0/0"] } }))).toEqual([]);
        expect(faultsOf(monitoring({ grafana: { access: "internal" } }))).toEqual([]);
    });

    it("all are in one message, a line each, with project, key, value and fix", () => {
        const config = {
            projectId: "",
            ...ministral({ replicas: { max: 0 }, image: "x:latest", scaling: { target: 3000 } }),
            cluster: { plan: "gold" },
            monitoring: { grafana: { allowedSources: ["not-a-network"] } },
        };
        expect(() => parse(config)).toThrow(SettingsError);
        const message = (() => {
            try {
                parse(config);
                return "";
            } catch (error) {
                return (error as Error).message;
            }
        })();
        const [head, ...lines] = message.split("\n");
        expect(head).toBe("the stack config has 6 faults, so nothing was changed:");
        expect(lines).toHaveLength(6);
        expect(lines).toContain("  ovhcloud-llm-serving:models.ministral.replicas.max: 0; give at least 1");
        for (const line of lines) expect(line).toMatch(/^ {2}ovhcloud-llm-serving:[^\s:]+: .+; .+$/);
    });

    it("two models share neither app name nor token label", () => {
        const twin = {
            model: "Qwen/Qwen3-8B",
            appName: "vllm-ministral-14B-autoscaling-custom-metric",
            labels: { ai_deploy_token: "my_operator_token" },
        };
        expect(faultsOf({ models: { ministral: {}, twin } }).map(({ key }) => key)).toEqual([
            "models.twin.appName",
            "models.twin.labels.ai_deploy_token",
        ]);
    });
});

describe("a scaling rule that could never fire", () => {
    it.each<[string, object, object, boolean]>([
        ["the default", {}, {}, true],
        ["the most that passes vLLM's default of 1,024 on an H100 by 10 %", { target: 930 }, {}, true],
        ["one more", { target: 931 }, {}, false],
        ["more requests at once allow more", { target: 931 }, { maxNumSeqs: 2048 }, true],
        ["fewer allow less", { target: 50 }, { maxNumSeqs: 32 }, false],
        ["waiting requests have no limit", { metric: "vllm:num_requests_waiting", target: 1000 }, {}, true],
        ["a share of the cache", { metric: "vllm:kv_cache_usage_perc", target: 0.8 }, {}, true],
        ["of more than there is", { metric: "vllm:kv_cache_usage_perc", target: 80 }, {}, false],
        ["a counter", { metric: "vllm:prompt_tokens_total" }, {}, false],
        ["a metric that does not exist", { metric: "vllm:num_requests_swapped" }, {}, false],
        ["a metric of something else", { metric: "my_gauge", target: 1000 }, {}, false],
    ])("%s", (_, scaling, vllm, fine) => {
        const keys = faultsOf(ministral({ scaling, vllm })).map(({ key }) => key);
        expect(keys).toEqual(fine ? [] : [expect.stringMatching(/^models\.ministral\.scaling\.(target|metric)$/)]);
    });

    it("a GPU with less memory runs fewer requests at once", () => {
        const rule = (target: number) => ministral({ flavor: "l40s-1-gpu", scaling: { target } });
        expect(faultsOf(rule(232))).toEqual([]);
        expect(faultsOf(rule(233)).map(({ fix }) => fix)).toEqual([
            expect.stringMatching(/^give at most 232: by default vLLM runs at most 256 requests at once here/),
        ]);
    });

    it("a sum counts every replica that always runs", () => {
        const rule = (min: number) => ministral({ replicas: { min }, scaling: { aggregation: "SUM", target: 1000 } });
        expect(faultsOf(rule(1)).map(({ key }) => key)).toEqual(["models.ministral.scaling.target"]);
        expect(faultsOf(rule(2))).toEqual([]);
    });

    it("is told with the highest target that works", () => {
        fc.assert(
            fc.property(fc.integer({ min: 8, max: 4096 }), fc.integer({ min: 1, max: 5000 }), (maxNumSeqs, target) => {
                const [fault] = faultsOf(ministral({ scaling: { target }, vllm: { maxNumSeqs } }));
                expect(fault === undefined).toBe(target * 1.1 < maxNumSeqs);
                if (!fault) return;
                const most = Number(/give at most (\d+)/.exec(fault.fix)![1]);
                expect(faultsOf(ministral({ scaling: { target: most }, vllm: { maxNumSeqs } }))).toEqual([]);
                expect(faultsOf(ministral({ scaling: { target: most + 1 }, vllm: { maxNumSeqs } }))).toHaveLength(1);
            }),
        );
    });
});

describe("names that every object of JavaScript has", () => {
    // Written out, since a literal's __proto__ is no key.
    const config = (part: string, name: string) => ({ models: `{"ministral": {${part.replaceAll("NAME", name)}}}` });

    it.each(["toString", "constructor", "hasOwnProperty", "valueOf"])("%s is one like any other", (name) => {
        const given = '"labels": {"NAME": "x"}, "scrape": {"labels": {"NAME": "x"}}, "env": {"NAME": "x"}';
        const { labels, scrape, env } = parse(config(given, name)).models.ministral;
        for (const map of [labels, scrape.labels, env]) {
            expect(Object.entries(map)).toContainEqual([name, "x"]);
            expect(Object.keys(map).length).toBeGreaterThan(1);
        }
        expect(faultsOf(config('"tokens": {"label": "NAME"}', name))).toEqual([
            expect.objectContaining({ key: "models.ministral.tokens.label", found: JSON.stringify(name) }),
        ]);
        const { ministral } = parse(config('"labels": {"NAME": "x"}, "tokens": {"label": "NAME"}', name)).models;
        expect(ministral.tokens.label).toBe(name);
    });

    it.each([
        ["labels.__proto__", '"labels": {"__proto__": "x"}'],
        ["env.__proto__", '"env": {"__proto__": "x"}'],
        ["scrape.labels.__proto__", '"scrape": {"labels": {"__proto__": "x"}}'],
        ["vllm.__proto__", '"vllm": {"__proto__": "x"}'],
    ])("%s is refused once, not lost", (key, part) => {
        expect(faultsOf(config(part, "")).map((fault) => fault.key)).toEqual([`models.ministral.${key}`]);
    });

    it("a model called so is refused", () => {
        expect(faultsOf({ models: '{"__proto__": {"model": "a/b"}}' }).map(({ key }) => key)).toContain(
            "models.__proto__",
        );
    });
});

it.each(["models", "monitoring", "alerting"])("a %s nested without end is one fault", (key) => {
    for (const [open, close] of [
        ["[", "]"],
        ['{"a":', "}"],
    ]) {
        const deep = `${open.repeat(20_000)}1${close.repeat(20_000)}`;
        expect(faultsOf({ [key]: deep })).toEqual([
            expect.objectContaining({ key, found: "more than 100 levels deep" }) as Fault,
        ]);
    }
});

describe("an extra argument that a setting writes", () => {
    it.each([
        ["--model", "model"],
        ["--port=9000", "port"],
        ["--served-model-name", "vllm.servedModelName"],
        ["--max_num_seqs=32", "vllm.maxNumSeqs"],
        ["--max-num_seqs 32", "vllm.maxNumSeqs"],
        ["--tokenizer-mode=auto", "vllm.tokenizerMode"],
        ["--no-enable-prefix-caching", "vllm.enablePrefixCaching"],
        ["--no_enable_prefix_caching", "vllm.enablePrefixCaching"],
    ])("%s is refused by the name of the setting", (argument, setting) => {
        expect(faultsOf(ministral({ vllm: { extraArgs: ["--seed", "7", argument] } }))).toEqual([
            {
                key: "models.ministral.vllm.extraArgs[2]",
                found: JSON.stringify(argument),
                fix: `leave it out, with its value: pulumi config set --path models.ministral.${setting} <value>`,
            },
        ]);
    });

    it("each of them is: all that the settings make of the command line, and no other", () => {
        const settings = parse(
            ministral({
                port: 9000,
                vllm: { servedModelName: "x", maxModelLen: 1, maxNumSeqs: 99, gpuMemoryUtilization: 0.5 },
            }),
        ).models.ministral;
        const options = containerCommand(settings).at(-1)!.match(/--\S+/g)!;
        expect(options).toHaveLength(12);
        const faults = faultsOf(ministral({ vllm: { extraArgs: options } }));
        expect(faults.map(({ key }) => key)).toEqual(options.map((_, i) => `models.ministral.vllm.extraArgs[${i}]`));
        const others = ["--max-num-batched-tokens", "8k", "-tp", "1", "--model-impl=auto", "--seed", "-1"];
        expect(faultsOf(ministral({ vllm: { extraArgs: others } }))).toEqual([]);
    });
});

describe("the range of a private network", () => {
    const faults = (cidr: string, nodePool: object = {}) =>
        faultsOf({ cluster: { network: "private", nodePool, private: { vlanId: 7, cidr } } });

    it.each([
        ["10.100.0.0/20", {}],
        ["192.168.0.16/28", {}],
        ["100.64.0.0/24", { nodes: 100 }],
    ])("%s holds %j", (cidr, nodePool) => expect(faults(cidr, nodePool)).toEqual([]));

    it.each([
        ["10.100.0.0/32", {}, /^give a \/28 or larger, such as "10\.100\.0\.0\/28": 3 nodes/],
        ["10.100.0.20/30", {}, /such as "10\.100\.0\.16\/28": 3 nodes/],
        ["192.168.0.16/28", { nodes: 7 }, /such as "192\.168\.0\.0\/27": 7 nodes/],
        ["10.100.0.0/28", { autoscale: { min: 1, max: 100 } }, /such as "10\.100\.0\.0\/25": 100 nodes/],
        ["0.0.0.0/0", {}, /^give a range within 10\.0\.0\.0\/8, 172/],
        ["128.0.0.0/1", {}, /^give a range within/],
        ["203.0.113.0/24", {}, /^give a range within/],
    ])("%s does not, with %j", (cidr, nodePool, fix) => {
        expect(faults(cidr, nodePool)).toEqual([
            { key: "cluster.private.cidr", found: JSON.stringify(cidr), fix: expect.stringMatching(fix) as string },
        ]);
    });

    it("what is named instead is accepted", () => {
        for (const nodes of [1, 3, 6, 7, 22, 100]) {
            const [{ fix }] = faults("10.100.0.64/31", { nodes });
            expect(faults(/such as "(.+?)"/.exec(fix)![1], { nodes })).toEqual([]);
        }
    });
});

describe("secrets", () => {
    it("a token stored in plain text is refused", () => {
        expect(faultsOf({}, [])).toEqual([
            expect.objectContaining({ key: "huggingFaceToken", found: "stored in plain text" }),
        ]);
    });

    it.each<[string, Record<string, unknown>, string[]]>([
        ["the token", { huggingFaceToken: "hf very_secret" }, ["huggingFaceToken"]],
        ["a variable", ministral({ env: { KEY: ["very_secret"] } }), ["huggingFaceToken"]],
        ["a variable of the token's name", ministral({ env: { HF_TOKEN: "very_secret" } }), ["huggingFaceToken"]],
        [
            "anything in a part that holds an encrypted value",
            ministral({ image: "very_secret" }),
            ["huggingFaceToken", "models"],
        ],
        ["a broken part", { models: '{"x": "very_secret"' }, ["huggingFaceToken", "models"]],
    ])("%s is not shown", (_, config, secretKeys) => {
        const faults = faultsOf(config, secretKeys);
        expect(faults.map(({ found }) => found)).toEqual(["[secret]"]);
        expect(JSON.stringify(faults)).not.toContain("very_secret");
    });
});

it("whatever is in the config, the answer is settings or a list of faults, and no secret", () => {
    const keys = fc.constantFrom(
        "models",
        "cluster",
        "monitoring",
        "ministral",
        "env",
        "vllm",
        "nodePool",
        "grafana",
        "x",
        "__proto__",
    );
    const value = fc.letrec((tie) => ({
        any: fc.oneof(
            { depthSize: "small" },
            fc.constantFrom<unknown>(null, true, 0, -1, 1.5, "", "text", []),
            fc.array(tie("any"), { maxLength: 2 }),
            fc.dictionary(keys, tie("any"), { maxKeys: 3 }),
        ),
    })).any;
    const part = fc.constantFrom("models", "cluster", "monitoring", "projectId", "other");
    fc.assert(
        fc.property(fc.dictionary(part, value), (config) => {
            const faults = faultsOf(config);
            expect(JSON.stringify(faults)).not.toContain("hf_very_secret");
            for (const fault of faults) expect(Object.values(fault).every(Boolean), JSON.stringify(fault)).toBe(true);
        }),
        { numRuns: 500 },
    );
});
