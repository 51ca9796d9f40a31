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

/** A mark around what must never be seen in clear. */
const secret = (value: unknown): Properties => ({ ...secretMark, value });

export interface Change {
    /** The state before: inputs and outputs. */
    old: Properties;
    /** The state that is asked for: what is not changed is as it was. */
    planned: Properties;
    /** Names of the inputs that differ; empty after an update that failed, since what is in the state counts as done. */
    changed: string[];
}

/** One type of resource. Everything is in plain values; throw an Error to fail, or `InitFailed` when the thing exists. */
export interface ResourceType {
    /** Inputs that must be there. */
    required: string[];
    /** Inputs that mean nothing when they are left out. */
    optional: string[];
    /** Inputs that the platform chooses when they are left out: to leave one out later is no change. */
    chosen: string[];
    /** Names of what the platform adds to the inputs. */
    outputs: string[];
    /** Names of what is secret, at any depth. */
    secrets?: string[];
    /** Inputs that cannot be changed in place. */
    replaceOn: string[];
    /** Of what has names of the user's own: never asked for defaults. */
    maps?: string[];
    /** Minutes that each operation may take; kept in the state, as the real ones keep it. */
    timeouts?: Partial<Record<"create" | "read" | "update" | "delete" | "default", number>>;
    /** Inputs that the plugin itself sets when they are left out, which it notes in `__defaults`. */
    inputDefaults?: Properties;
    /** Those of what is chosen that are known beforehand. */
    defaults?(inputs: Properties): Properties;
    /** Whether the real one is made with Terraform's newer library, with which the inputs pass as they are. */
    plainInputs?: boolean;
    /** Inputs that the platform does not tell: what is taken over by its id is without them. */
    notRead?: string[];
    /** Whether the real one is made with a bridge of 2024: a preview is answered with what is known and nothing else. */
    olderBridge?: boolean;
    /** Whether a `name` left out is made from the resource's name in the program, so that a replacement can come first. */
    autonamed?: boolean;
    /** Fills in defaults, and finds faults that can be found before anything is done. May meet `unknown`. */
    check?(inputs: Properties, logicalName: string): CheckFailure[];
    create(inputs: Properties, timeoutSeconds: number | undefined): Promise<{ id: string; state: Properties }>;
    /** Takes over what exists, by the id that `pulumi import` is given; absent: as `read`. */
    import?(id: string): Promise<{ id: string; state: Properties } | undefined>;
    /** Resolves with the state as it is, or `undefined` when the thing is gone. */
    read(id: string, old: Properties): Promise<Properties | undefined>;
    /** Names of outputs that the state lacks, which shows as a change that no call makes. */
    lacking?(old: Properties): string[];
    /** Resolves with the new state. Absent: every input is in `replaceOn`. */
    update?(id: string, change: Change, timeoutSeconds: number | undefined): Promise<Properties>;
    /** Gone already is success. */
    delete(id: string, old: Properties, timeoutSeconds: number | undefined): Promise<void>;
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

/** Runs a stand-in for a Pulumi plugin that is made from a Terraform provider. */
export function serveProvider(provider: Provider): void {
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
    const timeout = (request: { getTimeout(): number }): number | undefined => request.getTimeout() || undefined;

    servePlugin(ResourceProviderService, {
        getPluginInfo: method(() => new plugin.PluginInfo().setVersion(provider.version)),
        attach: method(() => new Empty()),
        // What has begun goes on to its end: the real ones do not listen either.
        cancel: method(() => new Empty()),
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
            const answer = await failing(`invoking ${request.getTok()}: `, () => call(plain(request.getArgs())));
            return new rpc.InvokeResponse().setReturn(struct(answer));
        }),
        check: method((request: rpc.CheckRequest) => {
            const type = typeOf(request.getUrn());
            const { inputs, failures } = checked(type, request);
            const response = new rpc.CheckResponse().setInputs(struct(inputs));
            response.setFailuresList(
                failures.map(({ property, reason }) => new rpc.CheckFailure().setProperty(property).setReason(reason)),
            );
            return response;
        }),
        diff: method((request: rpc.DiffRequest) => {
            const type = typeOf(request.getUrn());
            const [old, inputs] = [plain(request.getOlds()), plain(request.getNews())];
            const changed = changedInputs(type, old, inputs, request);
            const replaces = changed.filter((name) => type.replaceOn.includes(name));
            const differences = [...changed, ...(type.lacking?.(old) ?? [])];
            const { DIFF_SOME, DIFF_NONE } = rpc.DiffResponse.DiffChanges;
            // Two of one name are refused, or cannot be told apart.
            const named = type.autonamed === true && !wasAutonamed(inputs);
            return new rpc.DiffResponse()
                .setChanges(differences.length > 0 ? DIFF_SOME : DIFF_NONE)
                .setDiffsList(differences)
                .setReplacesList(replaces)
                .setDeletebeforereplace(replaces.length > 0 && named);
        }),
        create: method(async (request: rpc.CreateRequest) => {
            const type = typeOf(request.getUrn());
            const inputs = withoutDefaults(plain(request.getProperties())) as Properties;
            if (request.getPreview()) {
                const unknowns = ["id", ...type.outputs, ...type.chosen].map((name) => [name, unknown]);
                if (type.olderBridge) {
                    return new rpc.CreateResponse().setProperties(struct(knownOf({ id: "", ...inputs })));
                }
                const known = { ...type.defaults?.(inputs), ...inputs, ...meta(type) };
                const state = { ...Object.fromEntries(unknowns), ...known };
                return new rpc.CreateResponse().setProperties(stateStruct(type, state));
            }
            // Only what has its id already is "creating" something: an error before leaves nothing in the state.
            const { id, state } = await failing("", () => type.create(inputs, timeout(request)), {
                type,
                known: `creating ${request.getUrn()}: `,
            });
            const own = request.getTimeout() ? { create: request.getTimeout() / 60 } : {};
            const made = { ...state, ...meta(type, own), id };
            return new rpc.CreateResponse().setId(id).setProperties(stateStruct(type, made));
        }),
        read: method(async (request: rpc.ReadRequest) => {
            const type = typeOf(request.getUrn());
            const [old, oldInputs] = [plain(request.getProperties()), plain(request.getInputs())];
            const found = await failing(`refreshing ${request.getUrn()}: `, () => readOne(type, request.getId(), old));
            if (!found) return new rpc.ReadResponse();
            const state = { ...found.state, id: found.id };
            return new rpc.ReadResponse()
                .setId(found.id)
                .setProperties(stateStruct(type, state))
                .setInputs(struct(inputsOf(type, state, oldInputs)));
        }),
        update: method(async (request: rpc.UpdateRequest) => {
            const type = typeOf(request.getUrn());
            const [old, inputs] = [plain(request.getOlds()), plain(request.getNews())];
            const changed = changedInputs(type, old, inputs, request);
            const planned = plannedState(old, inputs, changed, ignoredInputs(request));
            if (request.getPreview()) return new rpc.UpdateResponse().setProperties(stateStruct(type, planned));
            if (!type.update) throw new Error(`${request.getUrn()} cannot be changed in place`);
            const work = async (): Promise<Properties> => {
                try {
                    return await type.update!(request.getId(), { old, planned, changed }, timeout(request));
                } catch (error) {
                    // Whatever became of it, the state has the new values then.
                    throw new InitFailed((error as Error).message, request.getId(), planned);
                }
            };
            const state = await failing("", work, { type, known: `updating ${request.getUrn()}: ` });
            return new rpc.UpdateResponse().setProperties(stateStruct(type, state));
        }),
        delete: method(async (request: rpc.DeleteRequest) => {
            const type = typeOf(request.getUrn());
            const old = plain(request.getProperties());
            await failing(`deleting ${request.getUrn()}: `, () => type.delete(request.getId(), old, timeout(request)));
            return new Empty();
        }),
    });
}

