import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkout, layoutOf, type Layout } from "../../../sandbox/layout";
import { installPlugins } from "../../../sandbox/plugins/install";
import { identityOf } from "../../../sandbox/processes";
import { backendUrl, pulumi, type PulumiRun } from "../../../sandbox/pulumi-cli";
import { ensureToolchain } from "../../../sandbox/toolchain/toolchain";
import { temporaryFolder } from "./engine";

/** A tiny program with the real engine: what the hosts of Node.js programs and of dynamic resources owe it. */

const dir = temporaryFolder();
const layout: Layout = layoutOf(join(dir, ".sandbox"));
const program = join(dir, "program");
const pids = join(dir, "pids");
let env: Record<string, string>;

const source = `
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { appendFileSync } from "fs";

const config = new pulumi.Config();
appendFileSync(${JSON.stringify(pids)}, process.pid + "\\n");
if (config.get("fault") === "throw") throw new Error("a fault of the program");
if (config.get("fault") === "exit") process.exit(7);

class Note extends pulumi.dynamic.Resource {
    declare readonly length: pulumi.Output<number>;
    constructor(name: string, text: pulumi.Input<string>) {
        const provider: pulumi.dynamic.ResourceProvider = {
            create: async (inputs) => {
                require("fs").appendFileSync(${JSON.stringify(pids)}, process.pid + "\\n");
                return { id: "note", outs: { text: inputs.text, length: inputs.text.length } };
            },
        };
        super(provider, name, { text, length: undefined });
    }
}
const id = new random.RandomId("id", { byteLength: 4 });
const password = new random.RandomPassword("password", { length: config.requireNumber("length") });
const note = new Note("note", pulumi.interpolate\`id \${id.hex}\`);
console.log("a line of the program");
export const hex = id.hex;
export const noteLength = note.length;
export const secret = password.result;
export const token = config.requireSecret("token").apply((text) => text.length);
if (config.get("fault") === "hang") setInterval(() => undefined, 1000);
`;

beforeAll(async () => {
    const toolchain = await ensureToolchain({ log: (line) => console.log(line) });
    const { pulumiHome, bin: binDir } = layout;
    await installPlugins({ pulumiHome, binDir, toolchain, allowDownload: false, log: () => undefined });
    mkdirSync(program);
    mkdirSync(layout.pulumiState, { recursive: true });
    symlinkSync(join(checkout, "node_modules"), join(program, "node_modules"));
    writeFileSync(join(program, "Pulumi.yaml"), "name: tiny\nruntime: nodejs\n");
    writeFileSync(join(program, "package.json"), '{ "name": "tiny", "main": "index.ts" }\n');
    writeFileSync(join(program, "tsconfig.json"), readFileSync(join(checkout, "tsconfig.json")));
    writeFileSync(join(program, "index.ts"), source);
    env = {
        PULUMI_BACKEND_URL: backendUrl(layout),
        PULUMI_CONFIG_PASSPHRASE: "test",
        PULUMI_HOME: layout.pulumiHome,
        PULUMI_SKIP_UPDATE_CHECK: "true",
        PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    };
    await succeed(run("stack", "init", "test"));
    await succeed(run("config", "set", "length", "12"));
    await succeed(run("config", "set", "--secret", "token", "test-token"));
});
afterAll(() => rmSync(dir, { recursive: true }));

const run = (...args: string[]): Promise<PulumiRun> => pulumi(args, { cwd: program, layout, env });
const up = (): Promise<PulumiRun> => run("up", "--yes", "--skip-preview");
const fault = (kind: string): Promise<string> => succeed(run("config", "set", "fault", kind));

async function succeed(running: Promise<PulumiRun>): Promise<string> {
    const { code, stdout, stderr } = await running;
    expect(code, stdout + stderr).toBe(0);
    expect(stdout + stderr).not.toMatch(/warning/i);
    return stdout;
}

