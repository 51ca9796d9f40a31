import { Metadata, status } from "@grpc/grpc-js";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as plugin from "@pulumi/pulumi/proto/plugin_pb";
import * as rpc from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { Any } from "google-protobuf/google/protobuf/any_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct, type JavaScriptValue } from "google-protobuf/google/protobuf/struct_pb";
import { randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { method, servePlugin } from "./grpc-server";

/** Properties of a resource, as plain values; in a preview any of them, at any depth, may be `unknown`. */
export type Properties = Record<string, any>;

/** Stands for a value that is known only after the real thing has been done. */
export const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** What marks a value as secret between plugin and engine. */
const secretMark = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" };

export interface CheckFailure {
    property: string;
    reason: string;
}

export interface Waiting {
    /** `customTimeouts` of the resource, if it has any. */
    timeoutSeconds: number | undefined;
    /** Aborted when the user stops the operation. */
    cancelled: AbortSignal;
}

export interface Change {
    /** The state before: inputs and outputs. */
    old: Properties;
    /** Inputs as they shall be. Without those that `ignoreChanges` names. */
    inputs: Properties;
    /** Names of the inputs that differ; empty when only a half-finished operation is to be finished. */
    changed: string[];
}

/** One type of resource. Everything is in plain values; throw an Error to fail, or `InitFailed` when the thing exists. */
export interface ResourceType {
    /** Names of what the platform adds to the inputs. */
    outputs: string[];
    /** Those of them that are secret. */
    secrets?: string[];
    /** Inputs that the platform chooses when they are left out: to leave one out later is no change. */
    chosen: string[];
    /** Inputs that cannot be changed in place. */
    replaceOn: string[];
    /** Whether a `name` left out is made from the resource's name in the program, so that a replacement can come first. */
    autonamed?: boolean;
    /** Fills in defaults, and finds faults that can be found before anything is done. May meet `unknown`. */
    check?(inputs: Properties): CheckFailure[];
    create(inputs: Properties, waiting: Waiting): Promise<{ id: string; state: Properties }>;
    /** Resolves with the state as it is, or `undefined` when the thing is gone. */
    read(id: string, old: Properties): Promise<Properties | undefined>;
    /** Absent: every input is in `replaceOn`. */
    update?(id: string, change: Change, waiting: Waiting): Promise<Properties>;
    /** Gone already is success. */
    delete(id: string, old: Properties, waiting: Waiting): Promise<void>;
}

export interface Provider {
    /** Name of the plugin it stands in for, and the version of the SDK that asks for it. */
    name: string;
    version: string;
    /** Gets the provider's config: values as text, secrets in clear. */
    configure?(config: Record<string, string>): Promise<void>;
    /** By type token, such as `random:index/randomId:RandomId`. */
    resources: Record<string, ResourceType>;
    /** By function token. */
    functions?: Record<string, (args: Properties) => Promise<Properties>>;
}

/** The thing exists, so its id must be kept in the state, but it is not (yet) as it should be. */
export class InitFailed extends Error {
    constructor(
        message: string,
        readonly id: string,
        readonly state: Properties,
    ) {
        super(message);
    }
}

/** Runs a stand-in for a Pulumi plugin. */
export function serveProvider(provider: Provider): void {
    const stop = new AbortController();

    function typeOf(urn: string): ResourceType {
        const token = urn.split("::")[2].split("$").pop()!;
        return find(provider.resources, token, "resource");
    }
    function find<T>(table: Record<string, T>, token: string, kind: string): T {
        if (Object.hasOwn(table, token)) return table[token];
        throw new Error(
            `${kind} ${token} is not simulated: in the sandbox a stand-in serves as ${provider.name} plugin, ` +
                `and it knows only ${Object.keys(table).join(", ") || "none"}`,
        );
    }
    const waiting = (request: { getTimeout(): number }): Waiting => ({
        timeoutSeconds: request.getTimeout() || undefined,
        cancelled: stop.signal,
    });

    servePlugin(ResourceProviderService, {
        getPluginInfo: method(() => new plugin.PluginInfo().setVersion(provider.version)),
        attach: method(() => new Empty()),
        cancel: method(() => {
            stop.abort();
            return new Empty();
        }),
        checkConfig: method((request: rpc.CheckRequest) => new rpc.CheckResponse().setInputs(request.getNews())),
        // Other credentials or another endpoint never mean that what they made has to be made anew.
        diffConfig: method(() => new rpc.DiffResponse().setChanges(rpc.DiffResponse.DiffChanges.DIFF_NONE)),
        configure: method(async (request: rpc.ConfigureRequest) => {
            const config = Object.entries(plain(request.getArgs()))
                .filter(([name]) => name !== "version")
                .map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
            await provider.configure?.(Object.fromEntries(config) as Record<string, string>);
            return new rpc.ConfigureResponse().setSupportspreview(true);
        }),
        invoke: method(async (request: rpc.InvokeRequest) => {
            const call = find(provider.functions ?? {}, request.getTok(), "function");
            return new rpc.InvokeResponse().setReturn(struct(await call(plain(request.getArgs()))));
        }),
        check: method((request: rpc.CheckRequest) => {
            const type = typeOf(request.getUrn());
            const inputs = plain(request.getNews());
            if (type.autonamed) autoname(inputs, plain(request.getOlds()), request.getUrn());
            const failures = type.check?.(inputs) ?? [];
            const response = new rpc.CheckResponse().setInputs(struct(inputs));
            response.setFailuresList(
                failures.map(({ property, reason }) => new rpc.CheckFailure().setProperty(property).setReason(reason)),
            );
            return response;
        }),
        diff: method((request: rpc.DiffRequest) => {
            const type = typeOf(request.getUrn());
            const [old, inputs] = [plain(request.getOlds()), plain(request.getNews())];
            const changed = changedInputs(type, old, plain(request.getOldInputs()), inputs, request);
            const replaces = changed.filter((name) => type.replaceOn.includes(name));
            const { DIFF_SOME, DIFF_NONE } = rpc.DiffResponse.DiffChanges;
            // Two of one name are refused, or cannot be told apart.
            const sameName = type.autonamed === true && !wasAutonamed(inputs) && inputs.name === old.name;
            return new rpc.DiffResponse()
                .setChanges(changed.length > 0 ? DIFF_SOME : DIFF_NONE)
                .setDiffsList(changed)
                .setReplacesList(replaces)
                .setDeletebeforereplace(replaces.length > 0 && sameName);
        }),
        create: method(async (request: rpc.CreateRequest) => {
            const type = typeOf(request.getUrn());
            const inputs = plain(request.getProperties());
            if (request.getPreview()) {
                const unknowns = [...type.outputs, ...type.chosen].map((name) => [name, unknown]);
                const state = { ...Object.fromEntries(unknowns), ...inputs };
                return new rpc.CreateResponse().setProperties(struct(withSecrets(type, state)));
            }
            const { id, state } = await failing(type, () => type.create(inputs, waiting(request)));
            return new rpc.CreateResponse().setId(id).setProperties(struct(withSecrets(type, state)));
        }),
        read: method(async (request: rpc.ReadRequest) => {
            const type = typeOf(request.getUrn());
            const state = await type.read(request.getId(), plain(request.getProperties()));
            if (!state) return new rpc.ReadResponse();
            return new rpc.ReadResponse()
                .setId(request.getId())
                .setProperties(struct(withSecrets(type, state)))
                .setInputs(struct(inputsOf(type, state, plain(request.getInputs()))));
        }),
        update: method(async (request: rpc.UpdateRequest) => {
            const type = typeOf(request.getUrn());
            const [old, inputs] = [plain(request.getOlds()), plain(request.getNews())];
            if (request.getPreview()) {
                return new rpc.UpdateResponse().setProperties(struct(withSecrets(type, { ...old, ...inputs })));
            }
            if (!type.update) throw new Error(`${request.getUrn()} cannot be changed in place`);
            const changed = changedInputs(type, old, plain(request.getOldInputs()), inputs, request);
            for (const name of ignoredInputs(request)) delete inputs[name];
            const change = { old, inputs, changed };
            const state = await failing(type, () => type.update!(request.getId(), change, waiting(request)));
            return new rpc.UpdateResponse().setProperties(struct(withSecrets(type, state)));
        }),
        delete: method(async (request: rpc.DeleteRequest) => {
            const type = typeOf(request.getUrn());
            await type.delete(request.getId(), plain(request.getProperties()), waiting(request));
            return new Empty();
        }),
    });
}

/** Gives an `InitFailed` the form in which the engine takes the id and the state out of an error. */
async function failing<T>(type: ResourceType, work: () => Promise<T>): Promise<T> {
    try {
        return await work();
    } catch (error) {
        if (!(error instanceof InitFailed)) throw error;
        const detail = new Any();
        const failed = new rpc.ErrorResourceInitFailed()
            .setId(error.id)
            .setProperties(struct(withSecrets(type, error.state)))
            .setReasonsList([error.message]);
        detail.pack(failed.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
        const answer = new Status().setCode(status.UNKNOWN).setMessage(error.message).setDetailsList([detail]);
        const metadata = new Metadata();
        metadata.add("grpc-status-details-bin", Buffer.from(answer.serializeBinary()));
        throw Object.assign(new Error(error.message), { metadata });
    }
}

interface WithIgnoreChanges {
    getIgnorechangesList(): string[];
}

/** Top-level names out of `ignoreChanges` paths, such as `template.spec` and `tags[0]`. */
function ignoredInputs(request: WithIgnoreChanges): string[] {
    return request.getIgnorechangesList().map((path) => /^[^.[]+/.exec(path)?.[0] ?? path);
}

function changedInputs(
    type: ResourceType,
    old: Properties,
    oldInputs: Properties,
    inputs: Properties,
    request: WithIgnoreChanges,
): string[] {
    const ignored = ["__defaults", ...ignoredInputs(request)];
    const names = new Set([...Object.keys(inputs), ...Object.keys(oldInputs)]);
    return [...names]
        .filter((name) => !ignored.includes(name))
        .filter((name) => {
            if (!Object.hasOwn(inputs, name)) return !type.chosen.includes(name);
            const before = Object.hasOwn(old, name) ? (old[name] as unknown) : (oldInputs[name] as unknown);
            return containsUnknown(inputs[name]) || !isDeepStrictEqual(inputs[name], before);
        });
}

export function containsUnknown(value: unknown): boolean {
    if (typeof value !== "object" || value === null) return value === unknown;
    return Object.values(value).some(containsUnknown);
}

/** The inputs that would give a state: those that were set, with their present values. */
function inputsOf(type: ResourceType, state: Properties, oldInputs: Properties): Properties {
    const imported = Object.keys(oldInputs).length === 0;
    const names = imported ? Object.keys(state).filter((name) => !type.outputs.includes(name)) : Object.keys(oldInputs);
    const valueOf = (name: string): unknown => (Object.hasOwn(state, name) ? state[name] : oldInputs[name]);
    return Object.fromEntries(names.map((name) => [name, valueOf(name)]));
}

function autoname(inputs: Properties, oldInputs: Properties, urn: string): void {
    if (inputs.name !== undefined) return;
    const logicalName = urn.split("::").slice(3).join("::");
    const before = wasAutonamed(oldInputs) ? (oldInputs.name as string) : undefined;
    inputs.name = before ?? `${logicalName}-${randomBytes(4).toString("hex").slice(0, 7)}`;
    inputs.__defaults = ["name"];
}

function wasAutonamed(inputs: Properties): boolean {
    return (inputs.__defaults as string[] | undefined)?.includes("name") ?? false;
}

function withSecrets(type: ResourceType, state: Properties): Properties {
    const marked = { ...state };
    for (const name of type.secrets ?? []) {
        if (marked[name] !== undefined) marked[name] = { ...secretMark, value: marked[name] as unknown };
    }
    return marked;
}

/** Plain values out of a message, secrets laid open. */
function plain(message: Struct | undefined): Properties {
    return lay(message?.toJavaScript() ?? {}) as Properties;
}

function lay(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(lay);
    if (typeof value !== "object" || value === null) return value;
    const [mark, secret] = Object.entries(secretMark)[0];
    if ((value as Properties)[mark] === secret) return lay((value as Properties).value);
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, lay(inner)]));
}

/** A message out of plain values; what is undefined is left out. */
function struct(properties: Properties): Struct {
    return Struct.fromJavaScript(JSON.parse(JSON.stringify(properties)) as Record<string, JavaScriptValue>);
}
