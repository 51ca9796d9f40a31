import { fork } from "node:child_process";
import { join, resolve } from "node:path";
import type { Credentials } from "../../packages/ai-deploy/src/api/credentials";
import type { Removable } from "./remove";

/** What the keeper is told. It goes through a pipe: credentials are in no list of processes. */
export interface KeeperTask {
    credentials: Credentials;
    canary: Removable;
}

/** Sees to it that a canary goes, whatever becomes of the process that made it. */
export interface Keeper {
    /** Has the canary removed and waits for it. Rejects with an Error for people when it may still be there. */
    end(): Promise<void>;
}

/**
 * Starts a process of its own that waits until this one says that it is done, or is there no more (Ctrl-C, `kill -9`, a closed
 * terminal), and then removes the canary: every removal goes this one way. Resolves when it stands ready; to be called before
 * anything is made.
 */
export function startKeeper(task: KeeperTask): Promise<Keeper> {
    const child = fork(join(__dirname, "keeper-process.ts"), {
        cwd: resolve(__dirname, "../.."),
        // In a group of its own, so that Ctrl-C does not reach it.
        detached: true,
        execArgv: ["--import", "tsx"],
        stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const ended = new Promise<number | null>((done) => child.on("exit", done));
    return new Promise((stands, reject) => {
        child.once("error", reject);
        void ended.then((code) => reject(new Error(`the canary's keeper ended (${code}) before anything was made`)));
        child.once("message", () =>
            stands({
                async end() {
                    if (child.connected) child.disconnect();
                    const code = await ended;
                    if (code === 0) return;
                    throw new Error(
                        `the canary ${task.canary.name} could not be removed and may be billed: npm run canary -- --clean-up`,
                    );
                },
            }),
        );
        child.send(task);
    });
}
