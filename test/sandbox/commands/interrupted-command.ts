// What `npm run sandbox` does while `pulumi up` runs, without the rest: the stack of a folder, worked on by whatever `pulumi`
// lies there. Arguments: the folder, the daemon's API, the daemon's process id.
import { withDaemon } from "../../../sandbox/commands/daemon-process";
import { exclusively } from "../../../sandbox/commands/exclusive";
import { awaitInterruption } from "../../../sandbox/commands/interruption";
import { Stack } from "../../../sandbox/commands/stack";
import type { DaemonInfo } from "../../../sandbox/daemon";
import { layoutOf } from "../../../sandbox/layout";
import { identityOf } from "../../../sandbox/processes";

const [dir, api, pid] = process.argv.slice(2);
const layout = layoutOf(dir);
const daemon = { process: identityOf(Number(pid))!, api } as DaemonInfo;

const silent = (): void => undefined;
const phase = { log: silent, show: silent, say: silent };

awaitInterruption();
exclusively(layout, () => withDaemon(layout, daemon, () => new Stack(layout, daemon, {}).up(phase))).then(
    ({ code }) => (process.exitCode = code),
    (error: Error) => {
        console.error(error.message);
        process.exit(1);
    },
);
