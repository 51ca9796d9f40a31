/**
 * The host of Node.js programs for Pulumi's engine, where the CLI was built from its Go module: the released CLI comes
 * with one of its own. Runs the program with the SDK that it depends on.
 */
import { status, type ServerWritableStream } from "@grpc/grpc-js";
import { LanguageRuntimeService } from "@pulumi/pulumi/proto/language_grpc_pb";
import * as rpc from "@pulumi/pulumi/proto/language_pb";
import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import { version } from "@pulumi/pulumi/package.json";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { spawn, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { method, servePlugin } from "./grpc-server";

/** With which a program ends that has told the engine already what is wrong; see the SDK's `cmd/run`. */
const reportedExitCode = 32;

/** Its last argument, after flags for logging. */
const engineAddress = process.argv[process.argv.length - 1];
const programs = new Set<ChildProcess>();
// A program must not outlive its engine. SIGKILL, since it may be in a loop.
process.on("exit", () => programs.forEach((program) => program.kill("SIGKILL")));

async function run(request: rpc.RunRequest): Promise<rpc.RunResponse> {
    const info = request.getInfo();
    const folder = info?.getProgramDirectory() || request.getPwd();
    const options = info?.getOptions()?.toJavaScript() ?? {};
    let runner: string;
    try {
        runner = createRequire(join(folder, "package.json")).resolve("@pulumi/pulumi/cmd/run");
    } catch {
        return new rpc.RunResponse().setError(
            `the program in ${folder} does not find @pulumi/pulumi: run npm ci there`,
        );
    }
    const flags: Record<string, string> = {
        monitor: request.getMonitorAddress(),
        engine: engineAddress,
        organization: request.getOrganization(),
        project: request.getProject(),
        "root-directory": info?.getRootDirectory() ?? "",
        stack: request.getStack(),
        pwd: request.getPwd(),
        parallel: String(request.getParallel()),
    };
    const args = Object.entries(flags).flatMap(([name, value]) => (value === "" ? [] : [`--${name}=${value}`]));
    if (request.getDryrun()) args.push("--dry-run");
    const nodeArgs = typeof options.nodeargs === "string" ? options.nodeargs.split(" ").filter(Boolean) : [];
    const env: NodeJS.ProcessEnv = {
        ...process.env,
        // By environment, since arguments can be read by every user of the machine.
        PULUMI_CONFIG: JSON.stringify(Object.fromEntries(request.getConfigMap().toArray())),
        PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
        PULUMI_NODEJS_TYPESCRIPT: String(options.typescript !== false),
    };
    if (typeof options.tsconfig === "string") env.PULUMI_NODEJS_TSCONFIG_PATH = options.tsconfig;

    const entry = info?.getEntryPoint() || request.getProgram();
    const program = spawn(process.execPath, [...nodeArgs, runner, ...args, entry, ...request.getArgsList()], {
        cwd: folder,
        env,
        // The engine shows what the program prints.
        stdio: ["ignore", "inherit", "inherit"],
    });
    programs.add(program);
    const failure = await new Promise<string | undefined>((resolve) => {
        program.on("error", (error) => resolve(`the program cannot be started: ${error.message}`));
        program.on("close", (code, signal) => {
            const ended = signal ? `was ended by ${signal}` : `ended with exit code ${code}`;
            resolve(code === 0 || code === reportedExitCode ? undefined : `the program ${ended}`);
        });
    });
    programs.delete(program);
    const response = new rpc.RunResponse().setBail(program.exitCode === reportedExitCode);
    return failure === undefined ? response : response.setError(failure);
}

/** Runs a policy pack: it serves the engine, so its port travels back with what it prints. */
function runPlugin(call: ServerWritableStream<rpc.RunPluginRequest, rpc.RunPluginResponse>): void {
    const request = call.request;
    const folder = request.getInfo()?.getProgramDirectory() || request.getProgram();
    const fail = (what: string): void => void call.destroy(Object.assign(new Error(what), { code: status.UNKNOWN }));
    if (request.getKind() !== "analyzer") return fail(`the sandbox runs no plugin of the kind "${request.getKind()}"`);
    let runner: string;
    try {
        runner = createRequire(join(folder, "package.json")).resolve("@pulumi/pulumi/cmd/run-policy-pack");
    } catch {
        return fail(`the policy pack in ${folder} does not find @pulumi/pulumi: run npm ci there`);
    }
    const own = Object.fromEntries(request.getEnvList().map((line) => line.split(/=(.*)/s).slice(0, 2)));
    const pack = spawn(process.execPath, [runner, ...request.getArgsList(), folder], {
        cwd: folder,
        env: { ...process.env, ...own },
        stdio: ["ignore", "pipe", "pipe"],
    });
    programs.add(pack);
    pack.stdout.on("data", (text: Buffer) => call.write(new rpc.RunPluginResponse().setStdout(text)));
    pack.stderr.on("data", (text: Buffer) => call.write(new rpc.RunPluginResponse().setStderr(text)));
    pack.on("error", (error) => fail(`the policy pack cannot be started: ${error.message}`));
    pack.on("close", (code) => {
        programs.delete(pack);
        call.write(new rpc.RunPluginResponse().setExitcode(code ?? 1));
        call.end();
    });
    call.on("cancelled", () => pack.kill("SIGKILL"));
}

servePlugin(LanguageRuntimeService, {
    handshake: method(() => new rpc.LanguageHandshakeResponse()),
    getPluginInfo: method(() => new PluginInfo().setVersion(version)),
    // The engine learns of each plugin when the program's first resource asks for it.
    getRequiredPackages: method(() => new rpc.GetRequiredPackagesResponse()),
    getRequiredPlugins: method(() => new rpc.GetRequiredPluginsResponse()),
    run: method(run),
    runPlugin,
    // Only a notice: the engine lets what runs come to its end, then ends this process.
    cancel: method(() => new Empty()),
});
