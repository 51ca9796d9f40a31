import { mkdirSync } from "node:fs";
import type { DaemonInfo } from "../daemon";
import { checkout, type Layout } from "../layout";
import type { Settings } from "../../src/settings";
import { stackSettings, type StackOutputs } from "../../tools/stack";
import { pulumi, type PulumiRun } from "../pulumi-cli";
import { sandboxStatus } from "../status";
import { mendCheckpoint } from "./checkpoint";
import { isInterrupted } from "./interruption";
import type { Phase } from "./phases";
import { failureOf, PulumiProgress } from "./pulumi-output";
import { UserError } from "./user-error";

const name = "sandbox";
/** As in Pulumi.yaml. */
const project = "ovhcloud-llm-serving";

export interface UpRun {
    code: number;
    /** What came of the resources. */
    summary: string;
    /** The lines that say why, should it have failed. */
    failure: string[];
}

/** The stack of this project on the local OVHcloud, worked on by the real `pulumi`. */
export class Stack {
    constructor(
        private readonly layout: Layout,
        private readonly daemon: DaemonInfo,
        private readonly env: Record<string, string>,
    ) {}

    /** Runs `pulumi up`. All that it prints goes to the log of the phase. */
    async up({ log, show, say }: Phase): Promise<UpRun> {
        mkdirSync(this.layout.pulumiState, { recursive: true });
        mendCheckpoint(this.layout, project, name, say);
        const selected = await this.run(["stack", "select", name, "--create"]);
        if (selected.code !== 0) throw new UserError(`pulumi stack select failed:\n${selected.stderr}`);
        // Left behind when an earlier run was killed; the caller holds the sandbox's lock, so nobody else holds this one.
        await this.run(["cancel", "--yes", "--stack", name]);
        const refresh = (await this.addressMoved()) ? ["--refresh"] : [];
        const progress = new PulumiProgress();
        const run = await this.run(["up", "--yes", "--skip-preview", ...refresh, "--stack", name], (line) => {
            if (!/^@ updating/.test(line)) log(line);
            const at = progress.read(line);
            if (at !== undefined) show(at);
        });
        return { code: run.code, summary: progress.summary, failure: failureOf(run.stdout + run.stderr) };
    }

    async outputs(): Promise<StackOutputs> {
        return JSON.parse(await this.told(["stack", "output", "--json", "--show-secrets"])) as StackOutputs;
    }

    async settings(): Promise<Settings> {
        const config = await this.told(["config", "--json", "--show-secrets"]);
        return stackSettings({ outputs: {}, config: JSON.parse(config) as Record<string, { value: string }> });
    }

    /** What a second `up` would change; undefined for nothing. */
    async changes(): Promise<string | undefined> {
        const { code, stdout, stderr } = await this.run(["preview", "--expect-no-changes", "--diff", "--stack", name]);
        return code === 0 ? undefined : (stdout + stderr).trim();
    }

    /** Whether an app is at another port than the stack knows, because another program has taken its own meanwhile. */
    private async addressMoved(): Promise<boolean> {
        const [answer, { apps }] = await Promise.all([
            this.run(["stack", "output", "--json", "--show-secrets", "--stack", name]),
            sandboxStatus(this.daemon.api),
        ]);
        if (answer.code !== 0) return false; // nothing was ever deployed
        const { models = {} } = JSON.parse(answer.stdout) as Partial<StackOutputs>;
        const now = new Map(apps.map(({ id, url }) => [id, url]));
        return Object.values(models).some(({ appId, appUrl }) => now.has(appId) && now.get(appId) !== appUrl);
    }

    private async told(args: string[]): Promise<string> {
        const { code, stdout, stderr } = await this.run([...args, "--stack", name]);
        const words = args.filter((arg) => !arg.startsWith("-")).join(" ");
        if (code !== 0) throw new UserError(`pulumi ${words} failed:\n${stderr}`);
        return stdout;
    }

    /** Somebody who has asked for an end asks for no next step. */
    private async run(args: string[], line?: (line: string) => void): Promise<PulumiRun> {
        if (isInterrupted()) return { code: 130, stdout: "", stderr: "interrupted" };
        return pulumi(args, { cwd: checkout, layout: this.layout, env: this.env, line });
    }
}
