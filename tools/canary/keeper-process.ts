// The process that `startKeeper` starts: waits until the other end is gone, then removes the canary.
import { setTimeout as sleep } from "node:timers/promises";
import type { KeeperTask } from "./keeper";
import { lifecycleContext, removeCanary } from "./remove";

/** An outage of the API is waited out for so long; the canary's end stands in its labels after that. */
const patienceMs = 1_800_000;
const pauseMs = Number(process.env.OVH_AI_DEPLOY_POLL_MS) || 15_000;

/** The terminal may be gone, and what was started from it is not to end with it. */
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);

process.once("message", ({ credentials, canary }: KeeperTask) => {
    process.once("disconnect", () => void remove({ credentials, canary }).then((code) => process.exit(code)));
    process.send!("ready");
});

async function remove({ credentials, canary }: KeeperTask): Promise<number> {
    const end = performance.now() + patienceMs;
    for (let said = ""; ;) {
        try {
            await removeCanary(
                lifecycleContext(credentials, (line) => console.log(line)),
                canary,
            );
            console.log(`${canary.name} is removed`);
            return 0;
        } catch (error) {
            const { message } = error as Error;
            if (message !== said) console.error(`${canary.name}: ${message}`);
            said = message;
            if (performance.now() > end) return 1;
            await sleep(pauseMs);
        }
    }
}
