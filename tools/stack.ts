import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { configFiles, resolveCredentials, type Credentials } from "../packages/ai-deploy/src/api/credentials";
import { monitoringChecks } from "../src/monitoring/settings-checks";
import type { Cost } from "../src/prices/cost";
import { parseSettings, type Settings } from "../src/settings";

/** What a stack of this project tells of one of its models, under the model's name in the output `models`. */
export interface ModelOutput {
    /** What requests name as their model. */
    model: string;
    appId: string;
    appUrl: string;
    openAiBaseUrl: string;
    platformMonitoringUrl: string;
    scrapeJob: string;
    clientToken: string;
    /** Of a model with a front door, once that has an address. */
    frontDoorUrl?: string;
}

/** The outputs of a stack, as `pulumi stack output --json --show-secrets` prints them. */
export interface StackOutputs {
    appId: string;
    appUrl: string;
    openAiBaseUrl: string;
    platformMonitoringUrl: string;
    grafanaUrl: string;
    grafanaPassword: string;
    clientToken: string;
    kubeconfig: string;
    models: Record<string, ModelOutput>;
    /** As of the last `pulumi up`; one by an older version of the program had none. */
    cost?: Cost;
}

/** A whole stack's config and outputs, with secrets: they stay in memory. */
export interface Stack {
    /** What `--stack` names; undefined: the selected one. */
    name?: string;
    /** Empty for a stack that was never brought up. */
    outputs: Partial<StackOutputs>;
    /** As `pulumi config --json --show-secrets` prints it. */
    config: Record<string, { value: string; secret?: boolean }>;
}

/** Name of the project, as in Pulumi.yaml. */
export const project = "ovhcloud-llm-serving";

/** What `pulumi` was asked for and did not do; the message is for people. */
export class PulumiError extends Error {
    /** Of a preview that was to expect no changes: those it found. */
    changes?: string;
}

/** Reads a stack; undefined: the selected one. Throws a PulumiError. */
export async function readStack(name?: string): Promise<Stack> {
    // One after the other: each may ask for the stack's lock.
    const outputs = await pulumi(["stack", "output", "--json", "--show-secrets"], name);
    const config = await pulumi(["config", "--json", "--show-secrets"], name);
    return { name, outputs: JSON.parse(outputs) as Stack["outputs"], config: JSON.parse(config) as Stack["config"] };
}

/**
 * The model of this name in the stack config; without a name, the only one. Throws an Error for people.
 * @returns its name and what the stack tells of it
 */
export function chooseModel(stack: Stack, wanted: string | undefined): [name: string, output: ModelOutput] {
    const models = stack.outputs.models ?? {};
    const names = Object.keys(models);
    if (names.length === 0) throw new Error("the stack has no output `models`: run `pulumi up` first");
    const name = wanted ?? (names.length === 1 ? names[0] : undefined);
    if (name === undefined || !Object.hasOwn(models, name)) {
        const found = wanted === undefined ? "the stack has several models" : `the stack has no model "${wanted}"`;
        throw new Error(`${found}: choose one with --model ${names.join(" or --model ")}`);
    }
    return [name, models[name]];
}

/** The stack's settings, defaults filled in. Throws a SettingsError for a config that `pulumi up` would refuse. */
export function stackSettings({ config }: Stack): Settings {
    const own = Object.entries(config).filter(([key]) => key.startsWith(`${project}:`));
    const named = own.map(([key, { value, secret }]) => ({ key: key.slice(project.length + 1), value, secret }));
    const values = Object.fromEntries(named.map(({ key, value }) => [key, value]));
    const secretKeys = new Set(named.filter(({ secret }) => secret).map(({ key }) => key));
    return parseSettings({ values, secretKeys }, project, [monitoringChecks]);
}

/** Id of the stack's Public Cloud project; without one in the config, that of the environment. */
export function projectIdOf(config: (key: string) => string | undefined): string | undefined {
    return config(`${project}:projectId`) || process.env.OVH_CLOUD_PROJECT_SERVICE;
}

/** OVHcloud's credentials as the program and its providers find them. Throws an Error that says what is missing. */
export function credentialsOf(config: (key: string) => string | undefined): Credentials {
    return resolveCredentials({ config, env: process.env, files: configFiles() });
}

/** OVHcloud's API as the stack's own credentials reach it, or why that is impossible. */
export function stackApi<Client>(
    { config }: Stack,
    connect: (credentials: Credentials) => Client,
): { client: Client; projectId: string } | string {
    const value = (key: string): string | undefined => config[key]?.value;
    const projectId = projectIdOf(value);
    if (!projectId) return "the project is not known: pulumi config set projectId ID";
    try {
        return { client: connect(credentialsOf(value)), projectId };
    } catch (error) {
        return (error as Error).message;
    }
}

/**
 * Runs `pulumi` in the checkout and resolves with its stdout.
 * @param stack what `--stack` names; undefined: the selected one
 * @throws PulumiError with what pulumi said on stderr: its stdout may hold secrets
 */
export async function pulumi(args: string[], stack?: string): Promise<string> {
    const sandboxHint = 'for the sandbox, "source .sandbox/env" first';
    const which = stack === undefined ? [] : ["--stack", stack];
    try {
        const { stdout } = await promisify(execFile)(
            "pulumi",
            [...args, ...which, "--non-interactive", "--color", "never"],
            { cwd: resolve(__dirname, ".."), maxBuffer: 64 * 1024 * 1024 },
        );
        return stdout;
    } catch (error) {
        const { code, stdout, stderr } = error as { code?: string | number; stdout?: string; stderr?: string };
        if (code === "ENOENT") {
            throw new PulumiError(`pulumi is not on the PATH: install it; ${sandboxHint}`);
        }
        // Not the error's message, which would repeat what was run.
        const failed = new PulumiError(`pulumi ${args[0]} failed (${sandboxHint}):\n${(stderr ?? "").trim()}`);
        const changed = args.includes("--expect-no-changes") && /no changes were expected/.test(stderr ?? "");
        // Of a preview stdout shows secrets as [secret].
        if (changed) failed.changes = (stdout ?? "").trim();
        throw failed;
    }
}