async function readOne(
    type: ResourceType,
    id: string,
    old: Properties,
): Promise<{ id: string; state: Properties } | undefined> {
    if (type.import && Object.keys(old).length === 0) {
        const found = await type.import(id);
        return found && { ...found, state: { ...found.state, ...meta(type, {}, { schema_version: "0" }) } };
    }
    const state = await type.read(id, old);
    if (!state || !type.olderBridge) return state && { id, state };
    const told = Object.entries(state).filter(([name]) => Object.keys(old).length > 0 || !type.notRead?.includes(name));
    return { id, state: { ...Object.fromEntries(told), ...meta(type) } };
}

/**
 * Gives an error the words of the real plugins, and an `InitFailed` the form in which the engine takes the id and the
 * state out of it.
 */
async function failing<T>(
    doing: string,
    work: () => Promise<T>,
    made?: { type: ResourceType; known: string },
): Promise<T> {
    try {
        return await work();
    } catch (error) {
        const occurred = `1 error occurred:\n\t* ${(error as Error).message}\n\n`;
        if (!(error instanceof InitFailed) || !made) throw new Error(doing + occurred, { cause: error });
        const detail = new Any();
        const failed = new rpc.ErrorResourceInitFailed()
            .setId(error.id)
            .setProperties(stateStruct(made.type, { ...meta(made.type), ...error.state, id: error.id }))
            .setReasonsList([made.known + occurred]);
        detail.pack(failed.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
        const message = made.known + occurred;
        const answer = new Status().setCode(status.UNKNOWN).setMessage(message).setDetailsList([detail]);
        const metadata = new Metadata();
        metadata.add("grpc-status-details-bin", Buffer.from(answer.serializeBinary()));
        throw Object.assign(new Error(message), { metadata });
    }
}

function checked(type: ResourceType, request: rpc.CheckRequest): { inputs: Properties; failures: CheckFailure[] } {
    const inputs = withoutDefaults(plain(request.getNews())) as Properties;
    const defaults = Object.keys(type.inputDefaults ?? {}).filter((name) => inputs[name] === undefined);
    Object.assign(inputs, pickNames(type.inputDefaults ?? {}, defaults));
    if (type.autonamed && autoname(inputs, plain(request.getOlds()), request.getUrn())) defaults.push("name");
    const logicalName = request.getUrn().split("::").slice(3).join("::");
    const failures = type.check?.(inputs, logicalName) ?? [];
    for (const name of type.required.filter((one) => inputs[one] === undefined)) {
        const argument = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
        failures.push(
            fault(
                `Missing required argument. The argument "${argument}" is required, but no definition was found.`,
                logicalName,
                name,
            ),
        );
    }
    if (type.plainInputs) return { inputs, failures };
    const known = [...type.required, ...type.optional, ...type.chosen];
    for (const name of Object.keys(inputs).filter((one) => !known.includes(one))) {
        failures.push(fault("Invalid or unknown key", logicalName, name));
    }
    return { inputs: { ...(withDefaults(type, inputs) as Properties), __defaults: defaults }, failures };
}

function pickNames(values: Properties, names: string[]): Properties {
    return Object.fromEntries(names.map((name) => [name, values[name] as unknown]));
}

/** A fault of an input in the real plugins' words. */
export function fault(text: string, logicalName: string, property: string): CheckFailure {
    return { property: "", reason: `${text}. Examine values at '${logicalName}.${property}'.` };
}

/** The real plugins note in each object which of its values they chose themselves. */
function withDefaults(type: ResourceType, value: unknown): unknown {
    if (Array.isArray(value)) return value.map((one) => withDefaults(type, one));
    if (typeof value !== "object" || value === null) return value;
    const inner = Object.entries(value).map(([name, one]) => [
        name,
        type.maps?.includes(name) ? (one as unknown) : withDefaults(type, one),
    ]);
    return { __defaults: [], ...Object.fromEntries(inner) };
}

function withoutDefaults(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(withoutDefaults);
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).filter(([name]) => name !== "__defaults");
    return Object.fromEntries(entries.map(([name, inner]) => [name, withoutDefaults(inner)]));
}

