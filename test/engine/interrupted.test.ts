import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { endProcesses, sandboxProcesses } from "../../sandbox/processes";
import type { PulumiRun } from "../../sandbox/pulumi-cli";
import { followRunbook } from "./runbook";
import { openSandboxStage, type Stage } from "./stage";

let stage: Stage;

beforeAll(async () => {
    stage = await openSandboxStage();
});
afterAll(() => stage.close());

/** Status of each revision of the release that Helm remembers, the oldest first; none without a cluster. */
async function revisions(): Promise<string[]> {
    if (!existsSync(stage.layout.kubeconfig)) return [];
    const config = new KubeConfig();
    config.loadFromFile(stage.layout.kubeconfig);
    const { items } = await config
        .makeApiClient(CoreV1Api)
        .listNamespacedSecret({ namespace: "monitoring", labelSelector: "owner=helm,name=monitoring" });
    return items
        .map(({ metadata }) => metadata!.labels as { version: string; status: string })
        .sort((a, b) => Number(a.version) - Number(b.version))
        .map(({ status }) => status);
}

/** Sends a signal to `pulumi` once the release's newest revision has this status, and waits for the end. */
async function interruptWhen(status: string, signal: NodeJS.Signals): Promise<PulumiRun> {
    let pid = 0;
    let over = false;
    const run = stage.up((started) => (pid = started)).finally(() => (over = true));
    while ((await revisions().catch(() => [] as string[])).at(-1) !== status) {
        if (over) throw new Error(`it ended before it was ${status}: ${JSON.stringify(await run)}`);
        await sleep(10);
    }
    process.kill(pid, signal);
    // As when the machine goes down: a plugin that outlives its engine would go on with the operation.
    if (signal === "SIGKILL") await endProcesses(sandboxProcesses(stage.layout.pulumiHome), 0);
    return run;
}

async function upEndsWell(): Promise<string> {
    const { code, stdout, stderr } = await followRunbook(stage, "An up that hangs or was killed");
    expect(code, stdout + stderr).toBe(0);
    expect((await revisions()).at(-1)).toBe("deployed");
    const preview = await stage.previewNothing();
    expect(preview.code, preview.stdout + preview.stderr).toBe(0);
    return stdout + stderr;
}

describe.sequential("an interrupted Helm release is taken up by the next up", () => {
    it("killed in the first installation", async () => {
        await interruptWhen("pending-install", "SIGKILL");
        expect(await upEndsWell()).toMatch(/taking up what was interrupted \(revision 1, pending-install\)/);
        expect(stage.cloud.api.apps()).toHaveLength(1);
        expect(stage.cloud.api.clusters()).toHaveLength(1);
        const { code, stdout, stderr } = await followRunbook(stage, "End what is said to be pending");
        expect(code, stdout + stderr).toBe(0);
        const { checkpoint } = JSON.parse(stage.stateText()) as {
            checkpoint: { latest: { pending_operations?: object[] } };
        };
        expect(checkpoint.latest.pending_operations ?? []).toEqual([]);
        const preview = await stage.previewNothing();
        expect(preview.code, preview.stdout).toBe(0);
    });

    it("killed in an upgrade", async () => {
        stage.configure({ "monitoring.retention": "14d" });
        await interruptWhen("pending-upgrade", "SIGKILL");
        expect(await upEndsWell()).toMatch(/taking up what was interrupted \(revision \d+, pending-upgrade\)/);
    });

    it("ended with Ctrl-C in an upgrade", async () => {
        stage.configure({ "monitoring.retention": "13d" });
        const { code } = await interruptWhen("pending-upgrade", "SIGINT");
        expect(code).not.toBe(0);
        await upEndsWell();
    });

    it("installed, but killed before it could be noted", async () => {
        // What is left then is a release in Helm's record that no state knows.
        await stage.forget("kubernetes:helm.sh/v3:Release");
        expect(await upEndsWell()).toMatch(/taking up what was interrupted \(.*deployed/);
    });
});
