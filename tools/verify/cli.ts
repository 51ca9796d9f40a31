// `npm run verify`: is everything there that the stack promises?
import { writeFileSync } from "node:fs";
import { OvhClient } from "../../packages/ai-deploy/src/api/client";
import { styled } from "../../machine/terminal";
import { checkResultFile, commandLine, errorText } from "../command-line";
import { monitoringApis } from "../monitoring-api";
import { pulumi, PulumiError, readStack, stackApi, stackSettings, type Stack, type StackOutputs } from "../stack";
import { doorAddresses } from "./front-door";
import { findingLine, junit, summary } from "./report";
import { verifyStack } from "./verify";

const usage = `Usage: npm run verify [-- OPTIONS]

Looks at a live stack, on OVHcloud or in the sandbox, and says of each promise whether it holds, what was seen, and what to
do. Nothing is changed; each model is asked for one short completion.

  --stack NAME          stack to look at (default: the selected stack)
  --prometheus URL      where Prometheus answers (default: through the cluster's API server; in the sandbox its own)
  --alertmanager URL    the same of Alertmanager
  --front-door NAME=URL  where the front door of a model answers, http://127.0.0.1:8080 (default: its own address)
  --json                print the findings as JSON and nothing else
  --junit FILE          also write them there, for CI

Exit code: 0 (every promise holds; warnings do not count), 1 (a promise is broken), 2 (the stack could not be looked at).`;

async function main(): Promise<number> {
    const { values: options } = commandLine({
        options: {
            stack: { type: "string" },
            prometheus: { type: "string" },
            alertmanager: { type: "string" },
            "front-door": { type: "string", multiple: true, default: [] },
            json: { type: "boolean", default: false },
            junit: { type: "string" },
            help: { type: "boolean", short: "h", default: false },
        },
    });
    if (options.help) {
        console.log(usage);
        return 0;
    }
    checkResultFile("junit", options.junit);
    const began = performance.now();
    const stack = await readStack(options.stack);
    const settings = stackSettings(stack);
    const outputs = completeOutputs(stack);
    let group = "";
    const findings = await verifyStack({
        settings,
        outputs,
        api: stackApi(stack, (credentials) => new OvhClient(credentials, { requestTimeoutMs: 15_000, ...pace() })),
        ...monitoringApis(outputs.kubeconfig, settings.monitoring.namespace, options),
        frontDoors: doorAddresses(options["front-door"], settings),
        shown: {
            outputs: () => pulumi(["stack", "output", "--json"], options.stack),
            state: () => pulumi(["stack", "export"], options.stack),
        },
        changes: {
            preview: () => changesOf(["preview", "--expect-no-changes", "--diff"], options.stack),
            refresh: () => changesOf(["refresh", "--preview-only", "--expect-no-changes", "--diff"], options.stack),
        },
        // No kubelet and no exporter runs in the sandbox.
        ...(process.env.OVH_SANDBOX_CA && { notRun: /^(kubelet|kube|node|container)_/ }),
        onFinding: (finding) => {
            if (options.json) return;
            if (finding.group !== group) console.log(styled("bold", `\n${finding.group}`));
            group = finding.group;
            console.log(findingLine(finding));
        },
    });
    if (options.json) console.log(JSON.stringify(findings, null, 4));
    else console.log(`\n${summary(findings, performance.now() - began)}`);
    if (options.junit !== undefined) writeFileSync(options.junit, junit(findings));
    return findings.some(({ verdict }) => verdict === "broken") ? 1 : 0;
}

function completeOutputs({ outputs }: Stack): StackOutputs {
    if (!outputs.models || !outputs.kubeconfig) {
        throw new Error("the stack has no outputs `models` and `kubeconfig`: run `pulumi up` first");
    }
    return outputs as StackOutputs;
}

/** The pace that the provider is told: in the sandbox OVHcloud's limit is that of its faster time. */
function pace(): { requestsPerMinute?: number } {
    const requestsPerMinute = Number(process.env.OVH_AI_DEPLOY_REQUESTS_PER_MINUTE);
    return requestsPerMinute > 0 ? { requestsPerMinute } : {};
}

/** What a preview of this kind says; undefined when it would change nothing. */
async function changesOf(args: string[], stack: string | undefined): Promise<string | undefined> {
    try {
        await pulumi(args, stack);
        return undefined;
    } catch (error) {
        if (error instanceof PulumiError && error.changes !== undefined) return error.changes;
        throw error;
    }
}

main().then(
    (code) => process.exit(code),
    (error: Error) => {
        console.error(errorText(error));
        process.exit(2);
    },
);
