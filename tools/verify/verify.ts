import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { tokenSecretName } from "../../src/monitoring/scrape-jobs";
import type { Settings } from "../../src/settings";
import type { MonitoringApi } from "../monitoring-api";
import { Prometheus } from "../prometheus";
import type { StackOutputs } from "../stack";
import { checkAlerts } from "./alerts";
import {
    apiAnswers,
    checkConfigured,
    checkImage,
    checkLog,
    checkRunning,
    type AiDeploy,
    type VerifiedModel,
} from "./app";
import { expect, Findings, unseen, type Check, type Finding } from "./check";
import {
    checkCluster,
    checkKubeconfig,
    checkManagedKubernetes,
    checkMonitoring,
    clusterAnswers,
    readToken,
} from "./cluster";
import { checkFrontDoor } from "./front-door";
import { grafanaPromises } from "./grafana";
import { checkScraped, checkScrapeJobs, prometheusAnswers } from "./metrics";
import { checkPanels } from "./panels";
import { checkSecrets, type Shown } from "./secrets";
import { checkServing } from "./serving";
import { checkTokens } from "./tokens";

/** A stack, and everything through which it is looked at. Nothing of it is changed. */
export interface VerifyInput {
    settings: Settings;
    outputs: StackOutputs;
    /** OVHcloud's API, or why it cannot be asked. */
    api: AiDeploy | string;
    prometheus: MonitoringApi;
    alertmanager: MonitoringApi;
    /** Where front doors are reached from here, by model, in place of their own addresses. */
    frontDoors?: Record<string, string>;
    /** Names of the metrics of what does not run here, such as the exporters in the sandbox. */
    notRun?: RegExp;
    /** Authority to trust besides Node's own, PEM. */
    ca?: Buffer;
    shown: Shown;
    /** What a second `pulumi up` would change, and what was changed outside of it; resolves with nothing when there is nothing. */
    changes: { preview: () => Promise<string | undefined>; refresh: () => Promise<string | undefined> };
    /** Called with each finding as it is made. */
    onFinding?: (finding: Finding) => void;
}

/** Checks a live stack. Never rejects for a broken promise: that is a finding. */
export async function verifyStack(input: VerifyInput): Promise<Finding[]> {
    const { settings, outputs, ca } = input;
    const { namespace } = settings.monitoring;
    const secrets = {
        huggingFaceToken: settings.huggingFaceToken,
        grafanaPassword: outputs.grafanaPassword,
        ...Object.fromEntries(
            Object.entries(outputs.models).map(([name, one]) => [`${name}'s client token`, one.clientToken]),
        ),
        ...Object.fromEntries(
            Object.entries(settings.clientKeys ?? {}).map(([consumer, key]) => [`${consumer}'s client key`, key]),
        ),
    };
    const findings = new Findings(Object.values(secrets), input.onFinding);
    const models = Object.entries(settings.models).flatMap(([name, model]): VerifiedModel[] => {
        const output = outputs.models[name] as VerifiedModel["output"] | undefined;
        return output ? [{ name, settings: model, output }] : [];
    });
    const names = models.map(({ name }) => name);
    const prometheus = new Prometheus(input.prometheus);
    const kubernetes = new KubeConfig();
    kubernetes.loadFromString(outputs.kubeconfig);

    const platform = findings.group("Platform");
    await checkApi(platform, input.api);
    // Everything that would ask it needs the line above, which is red.
    const api = typeof input.api === "string" ? unreachable(input.api) : input.api;
    for (const model of models) {
        await checkRunning(platform, model, api);
        await checkConfigured(platform, model, api, settings.huggingFaceToken);
        await checkImage(platform, model);
        await checkLog(platform, model, api);
    }
    for (const model of models) await checkServing(findings.group("Serving"), model, ca);
    await checkTokens(findings.group("Tokens"), models, api, ca);

    const cluster = findings.group("Cluster");
    await checkManagedKubernetes(cluster, api, settings.cluster);
    await checkCluster(cluster, kubernetes, names, outputs.grafanaUrl, namespace);
    await checkMonitoring(cluster, kubernetes, settings.monitoring);
    await checkKubeconfig(cluster, kubernetes);
    const grafana = grafanaPromises[settings.monitoring.grafana.access];
    await cluster(grafana.promise, () => grafana.look(kubernetes, outputs.grafanaUrl, namespace), {
        needs: [clusterAnswers],
    });

    const metrics = findings.group("Metrics");
    await metrics(prometheusAnswers, async () => {
        await prometheus.query("vector(1)");
        return input.prometheus.where;
    });
    for (const model of models) {
        await checkScraped(metrics, model, prometheus, 0);
        await checkScrapeJobs(metrics, model, prometheus, settings.monitoring, api);
    }
    for (const model of models) {
        const look = { kubernetes, namespace, prometheus, clientKeys: settings.clientKeys ?? {}, ca };
        await checkFrontDoor(findings.group("Front doors"), model, { ...look, at: input.frontDoors ?? {} });
    }
    await checkPanels(findings.group("Dashboards"), kubernetes, namespace, names, prometheus, input.notRun);
    await checkAlerts(findings.group("Alerts"), models, prometheus, input.alertmanager, settings);

    const known = { ...secrets, ...(await scrapeTokens(kubernetes, namespace, models)) };
    await checkSecrets(findings.group("Secrets"), known, input.shown, kubernetes, namespace);
    await checkDrift(findings.group("Drift"), settings, outputs, input.changes);
    return findings.all;
}

async function checkApi(check: Check, api: AiDeploy | string): Promise<void> {
    await check(apiAnswers, async () => {
        if (typeof api === "string") unseen(api, "see README.md, Credentials");
        const { projectId, client } = api;
        await client.get(`/cloud/project/${encodeURIComponent(projectId)}/ai/app`);
        return `project ${projectId}`;
    });
}

function unreachable(reason: string): AiDeploy {
    return { projectId: "", client: { get: () => Promise.reject(new Error(reason)) } };
}

/** To look for them where they should not be; a cluster that does not answer has a line of its own. */
async function scrapeTokens(
    kubernetes: KubeConfig,
    namespace: string,
    models: VerifiedModel[],
): Promise<Record<string, string>> {
    const core = kubernetes.makeApiClient(CoreV1Api);
    const read = models.map(async ({ name }): Promise<[string, string]> => [
        `${name}'s scrape token`,
        await readToken(core, namespace, tokenSecretName(name)).catch(() => ""),
    ]);
    return Object.fromEntries(await Promise.all(read));
}

async function checkDrift(
    check: Check,
    settings: Settings,
    outputs: StackOutputs,
    { preview, refresh }: VerifyInput["changes"],
): Promise<void> {
    await check("every model that is configured is deployed, and no other", async () => {
        const [wanted, found] = [Object.keys(settings.models).sort(), Object.keys(outputs.models).sort()];
        const said = `deployed: ${found.join(", ")}; configured: ${wanted.join(", ")}`;
        expect(wanted.join() === found.join(), said, "pulumi up");
        return found.join(", ");
    });
    await check("nothing was changed outside of the stack", async () => {
        const changed = await refresh();
        expect(changed === undefined, `pulumi refresh finds:\n${changed}`, "pulumi refresh, then pulumi up");
        return "pulumi refresh finds nothing";
    });
    await check("a second pulumi up would change nothing", async () => {
        const changed = await preview();
        expect(changed === undefined, `it would:\n${changed}`, "pulumi up");
        return "no changes";
    });
}
