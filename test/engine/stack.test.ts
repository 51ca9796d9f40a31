import { AppsV1Api, CoreV1Api, KubeConfig, type V1Deployment, type V1StatefulSet } from "@kubernetes/client-node";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { actionPrefix, actions } from "../../access/actors";
import { OvhClient } from "../../packages/ai-deploy/src/api/client";
import { resolveCredentials } from "../../packages/ai-deploy/src/api/credentials";
import { sandboxProjectId, tokenOf } from "../../sandbox/credentials";
import { checkout } from "../../sandbox/layout";
import type { Report } from "../../tools/loadtest/report";
import type { StackOutputs } from "../../tools/stack";
import { alertRelabelConfigs } from "../../src/monitoring/alertmanager";
import { alertNames } from "../../src/monitoring/rules";
import { probeJob, relayedJob, relayJob } from "../../src/monitoring/scrape-jobs";
import { defaultModel } from "../../src/settings/defaults";
import { renderedJob } from "../monitoring/rendered-job";
import { killWhen } from "./kill";
import { followRunbook } from "./runbook";
import { openSandboxStage, type Stage } from "./stage";

let stage: Stage;

/** The committed sandbox stack, with the chart of this test's own folder. */
beforeAll(async () => {
    stage = await openSandboxStage();
});
afterAll(() => stage.close());

async function succeed(run: Promise<{ code: number; stdout: string; stderr: string }>): Promise<string> {
    const { code, stdout, stderr } = await run;
    expect(code, stdout + stderr).toBe(0);
    return stdout;
}

function cluster(): KubeConfig {
    const config = new KubeConfig();
    config.loadFromFile(stage.layout.kubeconfig);
    return config;
}

const projectPath = `/cloud/project/${sandboxProjectId}`;

/** OVHcloud as a person asks it, who has nothing to do with the stack. */
function ovhcloud(): OvhClient {
    const credentials = resolveCredentials({ config: () => undefined, env: stage.env, files: [] });
    return new OvhClient(credentials, { requestsPerMinute: 60_000 });
}

/** The sandbox has no pods: a `kubectl` that writes down what it is told, and what comes into it. Gives the file. */
function standInForKubectl(): string {
    const file = join(stage.layout.dir, "kubectl.txt");
    const script = `#!/bin/bash\necho "$*" >> '${file}'\nif [[ $1 == exec ]]; then cat >> '${file}'; fi\n`;
    writeFileSync(join(stage.layout.dir, "shell-bin/kubectl"), script, { mode: 0o755 });
    return file;
}

/** Calls that changed an app, from the nth call of all that change anything. */
function appWrites(from = 0): string[] {
    return stage
        .writes()
        .slice(from)
        .filter((call) => call.includes(" /ai/app"));
}

/** An app as OVHcloud's guide makes it, without a label of ours, before anything of it is brought to what the settings say. */
const madeByHand = {
    name: "vllm-ministral-14B-autoscaling-custom-metric",
    region: "GRA",
    image: "vllm/vllm-openai:v0.13.0",
    resources: { flavor: "h100-1-gpu", gpu: 1 },
    command: ["bash", "-c", "vllm serve mistralai/Ministral-3-14B-Instruct-2512 --port 8000"],
    defaultHttpPort: 8000,
    labels: { ai_deploy_token: "my_operator_token" },
    unsecureHttp: false,
    envVars: [
        { name: "HF_TOKEN", value: "hf_made_up_by_hand" },
        { name: "HF_HOME", value: "/hub" },
    ],
    volumes: ["/hub", "/workspace"].map((mountPath) => ({
        mountPath,
        permission: "RW",
        volumeSource: { standalone: {} },
    })),
    livenessProbe: { path: "/health", port: 8000, initialDelaySeconds: 300 },
    probe: { path: "/v1/models", port: 8000, initialDelaySeconds: 300 },
    scalingStrategy: { fixed: { replicas: 1 } },
};

