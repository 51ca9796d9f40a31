import { credentials } from "@grpc/grpc-js";
import * as pulumi from "@pulumi/pulumi";
import { CallbacksClient } from "@pulumi/pulumi/proto/callback_grpc_pb";
import { CallbackInvokeRequest } from "@pulumi/pulumi/proto/callback_pb";
import { TransformRequest, TransformResourceOptions, TransformResponse } from "@pulumi/pulumi/proto/resource_pb";
import * as pulumiState from "@pulumi/pulumi/runtime/state";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { vi } from "vitest";
import { parse } from "yaml";
import type { LiveCluster, LivePool } from "../../src/cluster/ovh-api";
import type { KnownResource } from "../../src/own-state";
import type { PriceList } from "../../src/prices/price-list";
import { emulated } from "../prices/world";

export const root = join(__dirname, "../..");
export const project = "ovhcloud-llm-serving";

/** Inputs and outputs of whatever shape; each test says what it expects. */
export type Json = any;

/** A resource as the program asked for it, inputs in the engine's wire format without secret marks. */
export interface Planned {
    type: string;
    name: string;
    inputs: Record<string, Json>;
    /** Paths of the inputs that were marked secret. */
    secrets: string[];
    /** The resources it waits for, as "Type name". */
    dependsOn: string[];
    protect: boolean;
    ignoreChanges: string[];
    /** Id by which something that exists is taken over; empty when it is made. */
    importId: string;
    /** Reference of the provider, empty for the default one. */
    provider: string;
    /** True for a read of something that exists (`.get`). */
    read: boolean;
}

export interface Deployment {
    resources: Planned[];
    /** The one resource of this type (its last part is enough) and, if given, logical name. */
    find(type: string, name?: string): Planned;
    outputs: Record<string, pulumi.Output<Json> | undefined>;
    /** Value of an output, and whether it is secret. */
    output(name: string): Promise<{ value: Json; secret: boolean }>;
}

export interface Options {
    stack: string;
    /** Config laid over the stack file, by full path of nested objects. */
    config?: Record<string, unknown>;
    /** Keys of the config that are encrypted; the token by default. */
    secretKeys?: string[];
    preview?: boolean;
    /** Resources that the last run left in the state. */
    known?: KnownResource[];
    /** What there is at OVHcloud; by default nothing. */
    clusters?: LiveCluster[];
    pools?: LivePool[];
    /** Outputs of the stack as the update before left them. */
    outputsBefore?: Record<string, unknown>;
    /** What everything costs; by default as the emulated OVHcloud lists it. */
    prices?: PriceList;
    /** State that the load balancer's Service has after it was made. */
    grafanaService?: Record<string, unknown>;
}

/** The config of a committed stack file, secrets as a fixed text. */
export function stackConfig(stack: string): Record<string, unknown> {
    const file = parse(readFileSync(join(root, `Pulumi.${stack}.yaml`), "utf8")) as { config: Record<string, Json> };
    return Object.fromEntries(
        Object.entries(file.config).map(([key, value]) => [
            key.slice(project.length + 1),
            typeof value === "object" && "secure" in value ? "hf_decrypted" : value,
        ]),
    );
}

/** Runs index.ts with Pulumi's mocks, as `pulumi preview` or `pulumi up` of a stack would. Rejects as the program does. */
export async function deploy(options: Options): Promise<Deployment> {
    const config: Record<string, unknown> = { ...stackConfig(options.stack), ...options.config };
    const text = Object.entries(config)
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => [`${project}:${key}`, typeof value === "string" ? value : JSON.stringify(value)]);
    const resources: Planned[] = [];
    const preview = options.preview ?? false;

    // The request behind the mock's call holds what the mock is not told: secret marks and resource options.
    let request: Json;
    vi.resetModules();
    const { known = [], clusters = [], pools = [] } = options;
    vi.doMock("../../src/own-state", () => ({ knownResources: () => Promise.resolve(known) }));
    vi.doMock("../../src/cluster/ovh-api", async (original) => ({
        ...(await original<object>()),
        listClusters: () => Promise.resolve(clusters),
        findCluster: (_project: string, id: string) => Promise.resolve(clusters.find((one) => one.id === id)),
        listNodePools: () => Promise.resolve(pools),
        listNodeFlavors: () =>
            Promise.resolve(["b2-7", "b2-15", "b2-30", "b3-8", "b3-16"].map((name) => ({ name, state: "available" }))),
        currentKubeconfig: (_project: string, id: string) => Promise.resolve(`kubeconfig of ${id}`),
    }));
    const prices = options.prices ?? emulated();
    vi.doMock("../../src/prices/price-list", async (original) => ({
        ...(await original<object>()),
        findPrices: () => Promise.resolve(prices),
    }));
    await pulumi.runtime.setMocks(
        {
            newResource: ({ type, name, inputs, id, provider }) => {
                const { value, secrets } = unsecret(request ? request.getObject().toJavaScript() : inputs);
                resources.push({
                    type,
                    name,
                    inputs: value,
                    secrets,
                    dependsOn: (request?.getDependenciesList() ?? []).map(shortName),
                    protect: request?.getProtect() ?? false,
                    ignoreChanges: request?.getIgnorechangesList() ?? [],
                    importId: request?.getImportid() ?? "",
                    provider: provider ?? "",
                    read: request === undefined,
                });
                return { id: id || `${name}-id`, state: { ...inputs, ...computed(type, name, value, options) } };
            },
            call: ({ token, inputs }) => {
                if (token === "pulumi:pulumi:readStackOutputs") {
                    return { ...inputs, outputs: options.outputsBefore ?? {} };
                }
                if (token === "openstack:networking/getNetwork:getNetwork") return { ...inputs, id: "ext-net-id" };
                throw new Error(`unexpected call of ${token}`);
            },
        },
        project,
        options.stack,
        preview,
        "organization",
    );
    const monitor = pulumi.runtime.getMonitor() as Json;
    for (const [method, asks] of Object.entries({ registerResource: true, readResource: false })) {
        const handle = monitor[method].bind(monitor);
        const register = (message: Json, callback: unknown): unknown => {
            request = asks ? message : undefined;
            return handle(message, callback);
        };
        monitor[method] = (message: Json, callback: (error: unknown) => void) => {
            if (!asks || message.getTransformsList().length === 0) return register(message, callback);
            return void transform(message).then(() => register(message, callback), callback);
        };
    }
    // The mocks take transforms for unknown, though they let everything else pass.
    (pulumiState as Json).getStore().supportsTransforms = true;
    // Pulumi's mocks do not know hooks, which only an engine could run.
    monitor.registerResourceHook ??= (_: Json, callback: (error: null) => void) => callback(null);
    const secretKeys = (options.secretKeys ?? ["huggingFaceToken"]).map((key) => `${project}:${key}`);
    pulumi.runtime.setAllConfig(Object.fromEntries(text) as Record<string, string>, secretKeys);

    let outputs: Record<string, Json>;
    try {
        // As start.js does.
        await (await import("../../src/stack-cost")).stackCost();
        outputs = (await import("../../index")) as Record<string, Json>;
        await pulumi.runtime.disconnect();
    } catch (error) {
        // What the program had asked for when it gave up.
        throw Object.assign(error as Error, { resources });
    }
    return {
        resources,
        outputs,
        find(type, name) {
            const found = resources.filter(
                (one) => (one.type === type || one.type.endsWith(`:${type}`)) && (!name || one.name === name),
            );
            if (found.length !== 1) throw new Error(`${found.length} resources of type ${type} ${name ?? ""}`);
            return found[0];
        },
        async output(name) {
            const output = pulumi.output(outputs[name]) as Json;
            return { value: await output.promise(), secret: await output.isSecret };
        },
    };
}