interface WithIgnoreChanges {
    getIgnorechangesList(): string[];
}

/** Top-level names out of `ignoreChanges` paths, such as `template.spec` and `tags[0]`. */
function ignoredInputs(request: WithIgnoreChanges): string[] {
    return request.getIgnorechangesList().map((path) => /^[^.[]+/.exec(path)?.[0] ?? path);
}

/** Names of the inputs that the state does not have as they are asked for. */
function changedInputs(type: ResourceType, old: Properties, inputs: Properties, request: WithIgnoreChanges): string[] {
    const ignored = ignoredInputs(request);
    return [...type.required, ...type.optional, ...type.chosen]
        .filter((name) => !ignored.includes(name))
        .filter((name) => {
            if (!Object.hasOwn(inputs, name)) return !type.chosen.includes(name) && !isEmpty(old[name]);
            if (containsUnknown(inputs[name])) return true;
            return !isDeepStrictEqual(full(withoutDefaults(inputs[name])), full(old[name]));
        })
        .sort();
}

/** What is empty says no more than what is not there. */
function isEmpty(value: unknown): boolean {
    if (typeof value !== "object") return value === undefined || value === "" || value === 0 || value === false;
    return value === null || Object.values(value).every(isEmpty);
}

/** A value without what is empty in it. */
function full(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(full);
    if (typeof value !== "object" || value === null) return isEmpty(value) ? undefined : value;
    const entries = Object.entries(value).filter(([, inner]) => !isEmpty(inner));
    return Object.fromEntries(entries.map(([name, inner]) => [name, full(inner)]));
}

function knownOf(properties: Properties): Properties {
    return Object.fromEntries(Object.entries(properties).filter(([, value]) => !containsUnknown(value)));
}

function plannedState(old: Properties, inputs: Properties, changed: string[], ignored: string[]): Properties {
    const planned = Object.entries(old).filter(([name]) => !changed.includes(name));
    const asked = Object.entries(inputs).filter(([name]) => changed.includes(name) && !ignored.includes(name));
    return { ...Object.fromEntries(planned), ...(withoutDefaults(Object.fromEntries(asked)) as Properties) };
}

export function containsUnknown(value: unknown): boolean {
    if (typeof value !== "object" || value === null) return value === unknown;
    return Object.values(value).some(containsUnknown);
}

/** The inputs that would give a state: those that were set, with their present values; of what is taken over, all. */
function inputsOf(type: ResourceType, state: Properties, oldInputs: Properties): Properties {
    const known = Object.keys(oldInputs).filter((name) => name !== "__defaults");
    const isLeftOut = (name: string): boolean =>
        isEmpty(state[name]) || (type.olderBridge === true && state[name] === type.inputDefaults?.[name]);
    const all = [...type.required, ...type.optional, ...type.chosen].filter((name) => !isLeftOut(name));
    const names = known.length === 0 ? all : known;
    const valueOf = (name: string): unknown => (Object.hasOwn(state, name) ? state[name] : oldInputs[name]);
    const found = Object.fromEntries(names.map((name) => [name, valueOf(name)]));
    const inputs = type.olderBridge && known.length === 0 ? (full(found) as Properties) : found;
    if (type.plainInputs) return inputs;
    const defaults = (oldInputs.__defaults ?? []) as string[];
    return { ...(withDefaults(type, withoutDefaults(inputs)) as Properties), __defaults: defaults };
}

/** Whether it chose the name. */
function autoname(inputs: Properties, oldInputs: Properties, urn: string): boolean {
    if (inputs.name !== undefined) return false;
    const logicalName = urn.split("::").slice(3).join("::");
    const before = wasAutonamed(oldInputs) ? (oldInputs.name as string) : undefined;
    inputs.name = before ?? `${logicalName}-${randomBytes(4).toString("hex").slice(0, 7)}`;
    return true;
}

function wasAutonamed(inputs: Properties): boolean {
    return (inputs.__defaults as string[] | undefined)?.includes("name") ?? false;
}

/** A state as a message, with its secrets marked, those that are not there yet as well. */
function stateStruct(type: ResourceType, state: Properties): Struct {
    const secrets = type.secrets ?? [];
    const nothing = type.outputs.filter((name) => secrets.includes(name)).map((name) => [name, null]);
    return struct(markSecrets(secrets, { ...Object.fromEntries(nothing), ...state }) as Properties);
}

function markSecrets(secrets: string[], value: unknown): unknown {
    if (Array.isArray(value)) return value.map((one) => markSecrets(secrets, one));
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).map(([name, inner]) => {
        const marked = markSecrets(secrets, inner);
        return [name, secrets.includes(name) ? secret(marked) : marked];
    });
    return Object.fromEntries(entries);
}

/** What Terraform's SDK keeps in a state beside the properties: how long each operation may take. */
function meta(type: ResourceType, own: object = {}, more: object = {}): Properties {
    if (!type.timeouts) return {};
    const nanoseconds = Object.entries({ ...type.timeouts, ...own })
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, minutes]) => [name, minutes * 60 * 1e9]);
    const key = "e2bfb730-ecaa-11e6-8f88-34363bc7c4c0";
    return { __meta: JSON.stringify({ [key]: Object.fromEntries(nanoseconds) as object, ...more }) };
}

/** Plain values out of a message, secrets laid open. */
function plain(message: Struct | undefined): Properties {
    return lay(message?.toJavaScript() ?? {}) as Properties;
}

function lay(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(lay);
    if (typeof value !== "object" || value === null) return value;
    const [mark, secretKind] = Object.entries(secretMark)[0];
    if ((value as Properties)[mark] === secretKind) return lay((value as Properties).value);
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, lay(inner)]));
}

/** A message out of plain values; what is undefined is left out. */
function struct(properties: Properties): Struct {
    return Struct.fromJavaScript(JSON.parse(JSON.stringify(properties)) as Record<string, JavaScriptValue>);
}
