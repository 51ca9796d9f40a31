import { describe, expect, it } from "vitest";
import { monitoringChecks } from "../../src/monitoring/settings-checks";
import { parseSettings, SettingsError, settingsWarnings } from "../../src/settings";
import { faultsOf as faultsOfConfig, parse as parseConfig, toSet } from "./config";

const encrypted = ["huggingFaceToken", "alerting", "grafanaTlsKey"];
const parse = (config: Record<string, unknown>) => parseConfig(config, encrypted);
const faultsOf = (config: Record<string, unknown>, secretKeys = encrypted) => faultsOfConfig(config, secretKeys);

const hook = { type: "webhook", url: "https://alerts.example.org/very-secret" };
const alerting = (receivers: unknown, routes: unknown = {}) => ({ alerting: { receivers, routes } });
const targets = (over: object) => ({ models: { ministral: { targets: over } } });
const grafana = (over: object) => ({
    monitoring: { grafana: { allowedSources: ["198.51.100.7/32"], ...over } },
});
const pem = (kind: string) => `-----BEGIN ${kind}-----\nMIIB\n-----END ${kind}-----\n`;
const ingress = { host: "grafana.example.org", class: "nginx" };

describe("a secret in plain text", () => {
    const receivers = { a: hook, b: { type: "pagerduty", routingKey: "very-secret-key" } };
    const secure = { secure: "v1:made-up" };
    const stored = (key: string, secretKeys: string[], stackFile?: Record<string, unknown>): string[] => {
        const values = {
            ...toSet,
            monitoring: JSON.stringify(toSet.monitoring),
            alerting: JSON.stringify({ receivers }),
        };
        try {
            parseSettings({ values, secretKeys: new Set(["huggingFaceToken", ...secretKeys]), stackFile }, "p", []);
        } catch (error) {
            expect(String(error)).not.toContain("very-secret");
            return (error as SettingsError).faults.filter(({ found }) => found === key).map((fault) => fault.key);
        }
        return [];
    };
    const plain = (secretKeys: string[], stackFile?: Record<string, unknown>) =>
        stored("stored in plain text", secretKeys, stackFile);
    const [url, key] = ["alerting.receivers.a.url", "alerting.receivers.b.routingKey"];
    const b = { type: "pagerduty", routingKey: secure };

    it("is refused, each with the command that encrypts it", () => {
        expect(plain([])).toEqual([url, key]);
        expect(() => parseConfig({ alerting: { receivers } }, ["huggingFaceToken"])).toThrow(
            `pulumi config set --secret --path ${key}`,
        );
    });

    it.each<[string, unknown]>([
        ["as YAML", { receivers: { a: hook, b } }],
        ["as JSON in a text", JSON.stringify({ receivers: { a: hook, b } })],
    ])("is refused beside an encrypted one, which the stack file tells, %s", (_form, alertingInFile) => {
        expect(plain(["alerting"], { alerting: alertingInFile })).toEqual([url]);
    });

    it.each<[string, Record<string, unknown> | undefined]>([
        ["all encrypted", { alerting: { receivers: { a: { ...hook, url: secure }, b } } }],
        ["the whole encrypted", { alerting: secure }],
        ["no stack file", undefined],
        ["one that is not this config's", { alerting: { receivers: { a: { ...hook, url: "https://other" }, b } } }],
        ["an empty one", {}],
        ["one of another shape", { alerting: { receivers: ["a"] } }],
    ])("is not seen where there is none: %s", (_what, stackFile) => {
        expect(plain(["alerting"], stackFile)).toEqual([]);
    });
});

