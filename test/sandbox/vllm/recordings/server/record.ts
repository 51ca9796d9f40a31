/**
 * Writes what a real vLLM answers to every request of requests.ts.
 *
 *     npx tsx test/sandbox/vllm/recordings/server/record.ts PORT          all but authorization
 *     npx tsx test/sandbox/vllm/recordings/server/record.ts PORT keyed    authorization alone
 *
 * The server is vLLM 0.13.0 with any small model whose tokens may be sampled at random:
 *
 *     vllm serve MODEL --load-format dummy --served-model-name tiny --max-model-len 2048 --max-num-seqs 16 --dtype float32
 *         --enable-auto-tool-choice --tool-call-parser hermes       (keyed: --api-key made-up-key other-made-up-key)
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { format } from "prettier";
import { exchange, written, type Shape } from "../exchange";
import { recorded } from "./requests";

async function main(port: number, keyed: boolean): Promise<void> {
    for (const [file, requests] of Object.entries(recorded)) {
        const wanted = requests.filter((request) => (request.keyed ?? false) === keyed);
        if (wanted.length === 0) continue;
        const answers: [string, Shape][] = [];
        for (const request of wanted) {
            const answer = await exchange(port, request).catch((cause: unknown) => {
                throw new Error(`${request.name} has no answer`, { cause });
            });
            const dead = JSON.stringify(answer.body).includes("EngineCore");
            if (dead) throw new Error(`dead before or by ${request.name}`);
            answers.push([request.name, answer]);
        }
        const text = await format(JSON.stringify(written(answers)), { parser: "json", tabWidth: 4, printWidth: 120 });
        writeFileSync(join(__dirname, `${file}.json`), text);
        console.log(`${file}: ${wanted.length}`);
    }
}

void main(Number(process.argv[2]), process.argv[3] === "keyed");
