import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { ensureToolchain } from "../../sandbox/toolchain/toolchain";
import { chartValueFaults, withOwnValues } from "../../src/monitoring/chart-overrides";
import { stackValues } from "../../src/monitoring/chart-values";
import type { AlertingSettings, MonitoringSettings } from "../../src/settings";
import { defaultAlerting, defaultMonitoring } from "../../src/settings/defaults";
import { promtool } from "./promtool";

type Values = Record<string, any>;

const alerting = {
    ...defaultAlerting,
    receivers: { hook: { type: "webhook", url: "https://alerts.example.org/x" } },
    routes: { ...defaultAlerting.routes, page: ["hook"] },
} as AlertingSettings;
const ours = stackValues(defaultMonitoring as unknown as MonitoringSettings, alerting) as Values;
const laid = (own: Values): Values => withOwnValues(ours, own);

describe("own values laid over ours", () => {
    it("take nothing of ours away: lists are joined", () => {
        const values = laid({
            prometheus: {
                prometheusSpec: {
                    secrets: ["mine"],
                    additionalScrapeConfigs: [{ job_name: "mine" }],
                    additionalAlertRelabelConfigs: [{ action: "labeldrop", regex: "x" }],
                    volumes: [{ name: "mine", emptyDir: {} }],
                },
            },
            alertmanager: {
                alertmanagerSpec: { secrets: ["mine", "alertmanager-receivers"] },
                config: {
                    global: { slack_api_url: "https://x.example.org" },
                    receivers: [{ name: "mine" }],
                    route: { group_wait: "1m", routes: [{ receiver: "mine" }] },
                    inhibit_rules: [{ source_matchers: ["a = b"], target_matchers: ["c = d"] }],
                },
            },
        });
        const { prometheusSpec } = values.prometheus;
        expect(prometheusSpec).toMatchObject({ secrets: ["mine"], additionalScrapeConfigs: [{ job_name: "mine" }] });
        expect(prometheusSpec.additionalAlertRelabelConfigs).toEqual([
            ...ours.prometheus.prometheusSpec.additionalAlertRelabelConfigs,
            { action: "labeldrop", regex: "x" },
        ]);
        expect(values.alertmanager.alertmanagerSpec.secrets).toEqual(["alertmanager-receivers", "mine"]);
        const { config } = values.alertmanager;
        const { config: before } = ours.alertmanager;
        expect(config.global).toEqual({ ...before.global, slack_api_url: "https://x.example.org" });
        expect(config.receivers).toEqual([...before.receivers, { name: "mine" }]);
        expect(config.inhibit_rules).toEqual([
            ...before.inhibit_rules,
            { source_matchers: ["a = b"], target_matchers: ["c = d"] },
        ]);
        // The first route that fits counts.
        expect(config.route.routes).toEqual([{ receiver: "mine" }, ...before.route.routes]);
        expect(config.route).toMatchObject({ receiver: "null", group_wait: "1m" });
    });

    it("replace what is one value, or a list of no two parts, and take a default away by null", () => {
        const values = laid({
            grafana: { persistence: { accessModes: ["ReadWriteMany"] }, resources: { limits: null } },
        });
        expect(values.grafana.persistence.accessModes).toEqual(["ReadWriteMany"]);
        expect(values.grafana.resources).not.toHaveProperty("limits");
        expect(laid({})).toEqual(ours);
    });

    it("change neither of the two", () => {
        const own = { alertmanager: { config: { receivers: [{ name: "mine" }] } } };
        const before = structuredClone([ours, own]);
        laid(own);
        expect([ours, own]).toEqual(before);
    });
});

