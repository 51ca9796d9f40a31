import { KubeConfig } from "@kubernetes/client-node";
import { readFileSync } from "node:fs";
import { OvhClient } from "../../packages/ai-deploy/src/api/client";
import type { Settings } from "../../src/settings";
import { apiAt } from "../../tools/monitoring-api";
import { Prometheus } from "../../tools/prometheus";
import type { StackOutputs } from "../../tools/stack";
import { apiAnswers, checkRunning, type AiDeploy } from "../../tools/verify/app";
import { eventually, expect, Findings, type Finding } from "../../tools/verify/check";
import { checkCluster } from "../../tools/verify/cluster";
import { grafanaPromises } from "../../tools/verify/grafana";
import { checkScraped, prometheusAnswers } from "../../tools/verify/metrics";
import { checkServing } from "../../tools/verify/serving";
import { sandboxCredentials } from "../credentials";
import { sandboxStatus } from "../status";
import { checkGrafana } from "./grafana-api";

export interface ProofInput {
    outputs: StackOutputs;
    settings: Settings;
    /** API of the emulated OVHcloud, with `/v1`. */
    api: string;
    prometheus: string;
    /** Folder of Prometheus' config, which a neighbour's does not read. */
    prometheusFolder: string;
    caFile: string;
    /** Base URL of the Grafana that is to run; absent when none is installed: what its API says is then not looked at. */
    grafanaUrl?: string;
    /** `pulumi preview --expect-no-changes` run by the caller; resolves with what it would change, or nothing. */
    preview: () => Promise<string | undefined>;
    /** Called with each finding as it is made. */
    onFinding?: (finding: Finding) => void;
}

/** Platform seconds; a guess with room for a download that takes long. */
const longestBootSeconds = 900;

/**
 * Checks what `npm run verify` checks of a stack, as far as a sandbox that has just come up needs it, and what only a sandbox
 * promises; in the order in which a person would. Never throws for a broken promise.
 */
export async function proveStack(input: ProofInput): Promise<Finding[]> {
    const { outputs, settings, api } = input;
    const secrets = [outputs.clientToken, outputs.grafanaPassword, settings.huggingFaceToken];
    const findings = new Findings(secrets, input.onFinding);
    const check = findings.group("Proof");
    const ca = readFileSync(input.caFile);
    const prometheus = new Prometheus(apiAt(input.prometheus));
    const kubernetes = new KubeConfig();
    // Of the stack, not of the sandbox: it must open the cluster that the stack has now.
    kubernetes.loadFromString(outputs.kubeconfig);
    const aiDeploy = platformOf(input);

    await check(prometheusAnswers, () => readsFolder(prometheus, input.prometheusFolder));
    await check(apiAnswers, async () => `${(await sandboxStatus(api)).apps.length} app(s) at ${api}`);
    const { speed } = await sandboxStatus(api);
    for (const [name, model] of Object.entries(settings.models)) {
        const verified = { name, settings: model, output: outputs.models[name] };
        // After a stop of the sandbox its replicas boot again, which no `pulumi up` waits for.
        await checkRunning(check, verified, aiDeploy, longestBootSeconds / speed);
        await checkServing(check, verified, ca);
        await checkScraped(check, verified, prometheus);
    }
    await checkCluster(check, kubernetes, Object.keys(settings.models), outputs.grafanaUrl);
    const grafana = grafanaPromises[settings.monitoring.grafana.access];
    await check(grafana.promise, () => grafana.look(kubernetes, outputs.grafanaUrl, settings.monitoring.namespace));
    if (input.grafanaUrl !== undefined) {
        const models = Object.keys(settings.models);
        await checkGrafana(check, { url: input.grafanaUrl, password: outputs.grafanaPassword, models });
    }
    await check("kubeconfig, Grafana password and client token are outputs", async () => {
        for (const key of ["kubeconfig", "grafanaPassword", "clientToken"] as const) {
            expect(outputs[key], `output ${key} is missing`);
        }
        return "kubeconfig, grafanaPassword, clientToken (secret)";
    });
    await check("calls kept to the published API structure", async () => {
        const { violations } = await sandboxStatus(api);
        expect(violations === 0, `${violations} violation(s), see ${api.replace("/v1", "")}/sandbox/violations`);
        return "0 violations";
    });
    await check("pulumi preview is empty", async () => {
        const changes = await input.preview();
        expect(changes === undefined, `a second up would change: ${changes}`);
        return "no changes";
    });
    return findings.all;
}

/** The emulated API, as the sandbox's own access token reaches it. */
function platformOf({ api, settings }: ProofInput): AiDeploy {
    const { accessToken } = sandboxCredentials;
    // No limit of rate: that of the platform's time would be one of hours here.
    const client = new OvhClient(
        { baseUrl: api, auth: { kind: "token", accessToken } },
        { requestsPerMinute: 60_000, requestTimeoutMs: 10_000 },
    );
    return { client, projectId: settings.projectId };
}

/** Whose Prometheus it is: a neighbour's reads other files. `folder` is that of its config. */
function readsFolder(prometheus: Prometheus, folder: string): Promise<string> {
    return eventually(async () => {
        const { where } = prometheus.api;
        const own = (await prometheus.config()).includes(`${folder}/`);
        expect(own, `${where} is that of another sandbox: it does not read ${folder}`);
        return `${where} reads ${folder}`;
    });
}
