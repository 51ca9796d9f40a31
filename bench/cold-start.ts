// From the wish for a second replica until it serves, by what shortens it: platform seconds of the sandbox's H100 profile,
// whose figures are guesses (sandbox/vllm/profiles.ts). `npm run bench -- cold-start`
import { setTimeout as sleep } from "node:timers/promises";
import { containerCommand, weightsPath } from "../src/vllm/command-line";
import { appBody, startTestCloud } from "../test/sandbox/ovhcloud/cloud";

const image = "vllm/vllm-openai:v0.13.0";
const speed = 30;

interface Way {
    /** Of the readiness probe, in seconds. */
    initialDelaySeconds: number;
    /** Weights from a volume that the platform caches. */
    weights?: object;
}

const ways: Record<string, Way> = {
    "as in the guide": { initialDelaySeconds: 300 },
    "first readiness probe after 10 s": { initialDelaySeconds: 10 },
    "weights from a cached volume": { initialDelaySeconds: 300, weights: {} },
    both: { initialDelaySeconds: 10, weights: {} },
};

/** Platform seconds until the second replica of such an app serves. */
async function measure({ initialDelaySeconds, weights }: Way): Promise<number> {
    const cloud = await startTestCloud({ speed });
    try {
        const server = { model: "Qwen/Qwen3-14B", image, port: 8000, gpus: 1, drain: true, vllm: { extraArgs: [] } };
        const volume = {
            mountPath: weightsPath,
            permission: "RO",
            cache: true,
            volumeSource: { dataStore: { alias: "GRA", container: "weights" } },
        };
        const { id } = await cloud.api("POST", "/ai/app", {
            ...appBody({ command: containerCommand({ ...server, weights }), image }),
            probe: { path: "/v1/models", port: 8000, initialDelaySeconds },
            volumes: weights ? [volume] : [],
            scalingStrategy: { fixed: { replicas: 1 } },
        });
        const serve = async (replicas: number): Promise<void> => {
            while (cloud.app(id).availableReplicas < replicas) {
                const { state, message } = cloud.app(id);
                if (state === "FAILED") throw new Error(`the app has failed: ${message}`);
                await sleep(5);
            }
        };
        await serve(1);
        const begin = performance.now();
        await cloud.api("PUT", `/ai/app/${id}/scalingstrategy`, { fixed: { replicas: 2 } });
        await serve(2);
        return ((performance.now() - begin) / 1000) * speed;
    } finally {
        await cloud.close();
    }
}

async function main(): Promise<void> {
    let guide: number | undefined;
    for (const [name, way] of Object.entries(ways)) {
        const seconds = await measure(way);
        guide ??= seconds;
        console.log(
            `${name.padEnd(34)} ${seconds.toFixed(0).padStart(4)} s  ${(seconds / guide).toFixed(2)} of the guide's`,
        );
    }
}

void main();
