import { AsyncLocalStorage } from "async_hooks";
import { credentials } from "@grpc/grpc-js";
import { EngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { LogRequest, LogSeverity } from "@pulumi/pulumi/proto/engine_pb";

/** URN of the resource that a call is at work on. */
const atWork = new AsyncLocalStorage<string>();

/** Runs a call; the lines that it says are shown beside the resource. */
export function workingOn<T>(urn: string, call: () => Promise<T>): Promise<T> {
    return atWork.run(urn, call);
}

/** Shows lines through the engine, which hides what a plugin prints. `engine`: its address. */
export function engineLog(engine: string): (line: string) => void {
    const client = new EngineClient(engine, credentials.createInsecure());
    return (line) => {
        const request = new LogRequest().setSeverity(LogSeverity.INFO).setMessage(line);
        // A line that cannot be shown is no reason to fail.
        client.log(request.setUrn(atWork.getStore() ?? ""), () => undefined);
    };
}
