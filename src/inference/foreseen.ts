import * as pulumi from "@pulumi/pulumi";
import { knownResources } from "../own-state";
import { isMap } from "../settings/defaults";

export interface Lasting {
    kind: "App" | "Token";
    /** Logical name. */
    name: string;
    output: "appId" | "url" | "value";
    /** Inputs of which each value has an output of its own. */
    given?: Record<string, string | undefined>;
}

/**
 * An output that lasts as long as its resource does. In a preview of a change, Pulumi takes every output of a dynamic resource
 * for unknown, and all that is made of it for changed, though the resource stays: then it is as the state has it.
 */
export function foreseen(
    resource: pulumi.CustomResource,
    live: pulumi.Output<string>,
    { kind, name, output, given = {} }: Lasting,
): pulumi.Output<string> {
    if (!pulumi.runtime.isDryRun()) return live;
    const kept = knownResources().then((resources) => {
        const known = resources.find((one) => one.name === name && one.type.endsWith(`:${kind}`))?.outputs;
        const isGiven = known && Object.entries(given).every(([key, value]) => known[key] === value);
        return isGiven ? plainText(known[output]) : undefined;
    });
    // The id is unknown itself when the resource is made or replaced.
    return pulumi.all([resource.id, kept]).apply(([, value]) => (value === undefined ? live : pulumi.output(value)));
}

/** Text of the state, which a secret has wrapped. */
function plainText(value: unknown): string | undefined {
    const text = isMap(value) ? value.value : value;
    return typeof text === "string" && text !== "" ? text : undefined;
}
