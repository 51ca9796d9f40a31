import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeAuthority, type Certificate } from "../../../sandbox/ovhcloud/certificates";
import type { Finding, Verdict } from "../../../tools/verify/check";
import { doorAddresses } from "../../../tools/verify/front-door";
import { findingLine, junit } from "../../../tools/verify/report";
import { parse, secretKeys } from "../../settings/config";
import { startServers, type Servers, type World } from "./world";

let servers: Servers;
let other: Certificate;
beforeAll(async () => {
    servers = await startServers();
    other = await (await makeAuthority("CN=another authority of this test")).issue("CN=127.0.0.1", {});
});
afterAll(() => servers.close());

async function look(breakIt: (world: World) => void): Promise<Finding[]> {
    const world = servers.make();
    breakIt(world);
    return world.verify();
}

const daysAgo = (days: number): string => new Date(Date.now() - days * 86_400_000).toISOString();
const named = (world: World, kind: string, part: string): any =>
    world.kubernetes[kind].find(({ metadata }) => metadata.name.includes(part));

/** A pod of the front door that began so many seconds ago. */
function doorPod(seconds: number): object {
    const labels = { app: "vllm-front-door", model: "ministral" };
    const startTime = new Date(Date.now() - 1000 * seconds).toISOString();
    return { metadata: { name: "door", labels }, status: { startTime } };
}

