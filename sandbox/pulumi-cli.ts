import { spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { defaultRequestsPerMinute } from "../packages/ai-deploy/src/api/client";
import type { Layout } from "./layout";
import { sandboxCredentials, sandboxProjectId } from "./credentials";
import { watchOver } from "./interruptible";

/** The passphrase of the sandbox's stacks; `Pulumi.sandbox.yaml` carries the salt that belongs to it. */
const passphrase = "sandbox";

/** An OpenStack user as its `openrc.sh` names it; what a person has set for the real OVHcloud is taken away. */
const openStackUser = {
    OS_AUTH_URL: "https://keystone.example.invalid/v3",
    OS_TENANT_ID: sandboxProjectId,
    OS_USERNAME: sandboxCredentials.openStackUser,
    OS_PASSWORD: sandboxCredentials.openStackPassword,
    OS_USER_DOMAIN_NAME: "Default",
    OS_REGION_NAME: "",
    OS_CLOUD: "",
    OS_TOKEN: "",
    OS_APPLICATION_CREDENTIAL_ID: "",
    OS_APPLICATION_CREDENTIAL_NAME: "",
};

/**
 * The `file://` backend of a sandbox. Without the metadata that Pulumi never reads (MD5 sums in `.attrs` files beside the
 * state): they are not written in one stroke as the state is, and a `pulumi` killed in between leaves one empty, after which
 * every command ends with "failed to load checkpoint: EOF" though the state is whole.
 */
export function backendUrl({ pulumiState }: Pick<Layout, "pulumiState">): string {
    // Encoded: a path may hold %, # or ?.
    return `${pathToFileURL(pulumiState).href}?metadata=skip`;
}

/**
 * The environment in which `pulumi`, `kubectl` and this project's program meet the sandbox. The same is in `.sandbox/env`.
 * @param speed platform seconds per real second: the clients are paced by it, since the API's rate limit is
 */
export function sandboxEnvironment(layout: Layout, apiUrl: string, caFile: string, speed = 60): Record<string, string> {
    const pauseMs = (platformSeconds: number, least: number): string =>
        String(Math.max(least, Math.round((platformSeconds * 1000) / speed)));
    return {
        PULUMI_BACKEND_URL: backendUrl(layout),
        PULUMI_CONFIG_PASSPHRASE: passphrase,
        PULUMI_HOME: layout.pulumiHome,
        PULUMI_SKIP_UPDATE_CHECK: "true",
        PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
        PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS: "true",
        OVH_ENDPOINT: apiUrl.replace(/\/v1$/, "/1.0"),
        OVH_APPLICATION_KEY: sandboxCredentials.applicationKey,
        OVH_APPLICATION_SECRET: sandboxCredentials.applicationSecret,
        OVH_CONSUMER_KEY: sandboxCredentials.consumerKey,
        // Those of another kind, which a person may have set for the real OVHcloud: both together are refused.
        OVH_CLIENT_ID: "",
        OVH_CLIENT_SECRET: "",
        OVH_ACCESS_TOKEN: "",
        OVH_CLOUD_PROJECT_SERVICE: sandboxProjectId,
        ...openStackUser,
        OVH_AI_DEPLOY_POLL_MS: pauseMs(5, 500),
        OVH_AI_DEPLOY_REQUESTS_PER_MINUTE: String(Math.round(defaultRequestsPerMinute * speed)),
        OVH_SANDBOX_POLL_MS: pauseMs(10, 250),
        // The provider's option of that name, which a Kubernetes plugin older than the SDK (the built one) does not know.
        PULUMI_K8S_ENABLE_PATCH_FORCE: "true",
        OVH_SANDBOX_CA: caFile,
        NODE_EXTRA_CA_CERTS: caFile,
        KUBECONFIG: layout.kubeconfig,
        // Of kubectl, else in the home folder, where `reset` would leave it.
        KUBECACHEDIR: join(layout.dir, "kubectl-cache"),
    };
}

/** A file for bash that sets these variables and puts `bin` on the PATH. */
export function environmentFile(env: Record<string, string>, bin: string): string {
    const quote = (value: string): string => `'${value.replace(/'/g, `'\\''`)}'`;
    const lines = Object.entries(env).map(([name, value]) => `export ${name}=${quote(value)}`);
    return [
        "# bash: source .sandbox/env",
        ...lines,
        `case ":$PATH:" in *:${quote(bin)}:*) ;; *) export PATH=${quote(bin)}:"$PATH" ;; esac`,
        "",
    ].join("\n");
}

export interface PulumiRun {
    code: number;
    stdout: string;
    stderr: string;
}

export interface RunOptions {
    /** Folder of `Pulumi.yaml`. */
    cwd: string;
    layout: Layout;
    env: Record<string, string>;
    /** Is told each line, as it comes. */
    line?: (line: string) => void;
    /** Is told the process id. */
    started?: (pid: number) => void;
}

/** Runs `pulumi` of the sandbox with the given arguments. Resolves with its exit code, whatever that is. */
export function pulumi(args: string[], options: RunOptions): Promise<PulumiRun> {
    // The Kubernetes plugin leaves a copy of the kubeconfig in the folder for temporary files for each release it handles.
    const tmp = join(options.layout.dir, "tmp");
    mkdirSync(tmp, { recursive: true });
    // By its path in the sandbox, by which `down` and the next `up` find one that outlived its caller.
    const own = join(options.layout.bin, "pulumi");
    return new Promise((resolve, reject) => {
        const child = spawn(existsSync(own) ? own : "pulumi", [...args, "--non-interactive", "--color", "never"], {
            cwd: options.cwd,
            env: { ...process.env, ...options.env, TMPDIR: tmp, PATH: `${options.layout.bin}:${process.env.PATH}` },
            stdio: ["ignore", "pipe", "pipe"],
            // A group of its own: it is told of Ctrl-C once, by its caller, and not by the terminal as well. Told twice it
            // would drop what it is at.
            detached: true,
        });
        // The plugins are of its group, but it is the one that saves what exists.
        watchOver(child, "alone");
        if (child.pid !== undefined) options.started?.(child.pid);
        let stdout = "";
        let stderr = "";
        child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
        child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
        if (options.line) {
            for (const input of [child.stdout, child.stderr]) createInterface({ input }).on("line", options.line);
        }
        child.on("error", reject);
        child.on("close", (code, signal) => {
            resolve({ code: signal ? 130 : (code ?? 1), stdout, stderr });
        });
    });
}
