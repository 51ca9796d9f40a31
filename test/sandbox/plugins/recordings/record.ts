/**
 * Writes what a real plugin does on the emulated OVHcloud, or OpenStack, one file for each scenario:
 *
 *     npx tsx test/sandbox/plugins/recordings/record.ts /path/to/pulumi-resource-ovh [SCENARIO...]
 *     npx tsx test/sandbox/plugins/recordings/record.ts /path/to/pulumi-resource-openstack [SCENARIO...]
 *
 * The program is the released plugin, or one built from its published sources.
 */
import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { byApplication, scenarios as openStackScenarios } from "./openstack-scenarios";
import { startOpenStackSession } from "./openstack-session";
import { scenarios as ovhScenarios } from "./ovh-scenarios";
import { startSession } from "./session";

/** They wait most of the time. */
const atOnce = 6;

interface Notes {
    text(): string;
    close(): Promise<void>;
}

/** The scenarios of a plugin, by name, each to be played with this executable. */
function playing<Started extends Notes>(
    start: (executable: string, name: string) => Promise<Started>,
    scenarios: Record<string, (session: Started) => Promise<void>>,
) {
    return {
        names: Object.keys(scenarios),
        play: async (executable: string, name: string, keep: (text: string) => void): Promise<void> => {
            const session = await start(executable, name);
            try {
                await scenarios[name](session);
                keep(session.text());
            } catch (error) {
                console.error(`${name}: ${(error as Error).stack}\n${session.text()}`);
                process.exitCode = 1;
            } finally {
                await session.close();
            }
        },
    };
}

const plugins = {
    ovh: playing((executable) => startSession(executable), ovhScenarios),
    openstack: playing(
        (executable, name) => startOpenStackSession(executable, byApplication.includes(name) ? "application" : "user"),
        openStackScenarios,
    ),
};

async function main(): Promise<void> {
    const [executable, ...chosen] = process.argv.slice(2);
    const plugin = basename(executable).replace("pulumi-resource-", "") as keyof typeof plugins;
    const { names: all, play } = plugins[plugin];
    const names = chosen.length > 0 ? chosen : all;
    const next = async (): Promise<void> => {
        const name = names.shift();
        if (name === undefined) return;
        await play(executable, name, (text) => {
            writeFileSync(join(__dirname, plugin, `${name}.txt`), text);
            console.log(name);
        });
        await next();
    };
    await Promise.all(Array.from({ length: atOnce }, next));
}

void main();
