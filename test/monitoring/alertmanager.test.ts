import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { ensureToolchain } from "../../sandbox/toolchain/toolchain";
import { alertmanagerConfig, alertRelabelConfigs, receiverSecrets } from "../../src/monitoring/alertmanager";
import { alertNames } from "../../src/monitoring/rules";
import type { AlertingSettings } from "../../src/settings";
import { alertingSchema } from "../../src/settings";
import { defaultAlerting } from "../../src/settings/defaults";
import { eventually, startAlertmanager, type Labels, type RealAlertmanager } from "./real-alertmanager";

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
    amtool = (await ensureToolchain({ log: () => undefined, wanted: ["amtool"] })).bin.amtool;
    writeFileSync(file, stringify(alertmanagerConfig(everyKind)));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(...args: string[]): string {
    const { status, stdout, stderr } = spawnSync(amtool, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`${stdout}${stderr}`);
    return stdout.trim();
}

/** Alerts that are true whether the app answers or not. */
const ofOtherCauses: string[] = alertNames.filter((name) =>
    /^Vllm(CertificateExpiring|TokenRejected|FrontDoorDown|NotWaking|SleepUnknown|Unused|AppOfNoStack|.*(Controller|Lease|Spend))/.test(
        name,
    ),
);

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
        const known: string[] = [...alertNames, "InfoInhibitor", "TargetDown"];
        expect(named.filter((name) => !known.includes(name))).toEqual([]);
        const down = rules.find(({ source_matchers: [source] }) => source.includes("VllmEndpointDown"))!;
        expect(down.equal).toEqual(["model"]);
        // What is true whether the app runs or not is still told.
        const children = /"(.+)"/.exec(down.target_matchers[0])![1].split("|");
        const told = alertNames.filter((name) => name.startsWith("Vllm") && !children.includes(name));
        expect(told).toEqual(["VllmEndpointDown", ...ofOtherCauses]);
    });
});

