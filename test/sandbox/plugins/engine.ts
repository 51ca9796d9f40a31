import { credentials, type ServiceError } from "@grpc/grpc-js";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as rpc from "@pulumi/pulumi/proto/provider_pb";
import type { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installPlugins, type InstalledPlugins } from "../../../sandbox/plugins/install";
import { recipes, tools } from "../../../sandbox/toolchain/recipes";
import type { Toolchain } from "../../../sandbox/toolchain/toolchain";

export type Properties = Record<string, any>;
export const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const secretMark = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" };
export const secret = (value: unknown): Properties => ({ ...secretMark, value });

/** What the engine finds in the error of something that exists, but failed. */
export interface InitFailure {
    id: string;
    state: Properties;
    reasons: string[];
}

/** A plugin's process as the engine runs it, with the engine's side of the protocol. */
export interface Plugin {
    process: ChildProcess;
    configure(config: Properties): Promise<void>;
    version(): Promise<string>;
    /** Of a real one: the package's schema, as JSON. */
    schema(): Promise<string>;
    cancel(): Promise<void>;
    invoke(token: string, args: Properties): Promise<Properties>;
    check(type: string, inputs: Properties, oldInputs?: Properties): Promise<Checked>;
    diff(type: string, before: Before, inputs: Properties, ignoreChanges?: string[]): Promise<Difference>;
    create(type: string, inputs: Properties, options?: Options): Promise<{ id: string; state: Properties }>;
    /** `id` is empty when the thing is gone. */
    read(type: string, before: Before): Promise<{ id: string; state: Properties; inputs: Properties }>;
    update(type: string, before: Before, inputs: Properties, options?: Options): Promise<Properties>;
    delete(type: string, before: Before, options?: Options): Promise<void>;
    close(): Promise<void>;
}

export interface Options {
    preview?: boolean;
    timeoutSeconds?: number;
    ignoreChanges?: string[];
}

/** What the engine knows of a resource. */
export interface Before {
    id: string;
    inputs: Properties;
    state: Properties;
}

export interface Checked {
    inputs: Properties;
    failures: { property: string; reason: string }[];
}

export interface Difference {
    changes: boolean;
    names: string[];
    replaces: string[];
    deleteBeforeReplace: boolean;
}

/** A toolchain of empty programs: enough to install from. */
export function emptyToolchain(dir: string): Toolchain {
    mkdirSync(dir, { recursive: true });
    for (const tool of tools) writeFileSync(join(dir, tool), "", { mode: 0o755 });
    return {
        bin: Object.fromEntries(tools.map((tool) => [tool, join(dir, tool)])) as Toolchain["bin"],
        source: Object.fromEntries(
            tools.map((tool) => [tool, { from: "built" as const, version: recipes[tool].version }]),
        ),
    };
}

/** A folder with a space in its name, as home folders on some systems have. */
export function temporaryFolder(): string {
    return mkdtempSync(join(tmpdir(), "plugins test-"));
}

/** Installs the stand-ins into a folder. Resolves with the path of one of them. */
export async function installStandIn(name: keyof InstalledPlugins, dir: string): Promise<string> {
    const installed = await installPlugins({
        pulumiHome: join(dir, "pulumi/home"),
        binDir: join(dir, "bin"),
        toolchain: emptyToolchain(join(dir, "tools")),
        allowDownload: false,
        log: () => undefined,
    });
    const { version } = installed[name];
    return join(dir, `pulumi/home/plugins/resource-${name}-v${version}/pulumi-resource-${name}`);
}

/** Installs the stand-ins into a folder and starts one of them. */
export async function startStandIn(
    name: keyof InstalledPlugins,
    dir: string,
    env: Record<string, string> = {},
): Promise<Plugin> {
    return startPlugin(await installStandIn(name, dir), env);
}

/**
 * Starts the executable of a plugin, a stand-in or a real one.
 * @param engine where it is told that its engine listens
 * @param cwd folder of the program; default: this one
 */
