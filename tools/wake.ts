import { setTimeout as sleep } from "node:timers/promises";
import { OvhClient } from "../packages/ai-deploy/src/api/client";
import type { AppAddress } from "./loadtest";
import { readApp, wakeCommand } from "./verify/app";

export interface WakeOptions {
    /** Whether to wake it; else a model that sleeps is left alone, and an error says so. */
    wake: boolean;
    /** One request to the app; what it is answered is of no interest. */
    knock: () => Promise<unknown>;
    log: (line: string) => void;
    /** Between two looks; default 5 s. */
    periodMs?: number;
    /** For how long at most; default half an hour. */
    patienceMs?: number;
}

/**
 * Sees to it that no command wakes a model unasked: waking takes minutes, and is billed. Resolves when the app may be asked. One
 * whose state cannot be read is taken to be awake.
 * @param app where its state is read, or why it cannot be
 * @throws Error for people: it sleeps and is not to be woken, or does not wake
 */
export async function awaken(app: AppAddress | string, options: WakeOptions): Promise<void> {
    if (typeof app === "string") return;
    const { projectId, appId, credentials } = app;
    const client = new OvhClient(credentials, { requestTimeoutMs: 10_000 });
    const look = async () => (await readApp({ client, projectId }, appId)).status;
    const state = await look().then(
        (status) => status.state,
        () => undefined,
    );
    if (state !== "STANDBY") return;
    const { wake, knock, log, periodMs = 5000, patienceMs = 1_800_000 } = options;
    if (!wake) {
        throw new Error(`the model is asleep, and waking it takes minutes and is billed. To wake it: ${wakeCommand}`);
    }
    log("the model is asleep: it is woken, which takes some minutes");
    // Refused at once, or held until a replica serves: which of both is not documented.
    void knock().catch(() => undefined);
    const end = performance.now() + patienceMs;
    for (let said = ""; ;) {
        await sleep(periodMs);
        const { state: now, availableReplicas, info } = await look();
        if (now !== "STANDBY" && (availableReplicas ?? 0) > 0) return;
        const why = `${now}${info?.message ? `: ${info.message}` : ""}`;
        if (why !== said) log(why);
        said = why;
        if (performance.now() > end) {
            throw new Error(
                `it did not wake within ${patienceMs / 60_000} min, it is ${why} (docs/operations/VllmNotWaking.md)`,
            );
        }
    }
}