describe("a real Alertmanager with it", () => {
    let alertmanager: RealAlertmanager;
    beforeAll(async () => {
        alertmanager = await startAlertmanager(alertmanagerConfig(defaultAlerting));
    });
    afterAll(() => alertmanager?.stop());

    const of = (model: string, alertname: string, severity = "ticket"): Labels => ({ alertname, model, severity });
    /** The chart's alert on a job, as Prometheus sends it. */
    const targetDown = (job: string): Labels => relabelled({ alertname: "TargetDown", severity: "warning", job });

    /** What Prometheus makes of an alert's labels on their way (relabelling with `replace`, its default). */
    function relabelled(labels: Labels): Labels {
        return alertRelabelConfigs.reduce((given, { source_labels, regex, target_label, replacement }) => {
            const text = source_labels.map((label) => given[label] ?? "").join(";");
            const found = new RegExp(`^(?:${regex})$`).exec(text);
            return found ? { ...given, [target_label]: replacement.replace("$1", found[1]) } : given;
        }, labels);
    }

    /** Raises these alerts and no others, each told apart by the case; returns those that are not held back. */
    async function told(alerts: Labels[], marker: string): Promise<Labels[]> {
        const raised = alerts.map((labels) => ({ labels: { ...labels, case: marker } }));
        await alertmanager.send(raised);
        const read = async (query: string) => {
            const found = await fetch(
                `${alertmanager.url}/alerts?filter=${encodeURIComponent(`case="${marker}"`)}&${query}`,
            );
            return ((await found.json()) as { labels: Labels }[]).map(({ labels: { case: _, ...labels } }) => labels);
        };
        await eventually(async () => (await read("")).length === alerts.length);
        const left = await read("inhibited=false");
        // They end with their case: an inhibition knows nothing of cases.
        const endsAt = new Date(Date.now() - 1000).toISOString();
        await alertmanager.send(raised.map((alert) => ({ ...alert, endsAt })));
        await eventually(async () => (await read("")).length === 0);
        return left;
    }

    it("tells of an app that is down once, and of what has other causes as ever", async () => {
        const down = of("ministral", "VllmEndpointDown", "page");
        const others = [
            of("ministral", "VllmCertificateExpiring"),
            of("qwen", "VllmReplicaStuck"),
            { alertname: "PrometheusDiskFilling", severity: "ticket" },
            targetDown("kubelet"),
            targetDown("vllm-qwen"),
            targetDown("replica-relay"),
        ];
        const children = alertNames
            .filter((name) => name.startsWith("Vllm"))
            .filter((name) => !["VllmEndpointDown", ...ofOtherCauses].includes(name))
            .map((name) => of("ministral", name));
        expect(children).toHaveLength(13);
        const jobs = [targetDown("vllm-ministral"), targetDown("vllm-ministral-direct")];
        const left = await told([down, ...children, ...jobs, ...others], "down");
        expect(new Set(left)).toEqual(new Set([down, ...others]));
        // Without the cause they are told.
        expect(await told([...children, ...jobs], "up")).toHaveLength(children.length + jobs.length);
    });

    it("tells of a front door that is down once, and that it refuses only where nothing says why", async () => {
        const down = of("ministral", "VllmFrontDoorDown", "page");
        const notWaking = of("qwen", "VllmNotWaking", "page");
        const refusing = (model: string) => of(model, "VllmFrontDoorRefusing");
        const others = [of("ministral", "VllmEndpointDown", "page"), refusing("other"), targetDown("replica-relay")];
        const raised = [down, notWaking, refusing("qwen"), targetDown("front-door"), ...others];
        expect(new Set(await told(raised, "door"))).toEqual(new Set([down, notWaking, ...others]));
        const alone = [refusing("ministral"), targetDown("front-door")];
        expect(await told(alone, "doors")).toHaveLength(alone.length);
    });

    it("tells nothing of an app that its controller has stopped but that, and that it cannot keep it", async () => {
        const stopped = of("ministral", "VllmStoppedByController", "info");
        const left = [of("ministral", "VllmControllerFailing"), of("qwen", "VllmEndpointDown", "page")];
        const silent = [
            of("ministral", "VllmEndpointDown", "page"),
            of("ministral", "VllmMetricsStale"),
            targetDown("vllm-ministral"),
        ];
        expect(new Set(await told([stopped, ...left, ...silent], "stopped"))).toEqual(new Set([stopped, ...left]));
    });

    it("tells of a token that is refused, and not of what only seems to be down", async () => {
        const rejected = of("ministral", "VllmTokenRejected", "page");
        const seeming = [
            of("ministral", "VllmEndpointDown", "page"),
            of("ministral", "VllmMetricsStale"),
            targetDown("vllm-ministral-direct"),
        ];
        const other = of("qwen", "VllmEndpointDown", "page");
        const left = await told([rejected, ...seeming, other], "401");
        expect(new Set(left)).toEqual(new Set([rejected, other]));
    });

    it("tells of a budget that burns fast by its page alone", async () => {
        const page = { ...of("ministral", "VllmErrorBudgetBurn", "page"), window: "fast" };
        const ticket = { ...of("ministral", "VllmErrorBudgetBurn"), window: "slow" };
        const other = { ...of("ministral", "VllmTokensSlow"), window: "slow" };
        expect(new Set(await told([page, ticket, other], "burn"))).toEqual(new Set([page, other]));
    });
});

it("a mail server that asks for no login is given none, and has no secret", () => {
    const mail = { type: "email", to: "a@example.org", from: "b@example.org", smarthost: "smtp.example.org:25" };
    const settings = alertingSchema.parse({
        ...defaultAlerting,
        receivers: { mail },
        routes: { ...defaultAlerting.routes, page: ["mail"] },
    });
    expect(receiverSecrets(settings.receivers)).toEqual({});
    const { receivers } = alertmanagerConfig(settings);
    expect(JSON.stringify(receivers)).toContain('"smarthost":"smtp.example.org:25"');
    expect(JSON.stringify(receivers)).not.toMatch(/auth_|very-secret/);
});