/** Lets the transforms of a resource change what it asks for, as the engine does. */
async function transform(message: Json): Promise<void> {
    for (const { target, token } of message.getTransformsList().map((one: Json) => one.toObject()) as Json[]) {
        const asked = new TransformResourceOptions().setIgnoreChangesList(message.getIgnorechangesList() as string[]);
        const request = new TransformRequest()
            .setType(message.getType() as string)
            .setName(message.getName() as string)
            .setCustom(true)
            .setProperties(message.getObject())
            .setOptions(asked);
        const client = new CallbacksClient(target as string, credentials.createInsecure());
        const answer = await new Promise<Uint8Array>((resolve, reject) =>
            client.invoke(
                new CallbackInvokeRequest().setToken(token as string).setRequest(request.serializeBinary()),
                (error, response) => (error ? reject(error) : resolve(response.getResponse_asU8())),
            ),
        );
        client.close();
        const changed = TransformResponse.deserializeBinary(answer);
        message.setObject(changed.getProperties());
        message.setImportid(changed.getOptions()!.getImport());
        message.setIgnorechangesList(changed.getOptions()!.getIgnoreChangesList());
    }
}

/** "Type name" of a URN. */
function shortName(urn: string): string {
    const [type, name] = urn.split("::").slice(-2);
    return `${type.split(":").pop()} ${name}`;
}

/** What only the cloud knows of a resource. */
function computed(type: string, name: string, inputs: Json, options: Options): Record<string, unknown> {
    if (options.preview) return {};
    if (type.endsWith("ovh-ai-deploy:App")) {
        const appId = `11111111-2222-4333-8444-${name.padEnd(12, "0").slice(0, 12)}`;
        return { appId, url: `https://${appId}.app.gra.ai.cloud.ovh.net`, state: "RUNNING" };
    }
    if (type.endsWith("ovh-ai-deploy:Token")) return { value: `value-of-${name}`, version: 1, tokenId: `${name}-id` };
    if (type.endsWith("ovh-ai-deploy:Authorization")) return { authorized: true };
    if (type === "openstack:networking/floatingIp:FloatingIp") {
        return { address: `198.51.100.${name.startsWith("grafana") ? 20 : 21}` };
    }
    if (type === "ovh:CloudProject/kube:Kube") return { kubeconfig: "apiVersion: v1\nkind: Config\n" };
    if (type.endsWith("APIOAuth2Client")) {
        return { clientId: `id-of-${name}`, clientSecret: `canary-secret-of-${name}`, identity: `urn:made-up:${name}` };
    }
    if (type.endsWith("RandomPassword")) return { result: "generated-password" };
    if (type.endsWith("RandomId")) return { hex: `hex-of-${name}` };
    if (type.endsWith("v3:Release")) return { status: { namespace: inputs.namespace, name: inputs.name } };
    if (inputs.spec?.type === "LoadBalancer") {
        return options.grafanaService ?? { status: { loadBalancer: { ingress: [{ ip: "192.0.2.10" }] } } };
    }
    return {};
}

const signature = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";

/** Takes the secret marks out of inputs and tells where they were. */
function unsecret(inputs: unknown): { value: Json; secrets: string[] } {
    const secrets: string[] = [];
    const walk = (value: Json, path: string): Json => {
        if (Array.isArray(value)) return value.map((item, index) => walk(item, `${path}[${index}]`));
        if (typeof value !== "object" || value === null) return value;
        if (value[signature] === secretSignature) {
            secrets.push(path);
            return walk(value.value, path);
        }
        return Object.fromEntries(
            Object.entries(value).map(([key, item]) => [key, walk(item, path ? `${path}.${key}` : key)]),
        );
    };
    return { value: walk(inputs, ""), secrets };
}