describe("an own configuration of Alertmanager", () => {
    const folder = mkdtempSync(join(tmpdir(), "chart-overrides-"));
    let amtool: string;
    beforeAll(async () => {
        amtool = (await ensureToolchain({ log: () => undefined, wanted: ["amtool"] })).bin.amtool;
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    /** What Alertmanager's own tool says of ours with this laid over it. */
    function accepted(config: Values): boolean {
        const file = join(folder, "alertmanager.yaml");
        writeFileSync(file, stringify(laid({ alertmanager: { config } }).alertmanager.config));
        return spawnSync(amtool, ["check-config", file]).status === 0;
    }
    const route = (one: Values): Values => ({ route: { routes: [one] } });
    const receiver = (more: Values): Values => ({
        receivers: [{ name: "mine", ...more }],
        ...route({ receiver: "mine" }),
    });

    it.each<[string, Values]>([
        ["nothing", {}],
        ["a receiver of no kind", receiver({})],
        ["a webhook", receiver({ webhook_configs: [{ url: "https://x.example.org", send_resolved: false }] })],
        [
            "a mail by global settings",
            {
                global: { smtp_smarthost: "smtp.example.org:587", smtp_from: "a@example.org" },
                ...receiver({ email_configs: [{ to: "b@example.org" }] }),
            },
        ],
        [
            "matchers of every form",
            route({ matchers: ["a=b", 'c != "d e"', 'f =~ "(?i)x|y"', "g!~h.+", '"i j" = k', "{l=m, n=o}"] }),
        ],
        [
            "a route of its own within a route",
            route({ receiver: "page", routes: [{ receiver: "info", continue: true }] }),
        ],
        ["groups", route({ group_by: ["..."], group_wait: "0s", group_interval: "1m", repeat_interval: "1d" })],
        [
            "a time interval",
            {
                time_intervals: [
                    { name: "night", time_intervals: [{ times: [{ start_time: "22:00", end_time: "24:00" }] }] },
                ],
                ...route({ mute_time_intervals: ["night"] }),
            },
        ],
    ])("is taken by us and by amtool: %s", (_, config) => {
        expect(chartValueFaults({ alertmanager: { config } }, ours)).toEqual([]);
        expect(accepted(config)).toBe(true);
    });

    it.each<[string, Values, string]>([
        ["a section that there is not", { recievers: [] }, "recievers"],
        ["a global key that there is not", { global: { resolve_timeouts: "5m" } }, "global.resolve_timeouts"],
        ["a route to nobody", route({ receiver: "nobody" }), "route.routes.0.receiver"],
        [
            "such a route deep down",
            route({ routes: [{ routes: [{ receiver: "x" }] }] }),
            "route.routes.0.routes.0.routes.0.receiver",
        ],
        ["the root to nobody", { route: { receiver: "nobody" } }, "route.receiver"],
        ["a root that takes some", { route: { matchers: ["a=b"] } }, "route.matchers"],
        ["a key of a route that there is not", route({ matcher: ["a=b"] }), "route.routes.0.matcher"],
        ["a matcher without operator", route({ matchers: ["severity"] }), "route.routes.0.matchers.0"],
        ["a matcher of none", route({ matchers: ["a=b,, c=d"] }), "route.routes.0.matchers.0"],
        ["a regular expression that is none", route({ matchers: ['a =~ "("'] }), "route.routes.0.matchers.0"],
        ["a regular expression that Go lacks", route({ matchers: ['a =~ "(?!x).*"'] }), "route.routes.0.matchers.0"],
        ["a label twice", route({ group_by: ["a", "a"] }), "route.routes.0.group_by"],
        ["all labels and one", route({ group_by: ["...", "a"] }), "route.routes.0.group_by"],
        ["no duration", route({ repeat_interval: "often" }), "route.routes.0.repeat_interval"],
        ["an interval of nothing", route({ group_interval: "0s" }), "route.routes.0.group_interval"],
        [
            "an interval that there is not",
            route({ mute_time_intervals: ["night"] }),
            "route.routes.0.mute_time_intervals",
        ],
        ["a receiver without a name", { receivers: [{ webhook_configs: [] }] }, "receivers.0.name"],
        [
            "two receivers of one name",
            { receivers: [{ name: "a" }, { name: "a", webhook_configs: [{ url: "https://x" }] }] },
            "receivers.1.name",
        ],
        [
            "a receiver called like ours",
            { receivers: [{ name: "null", webhook_configs: [{ url: "https://x" }] }] },
            "receivers.0.name",
        ],
        ["a kind that there is not", receiver({ pager_configs: [{}] }), "receivers.0.pager_configs"],
        ["a webhook to nowhere", receiver({ webhook_configs: [{}] }), "receivers.0.webhook_configs.0"],
        [
            "a key of a kind that there is not",
            receiver({ slack_configs: [{ api_url: "https://x", chanel: "#a" }] }),
            "receivers.0.slack_configs.0.chanel",
        ],
        ["a mail by nobody", receiver({ email_configs: [{ to: "a@example.org" }] }), "receivers.0.email_configs.0"],
        ["a page without a key", receiver({ pagerduty_configs: [{}] }), "receivers.0.pagerduty_configs.0"],
        [
            "a key of an inhibition that there is not",
            { inhibit_rules: [{ source: ["a=b"] }] },
            "inhibit_rules.0.source",
        ],
    ])("is refused by us, as by amtool: %s", (_, config, path) => {
        const faults = chartValueFaults({ alertmanager: { config } }, ours);
        expect(faults.map((fault) => fault.path.slice(2).join("."))).toContain(path);
        expect(accepted(config)).toBe(false);
    });
});

describe("own jobs of Prometheus", () => {
    const faultsOf = (...jobs: Values[]) =>
        chartValueFaults({ prometheus: { prometheusSpec: { additionalScrapeConfigs: jobs } } }, ours);
    const accepted = async (...jobs: Values[]) =>
        (await promtool({ "prometheus.yaml": { scrape_configs: jobs } }, "check", "config", "prometheus.yaml")) ===
        undefined;

    it("are taken by us and by promtool", async () => {
        const jobs = [
            { job_name: "one", static_configs: [{ targets: ["a:1", "b"], labels: { x: "y" } }], honor_labels: true },
            { job_name: "two", scrape_interval: "1m", scrape_timeout: "30s", keep_dropped_targets: 5 },
        ];
        expect(faultsOf(...jobs)).toEqual([]);
        expect(await accepted(...jobs)).toBe(true);
    });

    it.each<[string, Values[], string]>([
        ["no name", [{ static_configs: [] }], "0"],
        ["two of one name", [{ job_name: "a" }, { job_name: "a" }], "1.job_name"],
        ["a misspelled key", [{ job_name: "a", static_config: [] }], "0.static_config"],
        ["no duration", [{ job_name: "a", scrape_interval: "15" }], "0.scrape_interval"],
        [
            "more patience than time",
            [{ job_name: "a", scrape_interval: "5s", scrape_timeout: "6s" }],
            "0.scrape_timeout",
        ],
        [
            "a target that is a URL",
            [{ job_name: "a", static_configs: [{ targets: ["http://a:1"] }] }],
            "0.static_configs",
        ],
        ["targets that are no list", [{ job_name: "a", static_configs: [{ targets: "a:1" }] }], "0.static_configs"],
    ])("are refused by us, as by promtool: %s", async (_, jobs, path) => {
        expect(faultsOf(...jobs).map((fault) => fault.path.slice(3).join("."))).toContain(path);
        expect(await accepted(...jobs)).toBe(false);
    });
});
