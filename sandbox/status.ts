import type { SandboxStatus } from "./ovhcloud/status";

/** Asks the daemon; throws when it does not answer. `api` is the URL with `/v1`. */
export async function sandboxStatus(api: string): Promise<SandboxStatus> {
    const answer = await fetch(api.replace(/\/v1$/, "/sandbox/status"), { signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(`the emulated API answers ${answer.status} at ${api}`);
    return (await answer.json()) as SandboxStatus;
}
