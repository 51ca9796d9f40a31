import { rmSync } from "node:fs";
import { createServer, request, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { ManagedKubernetes } from "../../../../sandbox/ovhcloud/mks";
import { startOvhCloud, type OvhCloud } from "../../../../sandbox/ovhcloud/server";
import { startPlugin, temporaryFolder, type Before, type InitFailure, type Plugin, type Properties } from "../engine";

export const projectId = "0000cafe0000cafe0000cafe0000cafe";
const keys = {
    applicationKey: "test-application-key",
    applicationSecret: "test-application-secret",
    consumerKey: "test-consumer-key",
};

/** A plugin at work on an emulated OVHcloud, with all that passes between them, and between it and the engine, noted. */
export interface Session {
    cloud: OvhCloud;
    /** What the clusters behind the API do; at first all goes well, at once. */
    mks: ManagedKubernetes;
    /** The plugin as the engine sees it; what is asked and answered is noted. */
    plugin: Plugin;
    /** Makes a resource as `up` does: checked, then created. */
    make(type: string, inputs: Properties): Promise<Before>;
    /** Changes inputs of a resource as `up` does: checked, compared, then updated. */
    change(type: string, before: Before, changes: Properties, ignoreChanges?: string[]): Promise<Before>;
    /** A call of somebody else, which is not noted. Answers the body. */
    elsewhere: (method: string, path: string, body?: object) => Promise<any>;
    /** Resolves when the plugin has made so many calls of this kind, such as `GET /kube/[^/]+$`. */
    called: (pattern: RegExp, times: number) => Promise<void>;
    /** Ends the plugin's process at once. */
    kill(): Promise<void>;
    note(line: string): void;
    /** The notes, with ids, times and addresses made the same for every session. */
    text(): string;
    close(): Promise<void>;
}

export const kubeconfigOf = (id: string): string => `apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: "https://127.0.0.1:6443/${id}", certificate-authority-data: Q0E= } }]
users: [{ name: u, user: { client-certificate-data: Q0VSVA==, client-key-data: S0VZ } }]
`;

/** Starts the plugin of this executable and an emulated OVHcloud of its own. `pollMs`: of a stand-in; "": the real one's. */
export async function startSession(executable: string, pollMs = "30"): Promise<Session> {
    const dir = temporaryFolder();
    const session = { mks: simpleClusters() } as Session;
    const cloud = await startOvhCloud({
        stateDir: dir,
        // What takes minutes is over before the next look.
        speed: 1_000_000,
        credentials: { ...keys, accessToken: "made-up-access-token" },
        projectId,
        mks: relayTo(() => session.mks),
    });
    const lines: string[] = [];
    const note = (line: string): void => void lines.push(line);
    const tap = await startTap(cloud.url, note);
    const plugin = await startPlugin(executable, {
        OVH_ENDPOINT: `${tap.url}/1.0`,
        OVH_APPLICATION_KEY: keys.applicationKey,
        OVH_APPLICATION_SECRET: keys.applicationSecret,
        OVH_CONSUMER_KEY: keys.consumerKey,
        OVH_CLOUD_PROJECT_SERVICE: "",
        OVH_SANDBOX_POLL_MS: pollMs,
    });
    await plugin.configure({ version: "2.19.1" });
    lines.length = 0;
    const noted = notingPlugin(plugin, note);
    return Object.assign(session, {
        cloud,
        plugin: noted,
        note,
        called: tap.called,
        ...asUpDoes(noted),
        async elsewhere(method: string, path: string, body?: object): Promise<any> {
            const answer = await fetch(`${cloud.url}/cloud/project/${projectId}${path}`, {
                method,
                headers: { authorization: "Bearer made-up-access-token" },
                body: body && JSON.stringify(body),
            });
            const text = await answer.text();
            if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
            nameIds(path, text, tap.ids);
            return JSON.parse(text);
        },
        async kill(): Promise<void> {
            const ended = new Promise((resolve) => plugin.process.on("exit", resolve));
            plugin.process.kill("SIGKILL");
            note("the plugin is killed");
            await ended;
        },
        text: () => normalized(lines.join("\n") + "\n", tap.ids),
        async close(): Promise<void> {
            // A real plugin does not end with its input.
            plugin.process.kill();
            await plugin.close();
            await tap.close();
            await cloud.close();
            rmSync(dir, { recursive: true });
        },
    });
}

/** Makes and changes resources in the steps of `up`. */
export function asUpDoes(plugin: Plugin): Pick<Session, "make" | "change"> {
    return {
        async make(type, inputs) {
            const checked = await plugin.check(type, inputs);
            return { inputs: checked.inputs, ...(await plugin.create(type, checked.inputs)) };
        },
        async change(type, before, changes, ignoreChanges = []) {
            const wanted = { ...withoutDefaults(before.inputs), ...changes };
            const { inputs } = await plugin.check(type, wanted, before.inputs);
            await plugin.diff(type, before, inputs, ignoreChanges);
            return { ...before, inputs, state: await plugin.update(type, before, inputs, { ignoreChanges }) };
        },
    };
}

function withoutDefaults({ __defaults: defaults, ...inputs }: Properties): Properties {
    const chosen = (defaults ?? []) as string[];
    return Object.fromEntries(Object.entries(inputs).filter(([name]) => !chosen.includes(name)));
}

function simpleClusters(): ManagedKubernetes {
    return {
        create: async () => undefined,
        kubeconfig: async (id) => kubeconfigOf(id),
        resetKubeconfig: async () => undefined,
        scale: async () => undefined,
        resume: async () => undefined,
        delete: async () => undefined,
    };
}

function relayTo(mks: () => ManagedKubernetes): ManagedKubernetes {
    return {
        create: (...args) => mks().create(...args),
        kubeconfig: (...args) => mks().kubeconfig(...args),
        resetKubeconfig: (...args) => mks().resetKubeconfig(...args),
        scale: (...args) => mks().scale(...args),
        resume: (...args) => mks().resume(...args),
        delete: (...args) => mks().delete(...args),
    };
}

interface Tap {
    url: string;
    /** Names by id, in the order in which they were seen. */
    ids: Map<string, string>;
    called: (pattern: RegExp, times: number) => Promise<void>;
    close(): Promise<void>;
}

/** Passes on every call, and notes it. The signature is over the address that was called, so that this one goes along. */
async function startTap(target: string, note: (line: string) => void): Promise<Tap> {
    const ids = new Map<string, string>();
    const calls: string[] = [];
    const waiting: { pattern: RegExp; times: number; resolve: () => void }[] = [];
    const server = createServer((incoming, answer) => {
        void (async () => {
            const body = await textOf(incoming);
            const path = incoming.url!.replace(/^\/(1\.0|v1)/, "").replace(`/cloud/project/${projectId}`, "");
            const outgoing = request(
                target.replace(/\/v1$/, "") + incoming.url,
                { method: incoming.method, headers: incoming.headers },
                (result) => {
                    void (async () => {
                        const text = await textOf(result);
                        nameIds(path, text, ids);
                        note(`${incoming.method} ${path} -> ${result.statusCode}`);
                        if (body) note(indented(JSON.parse(body)));
                        answer.writeHead(result.statusCode!, result.headers).end(text);
                        calls.push(`${incoming.method} ${path}`);
                        for (const wait of waiting) {
                            if (calls.filter((call) => wait.pattern.test(call)).length >= wait.times) wait.resolve();
                        }
                    })();
                },
            );
            outgoing.on("error", () => {
                note(`${incoming.method} ${path} -> no answer`);
                if (body) note(indented(JSON.parse(body)));
                incoming.socket.destroy();
            });
            outgoing.end(body);
        })();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return {
        url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        ids,
        called: (pattern, times) => new Promise((resolve) => waiting.push({ pattern, times, resolve })),
        async close() {
            server.closeAllConnections();
            await new Promise((resolve) => server.close(resolve));
        },
    };
}

/** Gives every cluster and node pool a name, the first time that its id is seen in an answer. */
function nameIds(path: string, text: string, ids: Map<string, string>): void {
    const kind = path.includes("/nodepool") ? "POOL" : "KUBE";
    let answer: unknown;
    try {
        answer = JSON.parse(text);
    } catch {
        return;
    }
    for (const one of [answer].flat() as ({ id?: unknown } | null)[]) {
        if (typeof one?.id !== "string" || ids.has(one.id)) continue;
        ids.set(one.id, `${kind}-${[...ids.values()].filter((name) => name.startsWith(kind)).length + 1}`);
    }
}

function normalized(text: string, ids: Map<string, string>): string {
    let out = text;
    for (const [id, name] of ids) out = out.replaceAll(id, name).replaceAll(id.slice(0, 8), name);
    return (
        out
            .replaceAll(projectId, "PROJECT")
            .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
            .replace(/sandbox\.[0-9a-f-]{36}/g, "QUERY")
            // Added by the bridge in previews alone, and dropped by the engine.
            .replaceAll('\\"_new_extra_shim\\":{},', "")
            .replace(/\{((<nil>|0x[0-9a-f]+) ?)+\}/g, "{POINTERS}")
            .replace(/http:\/\/127\.0\.0\.1:\d+/g, "http://ENDPOINT")
            .replace(/logical-name-[0-9a-f]{7}/g, "logical-name-RANDOM")
    );
}

async function textOf(message: IncomingMessage): Promise<string> {
    let text = "";
    for await (const part of message.setEncoding("utf8")) text += String(part);
    return text;
}

/** Without what is empty: `null`, `[]` and `{}` stand for the same in a state, and the real one mixes them. */
function full(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(full);
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).map(([name, inner]) => [name, full(inner)] as const);
    return Object.fromEntries(entries.filter(([name, inner]) => name === "__defaults" || !isEmpty(inner)));
}

const isEmpty = (value: unknown): boolean =>
    value === null || (typeof value === "object" && Object.keys(value).length === 0);

/** As JSON, four spaces in, with the names in order. */
function indented(value: unknown): string {
    return JSON.stringify(sorted(value), null, 2).replace(/^/gm, "    ");
}

function sorted(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(sorted);
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(entries.map(([name, inner]) => [name, sorted(inner)]));
}

/**
 * Notes what the engine asks, and what it is answered.
 * @param said what of an error's message is noted; by default all but how a connection ended, which differs
 */
export function notingPlugin(
    plugin: Plugin,
    note: (line: string) => void,
    said = (message: string) => message.replace(/^(14 UNAVAILABLE).*/, "$1"),
): Plugin {
    const answered = async <T>(asked: string, work: () => Promise<T>): Promise<T> => {
        note(`\n${asked}`);
        try {
            const answer = await work();
            note("answer");
            if (answer !== undefined) note(indented(full(answer)));
            return answer;
        } catch (error) {
            const { message, failure } = error as Error & { failure?: InitFailure };
            note(`error: ${said(message)}`);
            if (failure) note(indented(full(failure)));
            throw error;
        }
    };
    return {
        ...plugin,
        invoke: (token, args) => answered(`invoke ${token}\n${indented(args)}`, () => plugin.invoke(token, args)),
        check: (type, inputs, old) =>
            answered(`check ${type}\n${indented(inputs)}`, () => plugin.check(type, inputs, old)),
        diff: (type, before, inputs, ignore = []) =>
            answered(`diff ${type}${ignored(ignore)}`, async () => {
                const { names, replaces, ...rest } = await plugin.diff(type, before, inputs, ignore);
                return { ...rest, names: once(names), replaces: once(replaces) };
            }),
        create: (type, inputs, options = {}) =>
            answered(`create ${type}${optional(options)}`, () => plugin.create(type, inputs, options)),
        read: (type, before) => answered(`read ${type} ${before.id}`, () => plugin.read(type, before)),
        update: (type, before, inputs, options = {}) =>
            answered(`update ${type}${ignored(options.ignoreChanges ?? [])}${optional(options)}`, () =>
                plugin.update(type, before, inputs, options),
            ),
        delete: (type, before, options) => answered(`delete ${type}`, () => plugin.delete(type, before, options)),
    };
}

const once = (names: string[]): string[] => [...new Set(names)].sort();
const ignored = (names: string[]): string => (names.length > 0 ? ` ignoring ${names.join(", ")}` : "");
const optional = ({ preview }: { preview?: boolean }): string => (preview ? " in a preview" : "");
