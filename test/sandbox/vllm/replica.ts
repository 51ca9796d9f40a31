import type { OwnProfile } from "../../../sandbox/vllm/profile-file";
import { ministral14bOnH100 } from "../../../sandbox/vllm/profiles";
import { startReplica, type Replica, type ReplicaOptions } from "../../../sandbox/vllm/replica";

export const model = "Qwen/Qwen3-14B";

/** A GPU on which nothing takes long. */
export const fastProfile: OwnProfile = {
    ...ministral14bOnH100,
    name: "a fast one",
    maxModelLen: 4096,
    step: { base: 0.001, prefillToken: 0.000001, decodeSequence: 0.000001, contextToken: 0, spread: 0 },
    requestOverhead: 0,
    meanAnswerTokens: 20,
};

export interface TestReplica {
    replica: Replica;
    log: string[];
    url: string;
    get(path: string, headers?: Record<string, string>): Promise<Response>;
    post(path: string, body: object | string, signal?: AbortSignal): Promise<Response>;
    /** The value of a series of `/metrics`, such as `vllm:num_requests_running`, labels besides the common ones as given. */
    metric(name: string, labels?: Record<string, string>): Promise<number | undefined>;
}

/** Starts a replica that is ready when this resolves. */
export async function readyReplica(flags: string[] = [], options: Partial<ReplicaOptions> = {}): Promise<TestReplica> {
    const log: string[] = [];
    const replica = startReplica({
        command: ["vllm", "serve", model, ...flags],
        env: {},
        port: 0,
        speed: 100_000,
        seed: 1,
        profiles: [fastProfile],
        log: (line) => log.push(line),
        ...options,
    });
    const ended = replica.exited.then(({ code, reason }) => {
        throw new Error(`the replica ended with ${code}: ${reason}\n${log.join("\n")}`);
    });
    ended.catch(() => undefined); // it ends at the end of each test, too
    await Promise.race([ended, until(() => replica.ready)]);
    const url = `http://127.0.0.1:${replica.port}`;
    const get = (path: string, headers?: Record<string, string>): Promise<Response> => fetch(url + path, { headers });
    return {
        replica,
        log,
        url,
        get,
        post: (path, body, signal) =>
            fetch(url + path, {
                method: "POST",
                headers: { "content-type": "application/json" },
                body: typeof body === "string" ? body : JSON.stringify(body),
                signal,
            }),
        async metric(name, labels = {}) {
            const page = await (await get("/metrics")).text();
            const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
            const line = page
                .split("\n")
                .find(
                    (one) => /^[^#]/.test(one) && one.split(/[{ ]/)[0] === name && wanted.every((w) => one.includes(w)),
                );
            return line === undefined ? undefined : Number(line.split(" ").at(-1));
        },
    };
}

export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
    const end = performance.now() + 50_000;
    while (!(await holds())) {
        if (performance.now() > end) throw new Error(`never happened: ${holds.toString()}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
}
