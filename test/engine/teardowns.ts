// `node --import tsx test/engine/teardowns.ts --moments N --seed S`: kills `pulumi destroy` at moments spread over it, lists what is
// left at the platform and what it costs, and looks what a second `pulumi destroy` makes of it.
import { join } from "node:path";
import { parseArgs } from "node:util";
import { OvhClient } from "../../packages/ai-deploy/src/api/client";
import { getPublic } from "../../packages/ai-deploy/src/api/public";
import { resolveCredentials } from "../../packages/ai-deploy/src/api/credentials";
import { table } from "../../machine/terminal";
import { sandboxProjectId } from "../../sandbox/credentials";
import { checkout } from "../../sandbox/layout";
import { findPrices } from "../../src/prices/price-list";
import { unownedApps } from "../../tools/cost/unowned";
import { randomOf } from "../../tools/random";
import { project } from "../../tools/stack";
import { killAt } from "./kill";
import { openStage, type Stage } from "./stage";

export interface Teardown {
    /** Requests of the API that the destroy had made when it was killed, of how many when nobody kills it. */
    request: number;
    of: number;
    /** At the platform then: apps with their states, and tokens. */
    left: string;
    /** Euros an hour of what is left, as `npm run cost` counts them. */
    perHour: number;
    /** Of the second destroy. */
    code: number;
    /** At the platform after it. */
    after: string;
}

/** Nothing is left at the platform. */
const nothing = "0 apps, 0 tokens";

export const isTornDown = ({ code, after }: Teardown): boolean => code === 0 && after === nothing;

export async function runTeardowns(moments: number, seed: number): Promise<Teardown[]> {
    const random = randomOf("teardowns", seed);
    const stage = await openStage({ program: join(__dirname, "app-program"), config: {} });
    try {
        await stage.configureSecret("huggingFaceToken", "hf_teardown_test_canary");
        const up = async (): Promise<void> => {
            const { code, stdout, stderr } = await stage.up();
            if (code !== 0) throw new Error(stdout + stderr);
        };
        await up();
        const before = stage.cloud.api.requests().length;
        await stage.destroy();
        const of = stage.cloud.api.requests().length - before;
        const teardowns: Teardown[] = [];
        for (let i = 0; i < moments; i++) {
            await up();
            const request = 1 + Math.floor(((i + random()) / moments) * of);
            await killAt(stage, (started) => stage.destroy(started), "pulumi", request);
            const [left, perHour] = [whatIsLeft(stage), await costOfLeft(stage)];
            await stage.cancel();
            const { code } = await stage.destroy();
            teardowns.push({ request, of, left, perHour, code, after: whatIsLeft(stage) });
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

/** As if no stack had the apps any more. */
async function costOfLeft(stage: Stage): Promise<number> {
    const client = new OvhClient(resolveCredentials({ config: () => undefined, env: stage.env, files: [] }), {
        requestsPerMinute: 1_000_000,
    });
    const { url } = stage.cloud.api;
    const sources = { endpoint: { name: url, baseUrl: url }, get: getPublic, cacheFolder: stage.layout.dir };
    const prices = await findPrices({}, { ...sources, root: checkout, project });
    const apps = await unownedApps(
        (path) => client.get(path),
        sandboxProjectId,
        () => Promise.resolve(new Set()),
        prices,
    );
    return apps.reduce((sum, { perHour = 0 }) => sum + perHour, 0);
}

export function teardownsTable(teardowns: Teardown[]): string {
    const rows = teardowns.map(({ request, of, left, perHour, code, after }) => [
        ...[`${request}/${of}`, left, perHour.toFixed(2)],
        `${code === 0 ? "" : "FAILED, "}${after}`,
    ]);
    return table([["killed at request", "left", "EUR an hour", "after another destroy"], ...rows]);
}

if (require.main === module) {
    const { values } = parseArgs({ options: { moments: { type: "string" }, seed: { type: "string" } } });
    runTeardowns(Number(values.moments ?? 10), Number(values.seed ?? 7)).then(
        (teardowns) => {
            console.log(teardownsTable(teardowns));
            process.exitCode = teardowns.every(isTornDown) ? 0 : 1;
        },
        (error: Error) => {
            console.error(error.stack);
            process.exitCode = 1;
        },
    );
}
