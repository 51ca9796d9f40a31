// `npm run bench -- preview [--runs N]`: CPU seconds of `pulumi preview` of this program with nothing to change, process by
// process, the time that it took, and what it asked of the API, beside a program without a resource, run by run in turn. The engine and all that OVHcloud and the
// cluster stand for are the sandbox's; what is fetched from outside is not measured.
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { pulumi } from "../sandbox/pulumi-cli";
import { openSandboxStage, type Stage } from "../test/engine/stage";

const runs = Number(parseArgs({ options: { runs: { type: "string" } } }).values.runs ?? 5);

/** Processes by what their command lines hold; the first that fits counts. */
const parts: [string, RegExp][] = [
    ["program", /@pulumi\/pulumi\/cmd\/run|pulumi-language-nodejs-exec/],
    ["AI Deploy's provider", /dynamic-provider/],
    ["language host", /language-host|pulumi-language-nodejs/],
    ["Kubernetes plugin", /resource-kubernetes/],
    ["ovh plugin", /resource-ovh|sandbox-programs\/ovh/],
    ["random plugin", /resource-random|sandbox-programs\/random/],
    ["engine", /\/pulumi preview/],
    ["others", /^/],
];

/** CPU seconds by part. */
type Cpu = Record<string, number>;

interface Preview {
    cpu: Cpu;
    /** Seconds from start to end. */
    wall: number;
}

interface Seen {
    parent: number;
    seconds: number;
    command: string;
}

/** Every process of this machine; one that ends meanwhile is left out. */
function processes(): Map<number, Seen> {
    const all = new Map<number, Seen>();
    for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
        try {
            const stat = readFileSync(`/proc/${name}/stat`, "utf8");
            // After the command's name in brackets, which may hold anything: state, parent, ..., utime, stime.
            const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
            const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
            const seconds = (Number(fields[11]) + Number(fields[12])) / 100;
            all.set(Number(name), { parent: Number(fields[1]), seconds, command });
        } catch (error) {
            if (!["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
        }
    }
    return all;
}

/** A command and every process below it, as last seen every 20 ms. */
async function measure(
    run: (started: (pid: number) => void) => Promise<{ code: number; stderr: string }>,
): Promise<Preview> {
    const family = new Map<number, Seen>();
    let root = 0;
    const look = setInterval(() => {
        const all = processes();
        const isOurs = (pid: number): boolean => pid === root || (all.has(pid) && isOurs(all.get(pid)!.parent));
        for (const [pid, seen] of all) {
            if (!root || !isOurs(pid)) continue;
            // One that has ended and is not yet waited for has no command line any more.
            family.set(pid, { ...seen, command: seen.command || (family.get(pid)?.command ?? "") });
        }
    }, 20);
    const began = performance.now();
    const { code, stderr } = await run((pid) => (root = pid));
    const wall = (performance.now() - began) / 1000;
    clearInterval(look);
    if (code !== 0) throw new Error(stderr);
    const cpu: Cpu = Object.fromEntries(parts.map(([name]) => [name, 0]));
    for (const { seconds, command } of family.values()) {
        cpu[parts.find(([, fits]) => fits.test(command))![0]] += seconds;
    }
    return { cpu, wall };
}

/** A program without a resource, with this project's SDK. */
function emptyProgram(stage: Stage): string {
    const folder = join(stage.layout.dir, "empty");
    mkdirSync(folder);
    symlinkSync(join(__dirname, "../node_modules"), join(folder, "node_modules"));
    writeFileSync(
        join(folder, "Pulumi.yaml"),
        "name: empty\nruntime:\n    name: nodejs\n    options:\n        typescript: false\n",
    );
    writeFileSync(join(folder, "package.json"), '{ "name": "empty", "main": "program.js" }\n');
    writeFileSync(join(folder, "program.js"), 'require("@pulumi/pulumi");\n');
    return folder;
}

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const total = ({ cpu }: Preview): number => Object.values(cpu).reduce((sum, seconds) => sum + seconds, 0);

function table(ours: Preview[], empty: Preview[]): void {
    const row = (name: string, secondsOf: (preview: Preview) => number): void => {
        const [own, other] = [median(ours.map(secondsOf)), median(empty.map(secondsOf))];
        if (own + other > 0) {
            console.log(`${name.padEnd(22)} ${own.toFixed(2).padStart(6)} ${other.toFixed(2).padStart(6)}`);
        }
    };
    console.log(`\nCPU seconds, medians of ${runs}   ours  empty`);
    for (const [name] of parts) row(name, ({ cpu }) => cpu[name]);
    row("all", total);
    row("time from start to end", ({ wall }) => wall);
    const ratio = (secondsOf: (preview: Preview) => number): string => {
        const ratios = ours.map((preview, i) => secondsOf(preview) / secondsOf(empty[i]));
        return `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`;
    };
    console.log(`\nours / empty: CPU ${ratio(total)}, time ${ratio(({ wall }) => wall)}`);
}

/** Calls by path, ids left out. */
function callsByPath(requests: { method: string; path: string }[]): string {
    const counts = new Map<string, number>();
    for (const { method, path } of requests) {
        const call = `${method} ${path.replace(/^\/v1/, "").replace(/\/[0-9a-f-]{32,}/g, "/ID")}`;
        counts.set(call, (counts.get(call) ?? 0) + 1);
    }
    return [...counts].map(([call, count]) => `  ${count} ${call}`).join("\n");
}

async function main(): Promise<void> {
    const stage = await openSandboxStage();
    try {
        const { layout, env } = stage;
        const folder = emptyProgram(stage);
        const init = await pulumi(["stack", "init", "empty"], { cwd: folder, layout, env });
        if (init.code !== 0) throw new Error(init.stderr);
        console.log("pulumi up, once");
        const up = await stage.up();
        if (up.code !== 0) throw new Error(up.stdout + up.stderr);
        const ours: Preview[] = [];
        const empty: Preview[] = [];
        let asked: { method: string; path: string }[] = [];
        for (let i = 0; i < runs; i++) {
            const own = ["preview", "--stack", "test", "--config-file", stage.configFile];
            const calls = stage.cloud.api.requests().length;
            ours.push(await measure((started) => stage.pulumi(own, started)));
            empty.push(
                await measure((started) =>
                    pulumi(["preview", "--stack", "empty"], { cwd: folder, layout, env, started }),
                ),
            );
            asked = stage.cloud.api.requests().slice(calls);
            console.log(`  ${i + 1}: ${total(ours[i]).toFixed(2)} and ${total(empty[i]).toFixed(2)} s of CPU`);
        }
        table(ours, empty);
        console.log(`\ncalls of the API in one preview\n${callsByPath(asked)}`);
        await stage.destroy();
    } finally {
        await stage.close();
    }
}

main().then(
    () => process.exit(0),
    (error: Error) => {
        console.error(error.message);
        process.exit(1);
    },
);
