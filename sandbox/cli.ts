// `npm run sandbox`: the local OVHcloud. Each command is a file of `commands`.
import { styled } from "../machine/terminal";
import { nearest } from "../src/settings/formats";
import { runningDaemon } from "./commands/daemon-process";
import { down, reset } from "./commands/down";
import { exclusively } from "./commands/exclusive";
import { fault } from "./commands/fault";
import { awaitInterruption } from "./commands/interruption";
import { readArguments, seeUsage, usage, wantedSettings } from "./commands/options";
import { status } from "./commands/status";
import { tour } from "./commands/tour";
import { up } from "./commands/up";
import { UserError } from "./commands/user-error";
import { layoutOf } from "./layout";

async function main(): Promise<number> {
    const { values: options, positionals } = readArguments(process.argv.slice(2));
    const [command = "up", ...rest] = positionals;
    const layout = layoutOf();
    if (options.help) {
        console.log(usage);
        return 0;
    }
    const most = command === "fault" ? Infinity : command === "tour" ? 1 : 0;
    if (rest.length > most) {
        throw new UserError(`unexpected "${rest.join(" ")}"${seeUsage}`);
    }
    switch (command) {
        case "up": {
            const wanted = { chart: options.chart, settings: wantedSettings(options) };
            return exclusively(layout, () => up(layout, wanted));
        }
        case "fault":
            return fault(await runningDaemon(layout), rest, options);
        case "tour": {
            const running = await runningDaemon(layout);
            return exclusively(layout, () => tour(layout, running, { yes: options.yes, from: rest[0] }));
        }
        case "status":
            return status(layout, options.json ?? false);
        case "down":
            return exclusively(layout, () => down(layout));
        case "reset":
            return exclusively(layout, () => reset(layout, options.toolchain ?? false));
        default: {
            const guess = nearest(command, ["up", "status", "tour", "fault", "down", "reset"]);
            const fix = guess === undefined ? "" : `: did you mean "${guess}"?`;
            throw new UserError(`unknown command "${command}"${fix}${seeUsage}`);
        }
    }
}

awaitInterruption();
main().then(
    (code) => (process.exitCode = code),
    (error: Error) => {
        const verbose = process.argv.includes("--verbose");
        console.error(styled("red", `error: ${verbose ? error.stack : error.message}`));
        // At once: what was waited for does not come.
        process.exit(error instanceof UserError ? 2 : 1);
    },
);