describe("receivers", () => {
    it("of every kind are taken, each in a route", () => {
        const receivers = {
            hook,
            team: { type: "slack", url: "https://hooks.example.org/x", channel: "#llm" },
            mail: {
                type: "email",
                to: "a@example.org",
                from: "b@example.org",
                smarthost: "smtp.example.org:587",
                username: "b",
                password: "x",
            },
            oncall: { type: "pagerduty", routingKey: "0123456789abcdef0123456789abcdef" },
            ops: { type: "opsgenie", apiKey: "x", region: "eu" },
        };
        const routes = { page: ["oncall", "ops"], ticket: ["team", "mail"], heartbeat: ["hook"] };
        expect(parse(alerting(receivers, routes)).alerting).toMatchObject({ receivers, routes });
    });

    it.each<[string, Record<string, unknown>, string, RegExp]>([
        ["no such kind", alerting({ x: { type: "pager" } }), "alerting.receivers.x.type", /webhook, slack, email/],
        [
            "a key of another kind",
            alerting({ x: { ...hook, recipient: "#x" } }),
            "alerting.receivers.x.recipient",
            /settings here are type, url$/,
        ],
        [
            "no channel",
            alerting({ x: { ...hook, type: "slack" } }),
            "alerting.receivers.x.channel",
            /channel '#alerts'/,
        ],
        ["no address", alerting({ x: { type: "webhook", url: "example" } }), "alerting.receivers.x.url", /http\(s\)/],
        ["name", alerting({ "On Call": hook }), 'alerting.receivers["On Call"]', /lower-case/],
        [
            "nobody of this name",
            alerting({ hook }, { page: ["hock"], ticket: ["hook"] }),
            "alerting.routes.page[0]",
            /hook/,
        ],
        ["in no route", alerting({ hook }), "alerting.receivers.hook", /told of nothing/],
        [
            "no such tier",
            alerting({ hook }, { pages: ["hook"], page: ["hook"] }),
            "alerting.routes.pages",
            /did you mean "page"/,
        ],
    ])("%s", (_, config, key, fix) => {
        const faults = faultsOf(config);
        expect(faults.map((fault) => fault.key)).toContain(key);
        expect(faults.find((fault) => fault.key === key)!.fix).toMatch(fix);
        expect(JSON.stringify(faults)).not.toContain("very-secret");
    });

    it("are refused in plain text, and not repeated", () => {
        const faults = faultsOf(alerting({ hook }, { page: ["hook"] }), ["huggingFaceToken"]);
        expect(faults).toEqual([
            {
                key: "alerting.receivers.hook.url",
                found: "stored in plain text",
                fix: "encrypt it: pulumi config set --secret --path alerting.receivers.hook.url",
            },
        ]);
    });
});

describe("targets", () => {
    it.each<[string, Record<string, unknown>, string, RegExp]>([
        ["between two bounds", targets({ timeToFirstToken: 2 }), "timeToFirstToken", /give 1 or 2\.5 \(seconds\)/],
        ["of no token", targets({ interTokenLatency: 0 }), "interTokenLatency", /give 0\.01 or/],
        ["too loose to be watched", targets({ withinTargets: 0.9 }), "withinTargets", /more than 0\.931/],
        ["too large a budget", targets({ errorBudget: 0.1 }), "errorBudget", /less than 0\.069/],
        ["a percentage", targets({ withinTargets: 95 }), "withinTargets", /less than 1|too|most/],
    ])("%s", (_, config, key, fix) => {
        const [fault, ...others] = faultsOf(config);
        expect(others).toEqual([]);
        expect(fault.key).toBe(`models.ministral.targets.${key}`);
        expect(fault.fix).toMatch(fix);
    });

    it("of the command line are text", () => {
        const { ministral } = parse(targets({ timeToFirstToken: "0.5" })).models;
        expect(ministral.targets).toEqual({
            timeToFirstToken: 0.5,
            interTokenLatency: 0.05,
            withinTargets: 0.95,
            errorBudget: 0.01,
        });
    });
});

describe("scaling metric", () => {
    const scaling = (metric: string, image?: string) => ({
        models: { ministral: { scaling: { metric, target: 5 }, ...(image && { image }) } },
    });
    it.each<[string, Record<string, unknown>, RegExp]>([
        ["that is gone", scaling("vllm:gpu_cache_usage_perc"), /vllm:kv_cache_usage_perc, since 0\.12/],
        ["of a later version", scaling("vllm:num_requests_waiting_by_reason"), /vLLM 0\.13\.0 has.*0\.33\.0 only/],
    ])("%s", (_, config, fix) => {
        expect(faultsOf(config)[0]).toMatchObject({ key: "models.ministral.scaling.metric" });
        expect(faultsOf(config)[0].fix).toMatch(fix);
    });

    it("of the image's own version is taken, and of an image that is not known too", () => {
        for (const image of ["vllm/vllm-openai:v0.33.0", "vllm/vllm-openai:v0.20.0"]) {
            expect(faultsOf(scaling("vllm:num_requests_waiting_by_reason", image))).toEqual([]);
        }
    });
});

