import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { ensureToolchain } from "../../sandbox/toolchain/toolchain";
import { alertmanagerConfig, receiverSecrets } from "../../src/monitoring/alertmanager";
import { alertNames } from "../../src/monitoring/rules";
import type { AlertingSettings } from "../../src/settings";
import { defaultAlerting } from "../../src/settings/defaults";

const everyKind: AlertingSettings = {
    receivers: {
        hook: { type: "webhook", url: "https://alerts.example.org/very-secret-hook" },
        team: { type: "slack", url: "https://hooks.example.org/very-secret-team", channel: "#llm" },
        mail: {
            type: "email",
            to: "ops@example.org",
            from: "alerts@example.org",
            smarthost: "smtp.example.org:587",
            username: "alerts",
            password: "very-secret-mail",
        },
        oncall: { type: "pagerduty", routingKey: "very-secret-oncall" },
        ops: { type: "opsgenie", apiKey: "very-secret-ops", region: "eu" },
    },
    routes: { page: ["oncall", "ops"], ticket: ["team", "mail"], info: ["team"], heartbeat: ["hook"] },
    runbooks: "docs/operations",
};

const folder = mkdtempSync(join(tmpdir(), "alertmanager-"));
const file = join(folder, "alertmanager.yaml");
let amtool: string;
beforeAll(async () => {
    amtool = (await ensureToolchain({ log: () => undefined })).bin.amtool;
    writeFileSync(file, stringify(alertmanagerConfig(everyKind)));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(...args: string[]): string {
    const { status, stdout, stderr } = spawnSync(amtool, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`${stdout}${stderr}`);
    return stdout.trim();
}

describe("Alertmanager's configuration", () => {
    it.each<[string, AlertingSettings]>([
        ["with every kind of receiver", everyKind],
        ["with none", defaultAlerting],
    ])("is accepted by amtool: %s", (_, alerting) => {
        const path = join(folder, "check.yaml");
        writeFileSync(path, stringify(alertmanagerConfig(alerting)));
        expect(run("check-config", path)).toMatch(/SUCCESS/);
    });

    it("is refused by amtool when it is wrong, so that the test above can fail", () => {
        const path = join(folder, "wrong.yaml");
        writeFileSync(path, stringify({ ...alertmanagerConfig(everyKind), receivers: [] }));
        expect(() => run("check-config", path)).toThrow(/undefined receiver/);
    });

    it("holds no secret: each is read from the file that the Secret becomes", () => {
        const text = stringify(alertmanagerConfig(everyKind));
        expect(text).not.toContain("very-secret");
        const secrets = receiverSecrets(everyKind.receivers);
        const files = [...text.matchAll(/_file: \/etc\/alertmanager\/secrets\/alertmanager-receivers\/(\S+)/g)];
        expect([...new Set(files.map(([, name]) => name))].sort()).toEqual(Object.keys(secrets).sort());
        for (const [name, secret] of Object.entries(secrets)) expect(secret).toContain(`very-secret-${name}`);
    });

    it.each([
        ["page", ["severity=page", "alertname=VllmEndpointDown", "model=ministral"]],
        ["ticket", ["severity=ticket", "alertname=VllmAtMaxReplicas", "model=ministral"]],
        ["info", ["severity=info", "alertname=VllmReplicaFlapping", "model=ministral"]],
        ["ticket", ["severity=ticket", "alertname=PrometheusDiskFilling"]],
        ["page", ["severity=critical", "alertname=KubeletDown", "namespace=kube-system"]],
        ["ticket", ["severity=warning", "alertname=TargetDown", "namespace=monitoring"]],
        ["heartbeat", ["severity=none", "alertname=DeadMansSwitch"]],
        ["null", ["severity=none", "alertname=InfoInhibitor", "namespace=x"]],
        ["null", ["alertname=Unheard"]],
    ])("tells %s of %j", (receiver, labels) => {
        expect(run("config", "routes", "test", `--config.file=${file}`, ...labels)).toBe(receiver);
    });

    interface Route {
        matchers?: string[];
        group_by?: string[];
        routes?: Route[];
    }

    it("groups what concerns a model into one message", () => {
        const { route } = alertmanagerConfig(everyKind) as { route: Route };
        const tiers = route.routes!.filter(({ matchers }) => matchers![0].startsWith("severity"));
        expect(tiers).toHaveLength(3);
        for (const { routes } of tiers) {
            expect(routes).toEqual([expect.objectContaining({ matchers: ['model != ""'], group_by: ["model"] })]);
        }
    });

    it("names no alert that does not exist, and holds the children of a dead app back", () => {
        const { inhibit_rules: rules } = parse(stringify(alertmanagerConfig(everyKind))) as {
            inhibit_rules: { source_matchers: string[]; target_matchers: string[]; equal: string[] }[];
        };
        const named = rules.flatMap(({ source_matchers: sources, target_matchers: targets }) =>
            [...sources, ...targets].flatMap((matcher) => /alertname =~? "(.+)"/.exec(matcher)?.[1].split("|") ?? []),
        );
        const known: string[] = [...alertNames, "InfoInhibitor"];
        expect(named.filter((name) => !known.includes(name))).toEqual([]);
        const down = rules.find(({ source_matchers: [source] }) => source.includes("VllmEndpointDown"))!;
        expect(down.equal).toEqual(["model"]);
        // What is true whether the app runs or not is still told.
        const children = /"(.+)"/.exec(down.target_matchers[0])![1].split("|");
        const told = alertNames.filter((name) => name.startsWith("Vllm") && !children.includes(name));
        expect(told).toEqual(["VllmEndpointDown", "VllmCertificateExpiring", "VllmTokenRejected"]);
    });
});
