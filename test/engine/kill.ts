// `npm run test:kill -- --moments N --seed S`: kills the real `pulumi`, or the provider process under it, at moments
// spread over creating, changing, replacing and deleting an app, and looks what one `up` after that makes of it.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { identityOf } from "../../sandbox/processes";
import { openStage, type Stage } from "./stage";

type Phase = "create" | "update" | "replace" | "delete";
type Victim = "pulumi" | "provider";

export interface Kill {
    phase: Phase;
    victim: Victim;
    /** Requests of the API that the phase had made by then, of how many when nobody kills it. */
    request: number;
    of: number;
    /** Apps at the platform when the process was dead, with their states. */
    left: string;
    /** After `pulumi cancel` and one `up`. */
    apps: string;
    upCode: number;
    previewEmpty: boolean;
    /** What the `up` or the preview said, where it is not as promised. */
    said: string;
}

const phases: Phase[] = ["create", "update", "delete", "replace"];

/** One RUNNING app and an empty preview. */
export function isAsPromised({ apps, upCode, previewEmpty }: Kill): boolean {
    return upCode === 0 && apps === "RUNNING" && previewEmpty;
}

export async function runKills(options: {
    moments: number;
    seed: number;
    told?: (kill: Kill) => void;
}): Promise<Kill[]> {
    const random = randomFrom(options.seed);
    const stage = await openStage({ program: join(__dirname, "app-program"), config: {} });
    await stage.configureSecret("huggingFaceToken", "hf_kill_test_canary");
    const kills: Kill[] = [];
    let images = 0;
    let region = "GRA";
    const succeed = async (run: ReturnType<Stage["up"]>): Promise<void> => {
        const { code, stdout, stderr } = await run;
        if (code !== 0) throw new Error(stdout + stderr);
    };
    const states = (): string =>
        stage.cloud.api
            .apps()
            .map(({ state }) => state)
            .join(", ") || "none";
    /** Gets everything ready for a phase, and gives what runs it. */
    const prepare = async (phase: Phase): Promise<Stage["up"]> => {
        if (phase === "create") await succeed(stage.destroy());
        if (phase === "update") stage.configure({ image: `vllm/vllm-openai:v0.13.${++images}` });
        if (phase === "replace") stage.configure({ region: (region = region === "GRA" ? "BHS" : "GRA") });
        return phase === "delete" ? (started) => stage.destroy(started) : (started) => stage.up(started);
    };
    try {
        // How many requests each phase makes when nobody disturbs it.
        const requests = {} as Record<Phase, number>;
        for (const phase of ["create", "update", "replace", "delete"] as const) {
            const work = await prepare(phase);
            const before = stage.cloud.api.requests().length;
            await succeed(work());
            requests[phase] = stage.cloud.api.requests().length - before;
        }
        await succeed(stage.up());

        for (let i = 0; i < options.moments; i++) {
            const phase = phases[i % phases.length];
            const victim: Victim = Math.floor(i / phases.length) % 2 === 0 ? "pulumi" : "provider";
            // Spread evenly over the phase, and anywhere within each part.
            const rounds = Math.ceil(options.moments / phases.length);
            const share = (Math.floor(i / phases.length) + random()) / rounds;
            const request = 1 + Math.floor(share * requests[phase]);
            const work = await prepare(phase);
            await killAt(stage, work, victim, request);
            const left = states();
            await stage.cancel();
            const up = await stage.up();
            const apps = states();
            const preview = await stage.previewNothing();
            const kill: Kill = {
                phase,
                victim,
                request,
                of: requests[phase],
                left,
                apps,
                upCode: up.code,
                previewEmpty: preview.code === 0,
                said: "",
            };
            if (!isAsPromised(kill)) kill.said = [up, preview].map(({ stdout, stderr }) => stdout + stderr).join("\n");
            options.told?.(kill);
            kills.push(kill);
        }
        return kills;
    } finally {
        await stage.close();
    }
}

/** Starts the work, kills the victim when the API has seen that many requests, and waits for everybody's end. */
export function killAt(stage: Stage, work: Stage["up"], victim: Victim, request: number): Promise<void> {
    const before = stage.cloud.api.requests().length;
    return killWhen(work, victim, () => stage.cloud.api.requests().length - before >= request);
}

/** Starts the work, kills the victim when it is time, and waits for everybody's end. */
export async function killWhen(work: Stage["up"], victim: Victim, isTime: () => boolean): Promise<void> {
    let pid = 0;
    let over = false;
    const run = work((started) => (pid = started)).finally(() => (over = true));
    while (!over && !isTime()) await sleep(1);
    const providers = over ? [] : providersUnder(pid);
    if (!over) for (const id of victim === "pulumi" ? [pid] : providers) process.kill(id, "SIGKILL");
    await run;
    // A provider whose engine is gone ends by itself.
    const deadline = Date.now() + 30_000;
    while (providers.some(identityOf)) {
        if (Date.now() > deadline) throw new Error("a provider process outlives its engine");
        await sleep(20);
    }
}

/** Ids of the provider processes below a process. */
function providersUnder(pid: number): number[] {
    const { stdout } = spawnSync("ps", ["-eo", "pid=,ppid=,args="], { encoding: "utf8" });
    const all = stdout.split("\n").map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)/.exec(line) ?? []);
    const under = new Set([String(pid)]);
    for (let size = 0; size < under.size;) {
        size = under.size;
        for (const [, id, parent] of all) if (parent !== undefined && under.has(parent)) under.add(id);
    }
    return all.filter(([, id, , args]) => under.has(id) && /dynamic-provider/.test(args)).map(([, id]) => Number(id));
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
    let state = seed >>> 0;
    return () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let mixed = Math.imul(state ^ (state >>> 15), state | 1);
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
}

export function row({ phase, victim, request, of, left, apps, upCode, previewEmpty }: Kill): string {
    const preview = previewEmpty ? "empty" : "NOT EMPTY";
    return `${phase.padEnd(8)} ${victim.padEnd(9)} ${`${request}/${of}`.padEnd(8)} ${left.padEnd(22)} ${apps.padEnd(10)} ${upCode === 0 ? preview : "UP FAILED"}`;
}

export const header = "phase    killed    request  left                   after up   preview";

if (require.main === module) {
    const { values } = parseArgs({ options: { moments: { type: "string" }, seed: { type: "string" } } });
    const moments = Number(values.moments ?? 20);
    const seed = Number(values.seed ?? Date.now() % 1_000_000);
    console.log(`${moments} moments, seed ${seed}\n${header}`);
    const told = (kill: Kill): void => console.log(row(kill) + (kill.said && `\n${kill.said}`));
    runKills({ moments, seed, told }).then(
        (kills) => (process.exitCode = kills.every(isAsPromised) ? 0 : 1),
        (error: Error) => {
            console.error(error.stack);
            process.exitCode = 1;
        },
    );
}