/** What is broken, and the one line that is then not as it should be. Lines that say nothing without it are `unknown`. */
const cases: [what: string, breakIt: (world: World) => void, promise: string, verdict?: Verdict, seen?: RegExp][] = [
    ["the app failed", (w) => void (w.app.status.state = "FAILED"), "ministral: app is RUNNING", "broken", /FAILED/],
    [
        "no replica is ready",
        (w) => void Object.assign(w.app.status, { state: "SCALING", availableReplicas: 0 }),
        "ministral: app is RUNNING",
        "broken",
        /SCALING, and no replica is ready/,
    ],
    [
        "another image",
        (w) => void (w.app.spec.image = "vllm/vllm-openai:v0.12.0"),
        "ministral: name, image, region, flavor, port and labels as configured",
    ],
    [
        "another label",
        (w) => void (w.app.spec.labels!.ai_deploy_token = "other"),
        "ministral: name, image, region, flavor, port and labels as configured",
    ],
    ["a variable gone", (w) => void w.app.spec.envVars!.pop(), "ministral: environment as configured"],
    ["a volume gone", (w) => void w.app.spec.volumes!.pop(), "ministral: volumes as configured"],
    [
        "a probe after a second",
        (w) => void (w.app.spec.probe!.initialDelaySeconds = 1),
        "ministral: probes as configured",
    ],
    [
        "another maximum",
        (w) => void (w.app.spec.scalingStrategy!.automatic!.replicasMax = 9),
        "ministral: autoscaling as configured",
    ],
    ["another command", (w) => void (w.app.spec.command = ["sleep", "inf"]), "ministral: command as configured"],
    ["no token asked for", (w) => void (w.app.spec.unsecureHttp = true), "ministral: the platform asks for a token"],
    ["a log without a start", (w) => void (w.logs = []), "ministral: its log shows that the server started", "unknown"],
    [
        "a completion that fails",
        (w) => void (w.appAnswers["/v1/chat/completions with"] = 500),
        "ministral: chat completion 200 with the client token",
    ],
    [
        "a revoked client token",
        (w) => void w.opening.delete(w.outputs.clientToken),
        "ministral: chat completion 200 with the client token",
        "broken",
        /401/,
    ],
    [
        "completions for everybody",
        (w) => void (w.appAnswers["/v1/chat/completions without"] = 200),
        "ministral: chat completion 401 without a token",
        "broken",
        /anybody/,
    ],
    [
        "metrics for everybody",
        (w) => void (w.appAnswers["/metrics without"] = 200),
        "ministral: /metrics 200 with the token, 401 without",
    ],
    [
        "a metric gone from the page",
        (w) => void (w.metricsPage = w.metricsPage.replaceAll("vllm:kv_cache_usage_perc", "vllm:other")),
        "ministral: /metrics 200 with the token, 401 without",
        "broken",
        /kv_cache/,
    ],
    [
        "an ill replica",
        (w) => void (w.appAnswers["/health with"] = 503),
        "ministral: the probes' paths answer",
        "broken",
        /\/health 503/,
    ],
    [
        "a token without a selector",
        (w) =>
            void w.tokens.push({
                ...w.tokens[0],
                id: "x",
                spec: { name: "guide", role: "ai_training_operator", labelSelector: null },
            }),
        "no token opens every app of the project",
        "warning",
        /guide/,
    ],
    [
        "a client token that may write",
        (w) => void (w.tokens[0].spec.role = "ai_training_operator"),
        "ministral: client token can read, and is bound to this app",
        "broken",
        /operator/,
    ],
    [
        "a scrape token of another selector",
        (w) => void (w.tokens[1].spec.labelSelector = "a=b"),
        "ministral: scrape token can read, and is bound to this app",
    ],
    ["no client token", (w) => void w.tokens.shift(), "ministral: client token can read, and is bound to this app"],
    [
        "an old client token",
        (w) => void (w.tokens[0].updatedAt = daysAgo(200)),
        "ministral: client token is not old",
        "warning",
        /200 days/,
    ],
    [
        "another app that the token opens",
        (w) => void w.otherApps.push({ ...w.app, id: "other" }),
        "ministral: the client token opens no other app",
        "broken",
        /answers it 200/,
    ],
    ["a cluster in ERROR", (w) => void (w.cluster.status = "ERROR"), "cluster as configured"],
    [
        "an image with a known hole",
        (w) => {
            w.settings.models.ministral.image = "vllm/vllm-openai:v0.18.1";
            w.app.spec.image = "vllm/vllm-openai:v0.18.1";
        },
        "ministral: no security hole is known of the image",
        "warning",
        /GHSA-/,
    ],
    ["patches that wait", (w) => void (w.cluster.isUpToDate = false), "cluster as configured", "warning"],
    ["a node gone", (w) => void (w.pool.desiredNodes = 2), "node pool as configured"],
    [
        "a node not Ready",
        (w) => void (w.kubernetes.nodes[0].status.conditions[0].status = "False"),
        "cluster answers, its nodes are Ready",
    ],
    [
        "a failed release",
        (w) => void (w.kubernetes.secrets[0].metadata.labels.status = "failed"),
        "Helm release is deployed",
    ],
    [
        "a token in quotes",
        (w) => void (w.kubernetes.secrets[1].data.token = Buffer.from('"$TOKEN"').toString("base64")),
        "Secrets with the scrape tokens, as they are (no quotes)",
    ],
    [
        "Grafana's pod gone",
        (w) => void (named(w, "deployments", "grafana").status.readyReplicas = 0),
        "Prometheus, Alertmanager, Grafana, exporters: all pods are ready",
    ],
    [
        "no exporters",
        (w) => void (w.kubernetes.daemonsets = []),
        "Prometheus, Alertmanager, Grafana, exporters: all pods are ready",
    ],
    ["another retention", (w) => void (w.kubernetes.prometheuses[0].spec.retention = "1d"), "Prometheus as configured"],
    [
        "a volume not bound",
        (w) => void (named(w, "persistentvolumeclaims", "grafana").status.phase = "Pending"),
        "volumes as configured, and bound",
    ],
    [
        "a small volume",
        (w) => void (named(w, "persistentvolumeclaims", "prometheus").spec.resources.requests.storage = "8Gi"),
        "volumes as configured, and bound",
    ],
    ["no data source", (w) => void (named(w, "configmaps", "datasource").data = {}), "Grafana has its data source"],
    [
        "Grafana open to all",
        (w) => void (w.kubernetes.services[0].spec.loadBalancerSourceRanges = []),
        "Grafana is open to the named sources only",
        "broken",
        /open to all/,
    ],
    [
        "a scrape that fails",
        (w) => void w.results.push(['up{job="vllm-ministral"}', 0]),
        'ministral: Prometheus has up{job="vllm-ministral"} == 1',
    ],
    [
        "a metric not in Prometheus",
        (w) => void w.results.push(["vllm:num_preemptions_total(_bucket)", undefined]),
        "ministral: the 10 metrics of the dashboard are in Prometheus",
        "broken",
        /num_preemptions/,
    ],
    [
        "an interval of another one",
        (w) => void (w.targets[0].scrapeInterval = "60s"),
        "ministral: scrape jobs as configured",
    ],
    [
        "a label of another environment",
        (w) => void (w.targets[0].labels.environment = "staging"),
        "ministral: scrape jobs as configured",
    ],
    [
        "old scrapes",
        (w) => void w.results.push(["timestamp(up", 300]),
        "ministral: scrapes are fresh",
        "broken",
        /300 s old/,
    ],
    [
        "a stuck relay",
        (w) => void w.results.push(["vllm_relay_sample_age_seconds{model=", 300]),
        "ministral: scrapes are fresh",
        "broken",
        /relay/,
    ],
    [
        "a replica not seen",
        (w) => void (w.app.status.availableReplicas = 3),
        "ministral: every replica is seen",
        "broken",
        /1 of 3/,
    ],
    [
        "a scaling metric that is not there",
        (w) => void w.results.push(['avg({__name__="vllm:num_requests_running"', undefined]),
        "ministral: the metric that scaling follows is there, and its target can be reached",
    ],
    [
        "a target over max-num-seqs",
        (w) => {
            w.settings.models.ministral.vllm.maxNumSeqs = 40;
            w.app.spec.command = w.app.spec.command!.map((word) =>
                word.replace(" --shutdown-timeout", " --max-num-seqs 40$&"),
            );
        },
        "ministral: the metric that scaling follows is there, and its target can be reached",
        "broken",
        /never passed/,
    ],
    [
        "a front door open to all",
        (w) => void (named(w, "services", "front-door").spec.loadBalancerSourceRanges = []),
        "ministral: front door is reached by whom it should",
        "broken",
        /open to all, configured are 198\.51\.100\.0\/24/,
    ],
    [
        "a front door made public by hand",
        (w) => {
            w.settings.models.ministral.frontDoor!.access = "internal";
            w.frontDoors = { ministral: w.outputs.models.ministral.frontDoorUrl! };
        },
        "ministral: front door is reached by whom it should",
        "broken",
        /of type LoadBalancer, not ClusterIP/,
    ],
    [
        "a front door that anybody comes through",
        (w) => void (w.doorAnswers.without = { status: 200 }),
        "ministral: front door answers 401 without a key",
        "broken",
        /status 200/,
    ],
    [
        "a front door with another key",
        (w) => void (w.doorAnswers.with = { status: 401, body: '{"error":{"code":"invalid_api_key"}}' }),
        "ministral: front door lets search through to the app",
        "broken",
        /401 from the door/,
    ],
    [
        "a front door whose token the app refuses",
        (w) => void (w.doorAnswers.with = { status: 401, body: '{"error":"Unauthorized"}' }),
        "ministral: front door lets search through to the app",
        "broken",
        /401 from the app/,
    ],
    [
        "a front door that finds no replica",
        (w) => void (w.doorAnswers.with = { status: 503 }),
        "ministral: front door lets search through to the app",
        "broken",
        /status 503/,
    ],
    [
        "a consumer at its limit",
        (w) => void (w.doorAnswers.with = { status: 429 }),
        "ministral: front door lets search through to the app",
        "unknown",
        /429/,
    ],
    [
        "a front door with the certificate of before",
        (w) => void (w.settings.models.ministral.frontDoor!.certificate = other.certificate),
        "ministral: front door serves its certificate, which lasts",
        "broken",
        /another certificate/,
    ],
    [
        "a front door of the cluster's alone",
        (w) => {
            w.settings.models.ministral.frontDoor!.access = "internal";
            named(w, "services", "front-door").spec = { type: "ClusterIP" };
        },
        "ministral: front door serves its certificate, which lasts",
        "unknown",
        /pods alone reach it/,
    ],
    [
        "a front door that Prometheus has not reached, which began a moment ago",
        (w) => {
            w.results.push(['up{job="front-door"', undefined]);
            w.kubernetes.pods.push(doorPod(5));
        },
        "ministral: front door's metrics are in Prometheus",
        "warning",
        /too young to judge: its pod began [5-9] s ago/,
    ],
    [
        "a front door that Prometheus does not reach, of which a pod began long ago",
        (w) => {
            w.results.push(['up{job="front-door"', undefined]);
            w.kubernetes.pods.push(doorPod(300));
        },
        "ministral: front door's metrics are in Prometheus",
        "broken",
        /no target of job front-door/,
    ],
    [
        "a front door that Prometheus does not reach",
        (w) => void w.results.push(['up{job="front-door"', 0]),
        "ministral: front door's metrics are in Prometheus",
        "broken",
        /up is 0/,
    ],
    [
        "no job of the front door's metrics",
        (w) => void w.results.push(['up{job="front-door"', undefined]),
        "ministral: front door's metrics are in Prometheus",
        "broken",
        /no target/,
    ],
    [
        "a client key in the state",
        (w) => void (w.state = w.settings.clientKeys!.search),
        "the state holds no secret in clear",
        "broken",
        /search's client key/,
    ],
    [
        "no dashboards",
        (w) =>
            void (w.kubernetes.configmaps = w.kubernetes.configmaps.filter(
                ({ metadata }) => !metadata.labels.grafana_dashboard || metadata.name.includes("ministral"),
            )),
        "",
        "holds",
    ],
    [
        "a metric that no panel finds",
        (w) => void w.seriesGone.add("prometheus_tsdb_head_series"),
        'every panel of "vLLM monitoring path" has data, or it is known why not',
        "broken",
        /head_series/,
    ],
    [
        "a rule that fails",
        (w) => void (w.rules[0].health = "err"),
        "every rule is loaded and evaluated without an error",
    ],
    [
        "an alert not loaded",
        (w) => void (w.rules = w.rules.filter(({ name }) => name !== "VllmEndpointDown")),
        "every rule is loaded and evaluated without an error",
        "broken",
        /VllmEndpointDown/,
    ],
    [
        "the alerts on spend not loaded",
        (w) => void (w.settings.limits.eurosPerMonth = 8000),
        "every rule is loaded and evaluated without an error",
        "broken",
        /not loaded: SpendAbovePace$/,
    ],
    ["no Alertmanager", (w) => void (w.alertmanagers = []), "Prometheus sends its alerts to an Alertmanager"],
    ["no alert arrives", (w) => void (w.alerts = []), "an alert goes all the way to Alertmanager"],
    [
        "receivers gone from Alertmanager",
        (w) => void (w.alertmanagerConfig = w.alertmanagerConfig.replaceAll("webhook_configs", "other")),
        "somebody is told of pages",
    ],
    [
        "a receiver that refuses",
        (w) => void (w.results = [["alertmanager_notifications_failed_total", 4]]),
        "nothing that was sent to receivers failed",
    ],
    [
        "a client token in the outputs",
        (w) => void (w.shownOutputs = w.outputs.clientToken),
        "secret outputs are marked as such",
    ],
    [
        "a password in the state",
        (w) => void (w.state = w.outputs.grafanaPassword),
        "the state holds no secret in clear",
        "broken",
        /grafanaPassword/,
    ],
    [
        "a scrape token in a pod",
        (w) => void (w.kubernetes.pods[0].metadata.annotations = { env: w.scrapeToken }),
        "no ConfigMap and no pod holds a secret in clear",
        "broken",
        /scrape token/,
    ],
    [
        "a model that is not deployed",
        (w) => void (w.settings.models.qwen = w.settings.models.ministral),
        "every model that is configured is deployed, and no other",
    ],
    ["a change from outside", (w) => void (w.drift.refresh = "~ app"), "nothing was changed outside of the stack"],
    ["an up that waits", (w) => void (w.drift.preview = "~ app"), "a second pulumi up would change nothing"],
    [
        "no credentials",
        (w) => void (w.apiFault = "no credentials"),
        "OVHcloud's API answers these credentials",
        "unknown",
        /no credentials/,
    ],
];