describe.sequential("the whole stack, real engine, real Kubernetes API, real Prometheus", () => {
    it("a wrong config is refused with every fault, and creates nothing", async () => {
        stage.configure({ "models.ministral.replicas.max": 0, "monitoring.grafana.allowedSources": ["not-a-network"] });
        const refused = await stage.up();
        stage.configure({ models: undefined, "monitoring.grafana.allowedSources": ["203.0.113.0/24"] });
        const said = refused.stdout + refused.stderr;
        expect(refused.code).not.toBe(0);
        expect(said).toMatch(/models\.ministral\.replicas\.max/);
        expect(said).toMatch(/monitoring\.grafana\.allowedSources/);
        expect(said).not.toMatch(/^\s+at .*\.ts:\d+/m);
        expect(stage.writes()).toEqual([]);
    });

    // That every promise holds then, and that it makes an app where there is none: first-minutes.test.ts.
    it("up brings up everything, around an app that was made by hand", async () => {
        const { id } = await ovhcloud().post<{ id: string }>(`${projectPath}/ai/app`, madeByHand);
        await succeed(followRunbook(stage, "Adopt an app that was made by hand", { APP_ID: id }));
        expect(stage.cloud.api.apps().map((app) => app.id)).toEqual([id]);
        expect(appWrites().filter((call) => /^(POST|DELETE) /.test(call))).toEqual(["POST /ai/app"]);
        const [{ spec }] = stage.cloud.api.stored();
        expect(JSON.stringify(spec.command)).toContain("--enable-prefix-caching");
        stage.configure({ "models.ministral.adopt": undefined });
        await succeed(stage.previewNothing());
    });

    it("another namespace of the monitoring is refused in preview", async () => {
        stage.configure({ "monitoring.namespace": "elsewhere" });
        const refused = await stage.preview();
        stage.configure({ "monitoring.namespace": undefined });
        expect(refused.code).not.toBe(0);
        expect(refused.stdout + refused.stderr).toMatch(
            /monitoring\.namespace: "elsewhere"; the stack's monitoring is in/,
        );
        await succeed(stage.previewNothing());
    });

    it("the load test takes address, token and app from the outputs", async () => {
        const json = join(stage.layout.dir, "loadtest.json");
        const options = ["--stack", "test", "--workers", "4", "--requests", "2", "--max-tokens", "8", "--json", json];
        // The cloud lives in this process: it must not be blocked meanwhile.
        const command = ["--import", "tsx", "tools/loadtest/cli.ts", ...options];
        const run = await promisify(execFile)(process.execPath, command, {
            cwd: checkout,
            env: { ...process.env, ...stage.env, PATH: `${stage.layout.bin}:${process.env.PATH}` },
        }).catch((error: { code: number; stdout: string; stderr: string }) => {
            // 3: this machine was too busy for the figures to count, which is not asked here.
            if (error.code !== 3) throw error;
            return error;
        });
        const { appUrl, clientToken } = await stage.outputs();
        const report = JSON.parse(readFileSync(json, "utf8")) as Report;
        expect(report.target).toEqual({ baseUrl: `${appUrl}/v1`, model: "mistralai/Ministral-3-14B-Instruct-2512" });
        expect(report.requests).toMatchObject({ total: 8, ok: 8 });
        expect(report.replicas.map(({ ready }) => ready)).toContain(1);
        expect(run.stdout + run.stderr + JSON.stringify(report)).not.toContain(clientToken);
    });

    it("a refresh finds nothing that has drifted", async () => {
        await succeed(stage.refreshNothing());
    });

    it("the operator's Prometheus config holds our jobs, written as the tests without it take for granted", async () => {
        const core = cluster().makeApiClient(CoreV1Api);
        const secret = async (name: string, key: string) => {
            const { data } = await core.readNamespacedSecret({ namespace: "monitoring", name });
            return Buffer.from(data![key], "base64");
        };
        const config = gunzipSync(await secret("prometheus-monitoring-prometheus", "prometheus.yaml.gz")).toString();
        const { scrape_configs: written, alerting } = parse(config) as {
            scrape_configs: { job_name: string }[];
            alerting: { alert_relabel_configs: object[] };
        };
        expect(alerting.alert_relabel_configs).toEqual(expect.arrayContaining(alertRelabelConfigs));
        const { appUrl } = (await stage.outputs()) as StackOutputs;
        const { labels } = defaultModel("ministral").scrape as { labels: Record<string, string> };
        const args = { model: "ministral", url: appUrl, labels, interval: "15s", timeout: "10s" };
        const relay = "vllm-relay-ministral.monitoring.svc:9400";
        const token = (await secret("vllm-auth-token", "token")).toString();
        const jobs = {
            "vllm-ministral": relayedJob(args, relay),
            "vllm-ministral-direct": probeJob(args),
            "replica-relay-ministral": relayJob(args, relay),
        };
        for (const [name, job] of Object.entries(jobs)) {
            const found = written.find(({ job_name }) => job_name === `scrapeConfig/monitoring/${name}`);
            expect(found, name).toEqual(renderedJob(name, job, token));
        }
    });

    it("Prometheus works on every rule, and what fires reaches Alertmanager", async () => {
        interface Rule {
            name: string;
            type: string;
            health: string;
            lastError?: string;
        }
        const rules = async () => {
            const answer = await fetch(`${stage.prometheusUrl}/api/v1/rules`);
            const { data } = (await answer.json()) as { data: { groups: { name: string; rules: Rule[] }[] } };
            return data.groups
                .filter(({ name }) => ["vllm-ministral", "monitoring", "spend"].includes(name))
                .flatMap((group) => group.rules);
        };
        while ((await rules()).some(({ health }) => health === "unknown")) await sleep(1000);
        const all = await rules();
        expect(all.filter(({ health }) => health !== "ok")).toEqual([]);
        const alerts = new Set(all.filter(({ type }) => type === "alerting").map(({ name }) => name));
        // The model of the sandbox does not sleep, no controller keeps it, and no front door stands before it.
        const ofOthers = /NotWaking|SleepUnknown|Controller|Lease|SpendLimit|SpendUnknown|AppOfNoStack|FrontDoor/;
        expect(alerts).toEqual(new Set(alertNames.filter((name) => !ofOthers.test(name))));
        const firing = async () => {
            const answer = await fetch(`${stage.alertmanagerUrl}/api/v2/alerts`).catch(() => undefined);
            const list = (await answer?.json()) as { labels: { alertname: string } }[] | undefined;
            return (list ?? []).map(({ labels }) => labels.alertname);
        };
        while (!(await firing()).includes("DeadMansSwitch")) await sleep(1000);
        // It runs, and is scraped: else the real chart's KubeAPIDown would page.
        const up = await fetch(
            `${stage.prometheusUrl}/api/v1/query?query=${encodeURIComponent('up{job="apiserver"}')}`,
        );
        const { data } = (await up.json()) as { data: { result: { value: [number, string] }[] } };
        expect(data.result.map(({ value }) => value[1])).toEqual(["1"]);
    });

    it("workloads, containers and volumes are called as the runbook of a backup has them", async () => {
        const apps = cluster().makeApiClient(AppsV1Api);
        const namespace = "monitoring";
        const [grafana, prometheus] = await Promise.all([
            apps.readNamespacedDeployment({ namespace, name: "monitoring-grafana" }),
            apps.readNamespacedStatefulSet({ namespace, name: "prometheus-monitoring-prometheus" }),
        ]);
        const mountsOf = (workload: V1Deployment | V1StatefulSet, container: string) =>
            workload
                .spec!.template.spec!.containers.find(({ name }) => name === container)!
                .volumeMounts!.map(({ mountPath }) => mountPath);
        expect(mountsOf(grafana, "grafana")).toContain("/var/lib/grafana");
        expect(mountsOf(prometheus, "prometheus")).toContain("/prometheus");
    });

    it("rotations renew password and token, the old token ends after its overlap, and app and relay are left alone", async () => {
        const secretOf = async (name: string) => {
            const { metadata, data } = await cluster()
                .makeApiClient(CoreV1Api)
                .readNamespacedSecret({ namespace: "monitoring", name });
            return { uid: metadata!.uid, data };
        };
        const seen = async () => ({
            admin: await secretOf("grafana-admin"),
            tokens: await secretOf("vllm-auth-token"),
            relay: await cluster()
                .makeApiClient(AppsV1Api)
                .readNamespacedDeployment({ namespace: "monitoring", name: "vllm-relay-ministral" }),
        });
        const before = await seen();
        const writes = stage.writes().length;
        const told = standInForKubectl();
        await succeed(followRunbook(stage, "Change Grafana's password"));
        await succeed(followRunbook(stage, "Rotate the tokens"));
        const after = await seen();
        expect(after.admin.data!["admin-password"]).not.toBe(before.admin.data!["admin-password"]);
        // Grafana is told what the Secret has now, by its input alone: no list of processes shows it.
        const password = Buffer.from(after.admin.data!["admin-password"], "base64").toString();
        const pod = "-n monitoring deployment/monitoring-grafana";
        expect(readFileSync(told, "utf8").split("\n")).toEqual([
            `exec -i ${pod} -c grafana -- grafana cli admin reset-admin-password --password-from-stdin`,
            password,
            `rollout restart ${pod}`,
            "",
        ]);
        expect(after.tokens.data!.token).not.toBe(before.tokens.data!.token);
        expect([after.admin.uid, after.tokens.uid]).toEqual([before.admin.uid, before.tokens.uid]);
        expect(after.relay.metadata).toMatchObject({
            uid: before.relay.metadata!.uid,
            generation: before.relay.metadata!.generation,
        });
        const calls = (from: number) =>
            stage
                .writes()
                .slice(from)
                .filter((call) => !call.startsWith("POST /kube/"));
        expect(calls(writes)).toEqual(["POST /ai/token", "POST /ai/token"]);
        // Meanwhile both work, and there is nothing to do.
        await succeed(stage.previewNothing());
        const rotated = stage.writes().length;
        await succeed(followRunbook(stage, "End the old tokens at once"));
        const deletion = expect.stringMatching(/^DELETE \/ai\/token\/[^/]+$/) as string;
        expect(calls(rotated)).toEqual([deletion, deletion]);
    });

    it("a new scaling target leaves app and cluster alone", async () => {
        const [app] = stage.cloud.api.apps();
        const before = stage.writes().length;
        await succeed(followRunbook(stage, "Change the scaling target"));
        expect(
            stage
                .writes()
                .slice(before)
                .filter((call) => !call.startsWith("POST /kube/")),
        ).toEqual([`PUT /ai/app/${app.id}/scalingstrategy`]);
        await succeed(stage.previewNothing());
    });

    it("another image and another Hugging Face token roll the app, and leave it the same one", async () => {
        const [before] = stage.cloud.api.apps();
        await succeed(followRunbook(stage, "Roll out another image"));
        await succeed(followRunbook(stage, "Rotate the Hugging Face token"));
        const [{ spec }] = stage.cloud.api.stored();
        expect(stage.cloud.api.apps().map(({ id }) => id)).toEqual([before.id]);
        expect(spec.image).toBe("vllm/vllm-openai:v0.13.1");
        expect(JSON.stringify(spec.envVars)).toContain("hf_made_up_for_this_page");
        expect(stage.stateText()).not.toContain("hf_made_up_for_this_page");
    });

    it("the account of previews may preview, and is refused the first write in the API's words", async () => {
        // As docs/pull-requests.md has it.
        const account = {
            ...{ OVH_APPLICATION_KEY: "", OVH_APPLICATION_SECRET: "", OVH_CONSUMER_KEY: "" },
            OVH_ACCESS_TOKEN: tokenOf("preview"),
        };
        const before = stage.writes().length;
        stage.configure({ "models.ministral.scaling.target": 45 });
        await succeed(stage.shell("pulumi preview", account));
        const { code, stdout, stderr } = await stage.shell("pulumi up --skip-preview", account);
        stage.configure({ "models.ministral.scaling.target": 40 });
        expect(code).not.toBe(0);
        expect(stdout + stderr).toMatch(/403: User not granted for this request.*ai\/app\/scalingstrategy\/edit/);
        const refused = stage.cloud.api.requests().filter(({ status }) => status === 403);
        expect(refused.every(({ effect }) => !effect)).toBe(true);
        expect(stage.writes().length - before).toBe(refused.filter(({ method }) => method !== "GET").length);
        // What was refused is in the state as to be looked at again; whoever may does that.
        await succeed(stage.up());
    });

    it("a canary stands beside the app, says what it found, and leaves nothing", async () => {
        const before = { apps: stage.cloud.api.apps().map(({ id }) => id), tokens: stage.cloud.api.tokens() };
        const answers = join(stage.layout.dir, "answers.jsonl");
        const json = join(stage.layout.dir, "canary.json");
        writeFileSync(answers, '{"prompt": "Who are you?", "expect": "simulated"}\n');
        const command = [
            ...[process.execPath, "--import", "tsx", join(checkout, "tools/canary/cli.ts"), "--stack", "test", "--yes"],
            ...["--image", "vllm/vllm-openai:v0.14.0", "--seconds", "5", "--workers", "2"],
            ...["--answers", answers, "--json", json],
        ];
        const { code, stdout, stderr } = await stage.shell(`cd '${checkout}' && '${command.join("' '")}'`);
        // What this machine is busy with decides the figures, and with them the verdict.
        expect([0, 1], stdout + stderr).toContain(code);
        const found = JSON.parse(readFileSync(json, "utf8")) as { answers: { right: object }; errors: object };
        expect(found.answers.right).toEqual({ first: 1, canary: 1 });
        expect(found.errors).toMatchObject({ first: 0, canary: 0 });
        expect(stage.cloud.api.apps().map(({ id }) => id)).toEqual(before.apps);
        expect(stage.cloud.api.tokens()).toEqual(before.tokens);
        stage.configure({ "models.ministral.image": "vllm/vllm-openai:v0.13.1" });
    });

    it("a renamed stack is the same one: its app gets another label, and nothing else would change", async () => {
        await succeed(followRunbook(stage, "Rename the stack"));
        const config = ["--stack", "renamed", "--config-file", join(stage.layout.dir, "Pulumi.renamed.yaml")];
        const said = await succeed(stage.pulumi(["preview", "--diff", ...config]));
        await succeed(stage.shell("pulumi stack rename test --stack renamed"));
        expect(said).not.toMatch(/\d+ to (create|delete|replace)/);
        const updated = [...said.matchAll(/~ \S+:(\w+): \(update\)/g)].map(([, kind]) => kind);
        expect(updated.sort()).toEqual(["App", "AppLeftovers"]);
        await succeed(stage.previewNothing());
    });

    it("a stack whose state lies elsewhere is the same one", async () => {
        await succeed(followRunbook(stage, "Move the state"));
    });

    it("a scrape token that is not the platform's any more shows as up == 0", async () => {
        const outputs = (await stage.outputs()) as StackOutputs;
        const answer = await fetch(
            `${stage.prometheusUrl}/api/v1/query?query=${encodeURIComponent('up{job="vllm-ministral"}')}`,
        );
        expect(JSON.stringify(await answer.json())).toContain('"1"');
        stage.cloud.api.revokeTokens();
        const deadline = Date.now() + 60_000;
        let value: string | undefined;
        while (value !== "0" && Date.now() < deadline) {
            const sample = await fetch(
                `${stage.prometheusUrl}/api/v1/query?query=${encodeURIComponent('up{job="vllm-ministral"}')}`,
            );
            const { data } = (await sample.json()) as { data: { result: { value: [number, string] }[] } };
            value = data.result[0]?.value[1];
            await new Promise((resolve) => setTimeout(resolve, 500));
        }
        expect(value).toBe("0");
        // Tokens that are gone are made anew, and the Secret with them. The next test goes on with what is set here.
        await succeed(stage.refresh());
        const at = (hours: number): string => new Date(Date.now() + hours * 3_600_000).toISOString().slice(11, 16);
        const hours = (from: number, to: number) => ({
            days: "mon-sun",
            from: at(from),
            to: at(to),
            timeZone: "Etc/UTC",
        });
        stage.configure({
            "models.ministral.schedule": [
                { ...hours(-1, 2), min: 2, max: 4 },
                // For which its relay reads whether it sleeps.
                { ...hours(5, 6), min: 0, max: 1 },
            ],
        });
        await succeed(stage.up());
        expect(((await stage.outputs()) as StackOutputs).clientToken).not.toBe(outputs.clientToken);
    });

    it("the controller scales by the hour, and stops the app as its lease ends, at its address", async () => {
        const [{ id, url }] = stage.cloud.api.apps();
        const app = () => stage.cloud.api.stored().find((one) => one.id === id)!;
        const limits = (): unknown[] => {
            const { replicasMin, replicasMax } = app().spec.scalingStrategy!.automatic as Record<string, unknown>;
            return [replicasMin, replicasMax];
        };
        const ofController = (): string[] =>
            stage.cloud.api
                .requests()
                .filter(({ method, account }) => method === "PUT" && /oauth2/.test(account ?? ""))
                .map(({ path }) => path.replace(/.*\/ai\/app\//, ""));
        await expect.poll(limits, { timeout: 60_000 }).toEqual([2, 4]);
        expect(ofController()).toEqual([`${id}/scalingstrategy`]);
        // What an entry wants is no drift.
        await succeed(stage.refreshNothing());
        const began = Date.now();
        await succeed(stage.previewNothing());

        // It ends after the program has looked at the clock, which a preview does too, and perhaps before `up` has.
        const until = new Date(Date.now() + Math.max(8000, 2 * (Date.now() - began))).toISOString();
        stage.configure({ "models.ministral.lease": { until } });
        await succeed(stage.up());
        await expect.poll(() => app().state, { timeout: 120_000 }).toBe("STOPPED");
        expect(Date.now()).toBeGreaterThan(Date.parse(until));
        expect(ofController()).toEqual([`${id}/scalingstrategy`, `${id}/stop`]);
        expect(stage.cloud.api.apps()).toMatchObject([{ id, url }]);
        // Nobody but its reader has told the relay.
        const down = `${stage.prometheusUrl}/api/v1/query?query=${encodeURIComponent('vllm_relay_phase{phase="down"}')}`;
        await expect.poll(async () => (await fetch(down)).text(), { timeout: 60_000, interval: 500 }).toMatch(/,"1"\]/);
    });

    it("no secret lies in the state in clear", async () => {
        const outputs = (await stage.outputs()) as StackOutputs;
        const state = stage.stateText();
        const made = async (name: string, key: string): Promise<string> => {
            const core = cluster().makeApiClient(CoreV1Api);
            const { data } = await core.readNamespacedSecret({ namespace: "monitoring", name });
            return Buffer.from(data![key], "base64").toString();
        };
        const controller = JSON.parse(await made("vllm-controller", "credential")) as { clientSecret: string };
        const [, reader] = (await made("vllm-relay-app-reader-ministral", "key")).split(":");
        const given = [outputs.clientToken, outputs.grafanaPassword, stage.env.OVH_APPLICATION_SECRET];
        for (const secret of [...given, controller.clientSecret, reader]) {
            expect(secret).toMatch(/./);
            expect(state).not.toContain(secret);
        }
        expect(state).not.toContain("client-key-data");
        expect(state).not.toContain("hf_sandbox_not_a_real_token");
    });

    it("a state that was lost is made anew around app, cluster and release, which stay", async () => {
        const before = await stage.outputs();
        const found = () => [stage.cloud.api.apps().map(({ id }) => id), stage.cloud.api.clusters()];
        const [[app], [cluster]] = found();
        const tokens = (await ovhcloud().get<{ id: string }[]>(`${projectPath}/ai/token`)).map(({ id }) => id);
        const writes = stage.writes().length;
        await stage.loseState();
        // Whoever does not know is stopped by the preview before there are two.
        await stage.initStack("test");
        const refused = await stage.preview();
        expect(refused.code).not.toBe(0);
        const hints = [
            `models.ministral.adopt ${app}`,
            `pulumi import ovh:CloudProject/kube:Kube cluster ${sandboxProjectId}/${cluster}`,
        ];
        const said = refused.stdout + refused.stderr;
        expect(hints.filter((hint) => said.includes(hint))).not.toEqual([]);
        expect(stage.writes().slice(writes)).toEqual([]);
        await stage.loseState();

        const named = { STACK: "test", PROJECT_ID: sandboxProjectId, APP_ID: app, CLUSTER_ID: cluster };
        await succeed(followRunbook(stage, "The state is lost", named));
        expect(found()).toEqual([[app], [cluster]]);
        const made = stage
            .writes()
            .slice(writes)
            .filter((call) => /^(POST|DELETE) \/(ai\/app|kube)(\/[^/]+\/nodepool)?$/.test(call));
        expect(made).toEqual([]);
        const { appUrl, clientToken } = await stage.outputs();
        expect(appUrl).toBe(before.appUrl);
        expect(clientToken).not.toBe(before.clientToken);
        await succeed(stage.previewNothing());
        for (const id of tokens) await ovhcloud().delete(`${projectPath}/ai/token/${id}`);
    });

    it("a destroy that was killed leaves nothing that no state has", async () => {
        const before = stage.writes().length;
        const isBegun = (): boolean => appWrites(before).some((call) => call.endsWith("/stop"));
        await killWhen((started) => stage.destroy(started), "pulumi", isBegun);
        const state = stage.stateText();
        const left = [...stage.cloud.api.apps().map(({ id }) => id), ...stage.cloud.api.clusters()];
        expect(left.filter((id) => !state.includes(id))).toEqual([]);
        await stage.cancel();
    });

    it("destroy leaves nothing: no app, no token, no cluster", async () => {
        await succeed(followRunbook(stage, "Tear everything down"));
        expect(stage.cloud.api.apps()).toEqual([]);
        expect(stage.cloud.api.tokens()).toEqual([]);
        expect(stage.cloud.api.clusters()).toEqual([]);
        expect(stage.cloud.api.violations()).toEqual([]);
    });

    // The list itself was recorded (test/access/calls.json); this is the program as it is now.
    it("nothing of all that needed a right that deployments do not have", () => {
        const granted = actions.deploy.map((action) => actionPrefix + action);
        const ofOthers = /preview|oauth2/;
        const used = stage.cloud.api
            .requests()
            .filter(({ account, status }) => !ofOthers.test(account ?? "") && status < 400)
            .flatMap((request) => request.actions)
            .filter((action) => action.startsWith(actionPrefix));
        expect(new Set(used).size).toBeGreaterThan(10);
        expect([...new Set(used)].filter((action) => !granted.includes(action))).toEqual([]);
    });
});