export async function startPlugin(
    executable: string,
    env: Record<string, string>,
    { engine = "127.0.0.1:1", cwd }: { engine?: string; cwd?: string } = {},
): Promise<Plugin> {
    const child = spawn(executable, [engine], {
        cwd,
        env: { ...process.env, ...env },
        stdio: ["pipe", "pipe", "inherit"],
    });
    const port = await new Promise<string>((resolve, reject) => {
        let text = "";
        child.stdout.on("data", (part) => {
            text += String(part);
            if (text.includes("\n")) resolve(text.trim());
        });
        child.on("error", reject);
        child.on("exit", (code) => reject(new Error(`${executable} ended with exit code ${code}`)));
    });
    const client = new ResourceProviderClient(`127.0.0.1:${port}`, credentials.createInsecure(), {
        "grpc.max_receive_message_length": -1,
    });
    const ask = <Response>(
        call: (done: (error: ServiceError | null, response: Response) => void) => unknown,
    ): Promise<Response> =>
        new Promise((resolve, reject) =>
            call((error, response) => (error ? reject(withInitFailure(error)) : resolve(response))),
        );
    const urn = (type: string): string => `urn:pulumi:test::project::component$${type}::logical-name`;

    return {
        process: child,
        async configure(config) {
            const response = await ask<rpc.ConfigureResponse>((done) =>
                client.configure(new rpc.ConfigureRequest().setArgs(struct(config)).setAcceptsecrets(true), done),
            );
            if (!response.getSupportspreview() || response.getAcceptsecrets()) throw new Error("wrong capabilities");
        },
        version: async () => (await ask<PluginInfo>((done) => client.getPluginInfo(new Empty(), done))).getVersion(),
        schema: async () =>
            (
                await ask<rpc.GetSchemaResponse>((done) => client.getSchema(new rpc.GetSchemaRequest(), done))
            ).getSchema(),
        cancel: async () => void (await ask<Empty>((done) => client.cancel(new Empty(), done))),
        async invoke(token, args) {
            const response = await ask<rpc.InvokeResponse>((done) =>
                client.invoke(new rpc.InvokeRequest().setTok(token).setArgs(struct(args)), done),
            );
            return response.getReturn()!.toJavaScript();
        },
        async check(type, inputs, oldInputs = {}) {
            const request = new rpc.CheckRequest().setUrn(urn(type)).setNews(open(inputs)).setOlds(open(oldInputs));
            const response = await ask<rpc.CheckResponse>((done) => client.check(request, done));
            return {
                inputs: response.getInputs()!.toJavaScript(),
                failures: response.getFailuresList().map((failure) => failure.toObject()),
            };
        },
        async diff(type, before, inputs, ignoreChanges = []) {
            const request = new rpc.DiffRequest()
                .setId(before.id)
                .setUrn(urn(type))
                .setOlds(open(before.state))
                .setOldInputs(open(before.inputs))
                .setNews(open(inputs))
                .setIgnorechangesList(ignoreChanges);
            const response = await ask<rpc.DiffResponse>((done) => client.diff(request, done));
            return {
                changes: response.getChanges() === rpc.DiffResponse.DiffChanges.DIFF_SOME,
                names: response.getDiffsList(),
                replaces: response.getReplacesList(),
                deleteBeforeReplace: response.getDeletebeforereplace(),
            };
        },
        async create(type, inputs, { preview = false, timeoutSeconds = 0 } = {}) {
            const request = new rpc.CreateRequest()
                .setUrn(urn(type))
                .setProperties(open(inputs))
                .setPreview(preview)
                .setTimeout(timeoutSeconds);
            const response = await ask<rpc.CreateResponse>((done) => client.create(request, done));
            return { id: response.getId(), state: response.getProperties()!.toJavaScript() };
        },
        async read(type, { id, inputs, state }) {
            const request = new rpc.ReadRequest()
                .setId(id)
                .setUrn(urn(type))
                .setProperties(open(state))
                .setInputs(open(inputs));
            const response = await ask<rpc.ReadResponse>((done) => client.read(request, done));
            return {
                id: response.getId(),
                state: response.getProperties()?.toJavaScript() ?? {},
                inputs: response.getInputs()?.toJavaScript() ?? {},
            };
        },
        async update(type, before, inputs, { preview = false, timeoutSeconds = 0, ignoreChanges = [] } = {}) {
            const request = new rpc.UpdateRequest()
                .setId(before.id)
                .setUrn(urn(type))
                .setOlds(open(before.state))
                .setOldInputs(open(before.inputs))
                .setNews(open(inputs))
                .setPreview(preview)
                .setTimeout(timeoutSeconds)
                .setIgnorechangesList(ignoreChanges);
            return (await ask<rpc.UpdateResponse>((done) => client.update(request, done)))
                .getProperties()!
                .toJavaScript();
        },
        async delete(type, { id, inputs, state }, { timeoutSeconds = 0 } = {}) {
            const request = new rpc.DeleteRequest()
                .setId(id)
                .setUrn(urn(type))
                .setProperties(open(state))
                .setOldInputs(open(inputs))
                .setTimeout(timeoutSeconds);
            await ask<Empty>((done) => client.delete(request, done));
        },
        async close() {
            client.close();
            if (child.exitCode !== null || child.signalCode !== null) return;
            const ended = new Promise((resolve) => child.on("exit", resolve));
            child.stdin.end();
            await ended;
        },
    };
}

/** Adds to an error what the engine would find in it. */
function withInitFailure(error: ServiceError): ServiceError & { failure?: InitFailure } {
    const [packed] = error.metadata?.get("grpc-status-details-bin") ?? [];
    if (!packed) return error;
    const [detail] = Status.deserializeBinary(Buffer.from(packed)).getDetailsList();
    const failed = rpc.ErrorResourceInitFailed.deserializeBinary(detail.getValue_asU8());
    const failure = {
        id: failed.getId(),
        state: failed.getProperties()!.toJavaScript(),
        reasons: failed.getReasonsList(),
    };
    return Object.assign(error, { failure });
}

function struct(properties: Properties): Struct {
    return Struct.fromJavaScript(properties);
}

/** As the engine sends a state or inputs to a plugin that does not accept secrets: laid open. */
function open(properties: Properties): Struct {
    return struct(laidOpen(properties) as Properties);
}

function laidOpen(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(laidOpen);
    if (typeof value !== "object" || value === null) return value;
    const [mark, kind] = Object.entries(secretMark)[0];
    if ((value as Properties)[mark] === kind) return laidOpen((value as Properties).value);
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, laidOpen(inner)]));
}
