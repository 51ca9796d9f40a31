import { KubeConfig } from "@kubernetes/client-node";
import { readFileSync } from "node:fs";
import { sandboxStatus } from "../status";
import { checkCluster } from "./cluster";
import { expect, type Check, type Finding } from "./finding";
import { grafanaPromises, type GrafanaAccess } from "./grafana";
import { checkGrafana } from "./grafana-api";
import { checkModel, type ModelOutput } from "./model";
import { readsFolder } from "./prometheus";

/** The stack outputs that the checks start from (`pulumi stack output --json --show-secrets`). */
export interface StackOutputs {
    appId: string;
    appUrl: string;
    openAiBaseUrl: string;
    platformMonitoringUrl: string;
    grafanaUrl: string;
    clientToken: string;
    kubeconfig: string;
    grafanaPassword: string;
    models: Record<string, ModelOutput>;
}

export interface ProofInput {
    outputs: StackOutputs;
    /** API of the emulated OVHcloud, with `/v1`. */
    api: string;
    prometheus: string;
    /** Folder of Prometheus' config, which a neighbour's does not read. */
    prometheusFolder: string;
    caFile: string;
    /** Base URL of the Grafana that is to run; absent when none is installed: what its API says is then not looked at. */
    grafanaUrl?: string;
    /** The stack's `monitoring.grafana.access`: what is promised of Grafana follows from it. */
    grafanaAccess: GrafanaAccess;
    /** `pulumi preview --expect-no-changes` run by the caller; resolves with what it would change, or nothing. */
    preview: () => Promise<string | undefined>;
    /** Called with each finding as it is made. */
    onFinding?: (finding: Finding) => void;
}

/** Checks every promise of the reference architecture, in the order in which a person would. Never throws for a broken promise. */
export async function proveStack(input: ProofInput): Promise<Finding[]> {
    const { outputs, api, prometheus } = input;
    const findings: Finding[] = [];
    const check: Check = async (promise, look) => {
        let finding: Finding;
        try {
            finding = { promise, ok: true, seen: await look() };
        } catch (error) {
            finding = { promise, ok: false, seen: (error as Error).message };
        }
        findings.push(finding);
        input.onFinding?.(finding);
    };
    const ca = readFileSync(input.caFile);
    const kubernetes = new KubeConfig();
    // Of the stack, not of the sandbox: it must open the cluster that the stack has now.
    kubernetes.loadFromString(outputs.kubeconfig);

    await check("Prometheus is this sandbox's own", () => readsFolder(prometheus, input.prometheusFolder));
    for (const [name, model] of Object.entries(outputs.models)) {
        await checkModel(check, name, model, { api, prometheus, ca });
    }
    await checkCluster(check, kubernetes, Object.keys(outputs.models), outputs.grafanaUrl);
    const grafana = grafanaPromises[input.grafanaAccess];
    await check(grafana.promise, () => grafana.look(kubernetes, outputs.grafanaUrl));
    if (input.grafanaUrl !== undefined) {
        const models = Object.keys(outputs.models);
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
    return findings;
}