describe("own values of the chart", () => {
    const values = (own: object) => ({ monitoring: { ...toSet.monitoring, chart: { values: own } } });
    const config = (own: object) => values({ alertmanager: { config: own } });
    const key = (path: string) => `monitoring.chart.values.${path}`;

    it("are taken: resources, jobs, receivers with routes, and what is no concern of ours", () => {
        const own = {
            grafana: { resources: { limits: { memory: "1Gi" } }, "grafana.ini": { smtp: { enabled: true } } },
            prometheus: { prometheusSpec: { additionalScrapeConfigs: [{ job_name: "gpu" }], replicas: 2 } },
            kubeProxy: { enabled: true },
            alertmanager: {
                config: {
                    global: { resolve_timeout: "10m" },
                    receivers: [{ name: "mine", webhook_configs: [{ url_file: "/etc/x" }] }],
                    route: {
                        routes: [{ receiver: "mine", matchers: ['team = "mine"'], active_time_intervals: ["day"] }],
                    },
                    time_intervals: [{ name: "day", time_intervals: [{ weekdays: ["monday:friday"] }] }],
                },
            },
        };
        expect(faultsOf(values(own))).toEqual([]);
    });

    it.each<[string, Record<string, unknown>, string, RegExp]>([
        ["another name", values({ fullnameOverride: "x" }), "fullnameOverride", /leave it out.*name/],
        ["no Grafana", values({ grafana: { enabled: false } }), "grafana.enabled", /leave it out/],
        [
            "a selector that leaves ours out",
            values({ prometheus: { prometheusSpec: { scrapeConfigSelector: { matchLabels: { a: "b" } } } } }),
            "prometheus.prometheusSpec.scrapeConfigSelector",
            /jobs and rules of the models/,
        ],
        [
            "rules in the list that is not read",
            values({ additionalPrometheusRules: [] }),
            "additionalPrometheusRules",
            /additionalPrometheusRulesMap/,
        ],
        [
            "what has a setting",
            values({ prometheus: { prometheusSpec: { retention: "1d" } } }),
            "prometheus.prometheusSpec.retention",
            /set monitoring\.retention/,
        ],
        [
            "a second load balancer",
            values({ grafana: { service: { type: "LoadBalancer" } } }),
            "grafana.service.type",
            /monitoring\.grafana\.access/,
        ],
        [
            "a second default data source",
            values({ grafana: { additionalDataSources: [{ name: "x", isDefault: true }] } }),
            "grafana.additionalDataSources[0].isDefault",
            /leave it out/,
        ],
        [
            "a job called like ours",
            values({ prometheus: { prometheusSpec: { additionalScrapeConfigs: [{ job_name: "vllm-ministral" }] } } }),
            "prometheus.prometheusSpec.additionalScrapeConfigs[0].job_name",
            /another name/,
        ],
        [
            "two jobs of one name",
            values({
                prometheus: { prometheusSpec: { additionalScrapeConfigs: [{ job_name: "a" }, { job_name: "a" }] } },
            }),
            "prometheus.prometheusSpec.additionalScrapeConfigs[1].job_name",
            /name of its own/,
        ],
        ["text in place of ours", config("global: {}" as never), "alertmanager.config", /give a map/],
        [
            "a route to a receiver that there is not",
            config({ route: { routes: [{ receiver: "nobody-knows" }] } }),
            "alertmanager.config.route.routes[0].receiver",
            /null, heartbeat, page, ticket, info$/,
        ],
        [
            "a receiver called like ours",
            config({ receivers: [{ name: "page" }] }),
            "alertmanager.config.receivers[0].name",
            /stack's own/,
        ],
        [
            "a misspelled key of a receiver",
            config({ receivers: [{ name: "x", webhook_configs: [{ uri: "https://x" }] }] }),
            "alertmanager.config.receivers[0].webhook_configs[0].uri",
            /did you mean "url"/,
        ],
    ])("%s is refused", (_, own, path, fix) => {
        expect(faultsOf(own).find((one) => one.key === key(path))?.fix).toMatch(fix);
    });
});