describe("a stack is verified", () => {
    it("whose model sleeps, as it may: it is not asked, and nothing is broken for it", async () => {
        const world = servers.make();
        world.settings.models.ministral.replicas.min = 0;
        world.app.spec.scalingStrategy!.automatic!.replicasMin = 0;
        world.app.spec.scalingStrategy!.automatic!.cooldownPeriodSeconds = 300;
        world.app.status.state = "STANDBY";
        world.app.status.availableReplicas = 0;
        const loaded = ["VllmNotWaking", "VllmSleepUnknown"];
        world.rules.push(...loaded.map((name) => ({ name, type: "alerting", health: "ok" })));
        world.targets = world.targets.filter(({ labels }) => !labels.job.endsWith("-direct"));
        const findings = await world.verify();
        expect(findings.filter(({ verdict }) => verdict === "broken").map(findingLine)).toEqual([]);
        const serving = findings.filter(({ group }) => group === "Serving");
        expect(serving.map(({ verdict }) => verdict)).toEqual(serving.map(() => "unknown"));
        const [runs] = findings.filter(({ promise }) => promise === "ministral: app is RUNNING");
        expect(runs).toMatchObject({ verdict: "unknown", fix: "npm run chat -- --wake hello" });
    });

    it("that is well: every promise holds, and there are enough of them", async () => {
        const findings = await look(() => undefined);
        expect(findings.filter(({ verdict }) => verdict !== "holds")).toEqual([]);
        expect(findings.length).toBeGreaterThan(50);
    });

    it.each(cases)("with %s: that line and no other", async (_, breakIt, promise, verdict = "broken", seen = /./) => {
        const findings = await look(breakIt);
        const off = findings.filter((one) => one.verdict !== "holds" && !/not looked at: /.test(one.seen));
        expect(
            off.map((one) => [one.promise, one.verdict]),
            JSON.stringify(off),
        ).toEqual(verdict === "holds" ? [] : [[promise, verdict]]);
        if (off.length > 0) expect(off[0].seen).toMatch(seen);
    });

    it("whose controller's alerts are not loaded: they are missed", async () => {
        const findings = await look((world) => {
            world.settings.models.ministral.lease = { until: "2999-01-01T00:00:00Z" };
        });
        const rules = findings.find(({ promise }) => promise.startsWith("every rule is loaded"));
        expect(rules).toMatchObject({
            verdict: "broken",
            seen: "not loaded: VllmControllerFailing, VllmLeaseEnding, VllmStoppedByController, VllmAppOfNoStack",
        });
    });

    it("and no line shows a secret", async () => {
        const findings = await look((world) => {
            world.drift.preview = `token: ${world.outputs.clientToken}`;
            world.doorAnswers.with = { status: 500, body: world.settings.clientKeys!.search };
        });
        const text = findings.map(findingLine).join("\n") + junit(findings) + JSON.stringify(findings);
        for (const secret of ["made-up-client-token", "made-up-client-key", "made-up-password", "hf_very_secret"]) {
            expect(text).not.toContain(secret);
        }
        expect(text).toContain("token: [secret]");
    });

    it("and what CI reads counts failures and skipped lines, in XML whatever was said", async () => {
        const findings = await look((world) => {
            world.drift.preview = 'a <b> & "c"\u0000';
            world.logs = [];
        });
        const text = junit(findings);
        expect(text).toMatch(/<testsuites name="verify" tests="\d+" failures="1">/);
        expect(text).toContain("it would:&#10;a &lt;b&gt; &amp; &quot;c&quot;");
        expect(text.match(/<skipped /g)).toHaveLength(1);
        expect(text).not.toMatch(/\u0000/);
    });
});

describe("where front doors are reached from here", () => {
    const clientKeys = { search: "made-up-key-of-search" };
    const models = { ministral: { frontDoor: { clients: ["search"] } } };
    const settings = parse({ models, clientKeys }, secretKeys);

    it("is given by model", () => {
        const given = ["ministral=http://127.0.0.1:8080"];
        expect(doorAddresses(given, settings)).toEqual({ ministral: "http://127.0.0.1:8080" });
    });

    it.each(["ministral", "ministral=8080", "qwen=http://127.0.0.1:8080", "toString=http://127.0.0.1:8080"])(
        "%s is refused, with what would be right",
        (text) => {
            const right =
                /^--front-door .*: give a model with a front door and an address: --front-door ministral=http/;
            expect(() => doorAddresses([text], settings)).toThrow(right);
        },
    );
});
