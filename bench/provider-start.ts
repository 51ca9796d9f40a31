// `npm run bench -- provider-start [--runs N]`: what the AI Deploy package adds to the start of a Pulumi program and of
// Pulumi's provider process, as ratios to the same without it, run by run in turn.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startProvider } from "../test/ai-deploy/provider-process";
import { stub } from "../packages/ai-deploy/src/resources";

const root = join(__dirname, "..");
const runs = Number(parseArgs({ options: { runs: { type: "string" } } }).values.runs ?? 9);

const mocks = `
const pulumi = require("@pulumi/pulumi");
const done = pulumi.runtime.setMocks({ newResource: ({ name, inputs }) => ({ id: name, state: inputs }), call: (c) => c.inputs });
`;
const ours = `
const { App, Token, Authorization } = require("pulumi-ovh-ai-deploy");
new Authorization("authorization", { serviceName: "p" });
new App("app", { name: "a", region: "GRA", image: "i", resources: { flavor: "h100-1-gpu", gpu: 1 }, adoptionLabel: "l" });
new Token("token", { name: "t", region: "GRA", role: "ai_training_read", labelSelector: "a=b" });
`;
/** The same three as Pulumi's documentation would have them: providers whose code is serialized into each. */
const serialized = `
const provider = {
    check: async (o, n) => require("pulumi-ovh-ai-deploy/dist/provider").app.check(o, n),
    diff: async (i, o, n) => require("pulumi-ovh-ai-deploy/dist/provider").app.diff(i, o, n),
    create: async (i) => require("pulumi-ovh-ai-deploy/dist/provider").app.create(i),
    read: async (i, k) => require("pulumi-ovh-ai-deploy/dist/provider").app.read(i, k),
    update: async (i, o, n) => require("pulumi-ovh-ai-deploy/dist/provider").app.update(i, o, n),
    delete: async (i, k) => require("pulumi-ovh-ai-deploy/dist/provider").app.delete(i, k),
};
for (const name of ["authorization", "app", "token"]) new pulumi.dynamic.Resource(provider, name, {}, {}, "m", "T");
`;

const tellTime = `
process.on("exit", () => { const { user, system } = process.cpuUsage(); process.stdout.write(String(user + system)); });
`;

/** Microseconds of CPU that a program takes, its process's own start included. */
function time(program: string): number {
    const args = ["-e", tellTime + mocks + program];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
    return Number(stdout);
}

/** Milliseconds from the start of Pulumi's provider process to its first answer, with this provider. */
async function timeProvider(text: string): Promise<number> {
    const started = performance.now();
    const provider = await startProvider({});
    await provider.check({}, { serviceName: "p", __provider: text });
    const taken = performance.now() - started;
    await provider.close();
    return taken;
}

async function main(): Promise<void> {
    const programs = { empty: "", ours, serialized };
    const times: Record<string, number[]> = { empty: [], ours: [], serialized: [], bare: [], provider: [] };
    for (let run = 0; run < runs; run++) {
        for (const [name, program] of Object.entries(programs)) times[name].push(time(program));
        // The one after the programs is slower, whichever it is: so one that does not count comes first.
        await timeProvider("exports.handler = () => ({});");
        times.bare.push(await timeProvider("exports.handler = () => ({});"));
        times.provider.push(await timeProvider(stub("authorization")));
    }
    // The best of each: whatever else the machine does only ever adds.
    const ratio = (one: string, other: string): string =>
        (Math.min(...times[one]) / Math.min(...times[other])).toFixed(2);
    console.log(`best of ${runs} runs, in turn
program with three of our resources / empty program      ${ratio("ours", "empty")}
program with three serialized providers / empty program  ${ratio("serialized", "empty")}
provider process with ours / with an empty provider      ${ratio("provider", "bare")}
stub in the state: ${Buffer.byteLength(stub("app"))} bytes per resource`);
}

void main();