describe("Grafana's access", () => {
    it.each<[string, Record<string, unknown>, string, RegExp]>([
        [
            "half the world",
            grafana({ allowedSources: ["0.0.0.0/1"] }),
            "monitoring.grafana.allowedSources[0]",
            /0\.0\.0\.0\/0 if/,
        ],
        ["ingress without a host", grafana({ access: "ingress" }), "monitoring.grafana.ingress", /host and class/],
        [
            "ingress without a certificate",
            grafana({ access: "ingress", ingress }),
            "monitoring.grafana.ingress",
            /issuer .* certificate/,
        ],
        [
            "both certificates",
            grafana({ access: "ingress", ingress: { ...ingress, issuer: "x", certificate: pem("CERTIFICATE") } }),
            "monitoring.grafana.ingress",
            /one of/,
        ],
        [
            "certificate without key",
            grafana({ access: "ingress", ingress: { ...ingress, certificate: pem("CERTIFICATE") } }),
            "grafanaTlsKey",
            /config set --secret grafanaTlsKey/,
        ],
        [
            "key without certificate",
            { grafanaTlsKey: pem("PRIVATE KEY") },
            "grafanaTlsKey",
            /pulumi config rm grafanaTlsKey/,
        ],
        [
            "no sources for the ingress",
            { monitoring: { grafana: { access: "ingress", ingress: { ...ingress, issuer: "x" } } } },
            "monitoring.grafana.allowedSources",
            /who may reach/,
        ],
        ["a key that is none", { grafanaTlsKey: "secret" }, "grafanaTlsKey", /PEM/],
    ])("%s", (_, config, key, fix) => {
        const fault = faultsOf(config).find((one) => one.key === key);
        expect(fault?.fix).toMatch(fix);
    });

    it("by ingress: with an issuer, or a certificate and its key", () => {
        expect(faultsOf(grafana({ access: "ingress", ingress: { ...ingress, issuer: "letsencrypt" } }))).toEqual([]);
        const certificate = grafana({ access: "ingress", ingress: { ...ingress, certificate: pem("CERTIFICATE") } });
        const grafanaTlsKey = pem("EC PRIVATE KEY");
        expect(faultsOf({ ...certificate, grafanaTlsKey })).toEqual([]);
        expect(faultsOf({ ...certificate, grafanaTlsKey }, ["huggingFaceToken"])[0].found).toBe("stored in plain text");
    });
});

describe("warnings", () => {
    const warnings = (config: Record<string, unknown>) => {
        const settings = parse(config);
        const all = [...settingsWarnings(settings), ...monitoringChecks.warnings(settings)];
        // Those of the image: test/vllm/advisories.test.ts.
        return all.filter((text) => !text.includes("security holes"));
    };
    const told = {
        alerting: {
            receivers: { hook },
            routes: { page: ["hook"], ticket: ["hook"], heartbeat: ["hook"] },
            runbooks: "https://git.example.org/llm/docs/operations",
        },
    };

    it("none when all is as it should be", () => {
        expect(warnings(told)).toEqual([]);
    });

    it("of an image whose metrics are not known, and not of one whose are", () => {
        const image = (tag: string) => ({ ...told, models: { ministral: { image: `vllm/vllm-openai:${tag}` } } });
        expect(warnings(image("v0.14.1"))).toEqual([
            expect.stringMatching(
                /models\.ministral\.image: the metrics of ".*v0\.14\.1" are not known \(known: vLLM 0\.13\.0, 0\.33\.0\)/,
            ),
        ]);
        expect(warnings(image("v0.33.0"))).toEqual([]);
    });

    it("of a Grafana that is open to all", () => {
        const open = { ...told, ...grafana({ allowedSources: ["0.0.0.0/0"] }) };
        expect(warnings(open)).toEqual([expect.stringMatching(/open to the whole internet, and its password travels/)]);
    });

    it("of each kind of message that nobody gets, and of runbooks that nobody can open", () => {
        expect(warnings({})).toEqual([
            expect.stringMatching(/^alerting\.routes\.page: nobody is told/),
            expect.stringMatching(/^alerting\.routes\.ticket: nobody is told/),
            expect.stringMatching(/^alerting\.routes\.heartbeat: nobody would notice/),
            expect.stringMatching(/^alerting\.runbooks: "docs\/operations" is no address/),
        ]);
        const odd = { alerting: { ...told.alerting, runbooks: "https://[" } };
        expect(warnings(odd)).toEqual([expect.stringMatching(/^alerting\.runbooks: "https:\/\/\[" is no address/)]);
    });

    it("of several replicas behind one address, by the model", () => {
        const models = { ministral: { replicas: { max: 1 } }, qwen: { model: "Qwen/Qwen3-8B", replicas: { max: 4 } } };
        const monitoring = { ...toSet.monitoring, replicaMetrics: "direct" };
        expect(warnings({ ...told, models, monitoring })).toEqual([
            expect.stringMatching(/^monitoring\.replicaMetrics: direct sees one of the up to 4 replicas of qwen/),
        ]);
        expect(warnings({ ...told, models })).toEqual([]);
    });

    it("of more replicas than the relay is sure to see", () => {
        const models = (max: number) => ({ models: { ministral: { replicas: { max } } } });
        expect(warnings({ ...told, ...models(14) })).toEqual([]);
        expect(warnings({ ...told, ...models(15) })).toEqual([
            expect.stringMatching(/^models\.ministral\.replicas\.max: of 15 replicas the relay may miss some/),
        ]);
    });
});
