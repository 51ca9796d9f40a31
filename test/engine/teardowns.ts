// `node --import tsx test/engine/teardowns.ts --moments N --seed S`: kills `pulumi up` and `pulumi destroy` in turn, at moments
// spread over each, lists what is left at the platform and what it costs, and looks what one `pulumi destroy` makes of it.
import { join } from "node:path";
import { parseArgs } from "node:util";
import { getPublic } from "../../packages/ai-deploy/src/api/public";
import { table } from "../../machine/terminal";
import { checkout } from "../../sandbox/layout";
import { appPlanCode } from "../../src/prices/cost-items";
import { findPrices } from "../../src/prices/price-list";
import { randomOf } from "../../tools/random";
import { project } from "../../tools/stack";
import { killAt } from "./kill";
import { openStage, type Stage } from "./stage";

export interface Teardown {
    killed: "up" | "destroy";
    /** Requests of the API that it had made by then, of how many when nobody kills it. */
    request: number;
    of: number;
    /** At the platform when it was dead: apps with their states, and tokens. */
    left: string;
    /** Apps among them that the state does not have. */
    unknown: number;
    /** Euros an hour that the apps cost once they serve, for as long as nobody tears them down. */
    perHour: number;
    /** Of the `destroy` after that. */
    code: number;
    /** At the platform after it. */
    after: string;
    apps: number;
    /** What the `destroy` said, where anything that costs money is left. */
    said: string;
}

/** Nothing is left that costs money. */
export const isTornDown = ({ code, apps }: Teardown): boolean => code === 0 && apps === 0;

export async function runTeardowns(options: {
    moments: number;
    seed: number;
    told?: (teardown: Teardown) => void;
}): Promise<Teardown[]> {
    const random = randomOf("teardowns", options.seed);
    const stage = await openStage({ program: join(__dirname, "app-program"), config: {} });
    const succeed = async (run: ReturnType<Stage["up"]>): Promise<void> => {
        const { code, stdout, stderr } = await run;
        if (code !== 0) throw new Error(stdout + stderr);
    };
    const requests = async (run: () => ReturnType<Stage["up"]>): Promise<number> => {
        const before = stage.cloud.api.requests().length;
        await succeed(run());
        return stage.cloud.api.requests().length - before;
    };
    try {
        await stage.configureSecret("huggingFaceToken", "hf_teardown_test_canary");
        const all = { up: await requests(() => stage.up()), destroy: await requests(() => stage.destroy()) };
        const perReplica = await pricePerReplica(stage);
        const teardowns: Teardown[] = [];
        for (let i = 0; i < options.moments; i++) {
            const killed = i % 2 === 0 ? "up" : "destroy";
            // Spread evenly over each of the two, and anywhere within each part.
            const share = (Math.floor(i / 2) + random()) / Math.ceil(options.moments / 2);
            const request = 1 + Math.floor(share * all[killed]);
            if (killed === "destroy") await succeed(stage.up());
            await killAt(stage, (started) => stage[killed](started), "pulumi", request);
            const state = stage.stateText();
            const apps = stage.cloud.api.apps();
            const found = {
                left: whatIsLeft(stage),
                unknown: apps.filter(({ id }) => !state.includes(id)).length,
                perHour: perReplica * billed(stage),
            };
            await stage.cancel();
            const { code, stdout, stderr } = await stage.destroy();
            const after = { after: whatIsLeft(stage), apps: stage.cloud.api.apps().length };
            const teardown = {
                killed,
                request,
                of: all[killed],
                ...found,
                code,
                ...after,
                said: "",
            } satisfies Teardown;
            const told = isTornDown(teardown) ? teardown : { ...teardown, said: stdout + stderr };
            options.told?.(told);
            teardowns.push(told);
        }
        return teardowns;
    } finally {
        await stage.close();
    }
}

function whatIsLeft({ cloud }: Stage): string {
    const apps = cloud.api.apps().map(({ state }) => state);
    return `${apps.length} apps${apps.length > 0 ? ` (${apps.join(", ")})` : ""}, ${cloud.api.tokens().length} tokens`;
}

/** Replicas that are billed, or will be as soon as they serve. */
function billed({ cloud }: Stage): number {
    const over = ["STOPPING", "STOPPED", "FAILED", "ERROR", "DELETING", "DELETED"];
    const going = cloud.api.apps().filter(({ state }) => !over.includes(state));
    return going.reduce((sum, { replicas }) => sum + Math.max(1, replicas), 0);
}

/** Euros an hour of one replica of the program's app, as `npm run cost` counts it. */
async function pricePerReplica(stage: Stage): Promise<number> {
    const { url } = stage.cloud.api;
    const sources = { endpoint: { name: url, baseUrl: url }, get: getPublic, cacheFolder: stage.layout.dir };
    const prices = await findPrices({}, { ...sources, root: checkout, project });
    const perMinute = prices.find(appPlanCode("h100-1-gpu"), "GRA");
    if (perMinute === undefined) throw new Error("the list has no price of h100-1-gpu in GRA");
    return perMinute * 60;
}

export function teardownsTable(teardowns: Teardown[]): string {
    const rows = teardowns.map(({ killed, request, of, left, unknown, perHour, code, after }) => [
        ...[killed, `${request}/${of}`, left, String(unknown), perHour.toFixed(2)],
        `${code === 0 ? "" : "FAILED, "}${after}`,
    ]);
    const header = ["killed", "at request", "left", "not in the state", "EUR an hour", "after one destroy"];
    return table([header, ...rows]);
}

if (require.main === module) {
    const { values } = parseArgs({ options: { moments: { type: "string" }, seed: { type: "string" } } });
    const [moments, seed] = [Number(values.moments ?? 10), Number(values.seed ?? 7)];
    const told = ({ said }: Teardown): void => console.error(said === "" ? "torn down" : said);
    runTeardowns({ moments, seed, told }).then(
        (teardowns) => {
            console.log(`\n${moments} moments, seed ${seed}\n${teardownsTable(teardowns)}`);
            process.exitCode = teardowns.every(isTornDown) ? 0 : 1;
        },
        (error: Error) => {
            console.error(error.stack);
            process.exitCode = 1;
        },
    );
}
