import * as pulumi from "@pulumi/pulumi";
import { ResourceInvokeRequest } from "@pulumi/pulumi/proto/resource_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";

/** A resource as the last run left it in the state of this stack. */
export interface KnownResource {
    type: string;
    /** Logical name. */
    name: string;
    outputs: Record<string, any>;
}

/**
 * What the state of this stack holds. A program is otherwise told only of what it has registered, and then it is too late
 * to say that something is to be taken over. Asked of the engine without the SDK, whose debug log would show every secret.
 */
export function knownResources(): Promise<KnownResource[]> {
    return (read ??= readResources());
}

/** Once in a run: it is what the run before left. */
let read: Promise<KnownResource[]> | undefined;

async function readResources(): Promise<KnownResource[]> {
    const stackName = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
    const request = new ResourceInvokeRequest()
        .setTok("pulumi:pulumi:readStackResourceOutputs")
        .setArgs(Struct.fromJavaScript({ stackName }));
    const { outputs = {} } = await new Promise<{ outputs?: Record<string, Omit<KnownResource, "name">> }>(
        (resolve, reject) => {
            (pulumi.runtime.getMonitor() as any).invoke(request, (error: Error | null, answer: any) => {
                if (error) reject(new Error(`the state of stack ${stackName} cannot be read: ${error.message}`));
                else resolve((answer.getReturn()?.toJavaScript() ?? {}) as Record<string, never>);
            });
        },
    );
    return Object.entries(outputs).map(([urn, known]) => ({
        type: known.type,
        name: urn.split("::").slice(3).join("::"),
        outputs: known.outputs,
    }));
}
