/**
 * Writes what a fixed load adds to the numbers on the `/metrics` page of a real vLLM, and its line about the KV cache.
 *
 *     npx tsx test/sandbox/vllm/recordings/metrics/record.ts PORT
 *
 * The server is vLLM 0.13.0 as server/record.ts has it, with `--api-key made-up-key --block-size 32` in addition, and
 * serves nobody else.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { format } from "prettier";
import { ask } from "../exchange";
import { run } from "./load";

async function main(port: number): Promise<void> {
    const text = await format(JSON.stringify(await run(port)), { parser: "json", tabWidth: 4, printWidth: 160 });
    writeFileSync(join(__dirname, "added.json"), text);
    const page = (await ask(port, { path: "/metrics" })).text;
    writeFileSync(join(__dirname, "cache-config-info.txt"), `${/^vllm:cache_config_info.*$/m.exec(page)![0]}\n`);
}

void main(Number(process.argv[2]));
