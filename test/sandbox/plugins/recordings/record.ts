/**
 * Writes what a real plugin does on the emulated OVHcloud, one file for each scenario:
 *
 *     npx tsx test/sandbox/plugins/recordings/record.ts /path/to/pulumi-resource-ovh [SCENARIO...]
 *
 * The program is the released plugin, or one built from its published sources.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { scenarios } from "./ovh-scenarios";
import { startSession } from "./session";

/** They wait most of the time. */
const atOnce = 6;

async function main(): Promise<void> {
    const [executable, ...chosen] = process.argv.slice(2);
    const names = chosen.length > 0 ? chosen : Object.keys(scenarios);
    const next = async (): Promise<void> => {
        const name = names.shift();
        if (name === undefined) return;
        const session = await startSession(executable);
        try {
            await scenarios[name](session);
            writeFileSync(join(__dirname, "ovh", `${name}.txt`), session.text());
            console.log(name);
        } catch (error) {
            console.error(`${name}: ${(error as Error).stack}\n${session.text()}`);
            process.exitCode = 1;
        } finally {
            await session.close();
        }
        await next();
    };
    await Promise.all(Array.from({ length: atOnce }, next));
}

void main();
