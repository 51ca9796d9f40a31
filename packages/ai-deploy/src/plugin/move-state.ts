/** A stack's state taken from the dynamic resources of this package to those of its plugin. Nothing at OVHcloud changes. */
import { randomUUID } from "crypto";
import { readFileSync } from "fs";
import { isMap } from "../values/json";
import { pluginName, version } from "./identity";

/** What `pulumi stack export` writes, as far as it is touched here. */
export interface ExportedState {
    version: number;
    deployment: { resources?: SavedResource[]; pending_operations?: unknown[] };
}

interface SavedResource {
    urn: string;
    type: string;
    custom?: boolean;
    id?: string;
    provider?: string;
    inputs?: Record<string, unknown>;
    outputs?: Record<string, unknown>;
}

const dynamicType = /\bpulumi-nodejs:dynamic\/ovh-ai-deploy:(\w+)/g;

/**
 * The same state with our dynamic resources as the plugin's: same ids, values and names, so that the next `pulumi up` of a
 * program that declares them by the plugin finds them.
 * @param newId makes the id of the provider that is noted in the state
 */
export function moveState(state: ExportedState, newId: () => string = randomUUID): ExportedState {
    const { resources = [], pending_operations: pending = [] } = state.deployment;
    if (pending.length > 0) {
        throw new Error(
            "the stack has pending operations: run `pulumi refresh` with the program that has the dynamic resources first",
        );
    }
    const isOurs = ({ type }: SavedResource): boolean => type.startsWith("pulumi-nodejs:dynamic/ovh-ai-deploy:");
    const first = resources.findIndex(isOurs);
    if (first === -1) throw new Error("the stack has no dynamic resources of pulumi-ovh-ai-deploy: nothing to move");
    const own = defaultProvider(resources[first].urn, newId());
    // There is one already where only a part was moved.
    const provider = resources.find(({ urn }) => urn === own.urn) ?? own;
    const others = resources.filter((resource) => resource !== provider);
    const moved = others.map((resource) => {
        const renamed = renameTypes(resource) as SavedResource;
        if (!isOurs(resource)) return renamed;
        const { inputs = {}, outputs = {} } = renamed;
        delete inputs.__provider;
        delete outputs.__provider;
        return { ...renamed, provider: `${provider.urn}::${provider.id}` };
    });
    // Before the first that needs it.
    moved.splice(others.findIndex(isOurs), 0, provider);
    return { ...state, deployment: { ...state.deployment, resources: moved } };
}

/** As the engine notes the provider that it starts by itself. */
function defaultProvider(urn: string, id: string): SavedResource & { id: string } {
    const [stack, project] = urn.split("::");
    const type = `pulumi:providers:${pluginName}`;
    const name = `default_${version().replace(/[.+-]/g, "_")}`;
    const inputs = { version: version() };
    return { urn: `${stack}::${project}::${type}::${name}`, custom: true, id, type, inputs, outputs: { ...inputs } };
}

/** Every type, alone or in a URN, wherever a URN may stand. */
function renameTypes(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(renameTypes);
    if (isMap(value)) {
        return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, renameTypes(inner)]));
    }
    if (typeof value !== "string" || !/^(urn:pulumi:|pulumi-nodejs:dynamic\/)/.test(value)) return value;
    return value.replace(dynamicType, `${pluginName}:index:$1`);
}

/** From `pulumi stack export` to `pulumi stack import`. */
export function moveStateFromStdin(): void {
    try {
        const moved = moveState(JSON.parse(readFileSync(0, "utf8")) as ExportedState);
        process.stdout.write(`${JSON.stringify(moved, undefined, 4)}\n`);
    } catch (error) {
        console.error(`The state was not moved: ${(error as Error).message}`);
        process.exitCode = 1;
    }
}