/** Starts an `up` of a program that never ends. Resolves once its resources are made. */
async function hangingUp(): Promise<{ engine: ChildProcess; output: () => string; ended: Promise<number | null> }> {
    writeFileSync(pids, "");
    const engine = spawn(join(layout.bin, "pulumi"), ["up", "--yes", "--skip-preview", "--non-interactive"], {
        cwd: program,
        env: { ...process.env, ...env, PATH: `${layout.bin}:${process.env.PATH}` },
        stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    engine.stdout.on("data", (part) => (output += String(part)));
    engine.stderr.on("data", (part) => (output += String(part)));
    const ended = new Promise<number | null>((resolve) => engine.on("close", resolve));
    // The program's process, then that of the dynamic resource.
    while (processes().length < 2) {
        expect(engine.exitCode, output).toBeNull();
        await sleep(50);
    }
    return { engine, output: () => output, ended };
}

const processes = (): number[] => readFileSync(pids, "utf8").trim().split("\n").filter(Boolean).map(Number);

async function allGone(): Promise<void> {
    while (processes().some(identityOf)) await sleep(50);
}

describe.sequential("a program on a self-built CLI", () => {
    it("is previewed and brought up without a warning, in folders with spaces", async () => {
        expect(dirname(program)).toContain(" ");
        expect(await succeed(run("preview"))).toContain("a line of the program");
        await succeed(up());
        // Beside the state a killed engine could leave one empty, which ends every later command.
        const kept = readdirSync(layout.pulumiState, { recursive: true, encoding: "utf8" });
        expect(kept.filter((name) => name.endsWith(".attrs"))).toEqual([]);
        const outputs = JSON.parse(await succeed(run("stack", "output", "--json", "--show-secrets"))) as object;
        expect(outputs).toEqual({
            hex: expect.stringMatching(/^[0-9a-f]{8}$/),
            noteLength: 11,
            secret: expect.stringMatching(/^.{12}$/),
            token: 10,
        });
        const hidden = JSON.parse(await succeed(run("stack", "output", "--json"))) as object;
        expect(hidden).toMatchObject({ secret: "[secret]", token: "[secret]" });
    });

    it("changes nothing the second time, also after a refresh", async () => {
        await succeed(run("preview", "--expect-no-changes"));
        await succeed(run("refresh", "--yes", "--skip-preview", "--expect-no-changes"));
        await succeed(run("preview", "--expect-no-changes"));
    });

    it("shows what a failing program said, and ends with an error", async () => {
        await fault("throw");
        const thrown = await up();
        expect(thrown.code).not.toBe(0);
        expect(thrown.stdout + thrown.stderr).toContain("Error: a fault of the program");
        expect(thrown.stdout + thrown.stderr).not.toContain("the program ended with exit code");
        await fault("exit");
        const left = await up();
        expect(left.code).not.toBe(0);
        expect(left.stdout + left.stderr).toContain("the program ended with exit code 7");
        await succeed(run("config", "rm", "fault"));
        await succeed(run("preview", "--expect-no-changes"));
    });

    it("ends when the user stops it", async () => {
        await fault("hang");
        await succeed(run("config", "set", "length", "13"));
        await succeed(run("destroy", "--yes", "--skip-preview"));
        const { engine, output, ended } = await hangingUp();
        engine.kill("SIGINT");
        expect(await ended).not.toBe(0);
        expect(output()).toContain("update canceled");
        await allGone();
    });

    it("ends when the engine is killed, and the stack can be used on", async () => {
        await succeed(run("destroy", "--yes", "--skip-preview"));
        const { engine, ended } = await hangingUp();
        engine.kill("SIGKILL");
        await ended;
        await allGone();
        await succeed(run("cancel", "--yes"));
        await succeed(run("config", "rm", "fault"));
        const after = await up();
        expect(after.code, after.stdout + after.stderr).toBe(0);
        // Which may warn of what was under way when the engine was killed.
        const last = await run("destroy", "--yes", "--skip-preview");
        expect(last.code, last.stdout + last.stderr).toBe(0);
    });
});
