import {
    Server,
    ServerCredentials,
    status,
    type Metadata,
    type sendUnaryData,
    type ServerUnaryCall,
    type ServiceDefinition,
    type UntypedServiceImplementation,
} from "@grpc/grpc-js";

/**
 * Serves one gRPC service the way Pulumi's engine expects of a plugin: on a free port of 127.0.0.1, which is printed as
 * the first line, for as long as the engine lives. Methods that are not given answer UNIMPLEMENTED.
 */
export function servePlugin(service: ServiceDefinition, methods: UntypedServiceImplementation): void {
    const server = new Server({
        // As the engine sets it: a state or a chart can be larger than gRPC's 4 MB.
        "grpc.max_receive_message_length": 400 * 1024 * 1024,
        "grpc.max_send_message_length": -1,
    });
    server.addService(service, methods);
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
        if (error) {
            console.error(`plugin cannot listen on 127.0.0.1: ${error.message}`);
            process.exit(1);
        }
        console.log(String(port));
    });
    process.on("SIGINT", () => process.exit(0));
    process.on("SIGTERM", () => process.exit(0));
    // The engine holds the other end of stdin: it ends with the engine, even with one that was killed.
    process.stdin.on("end", () => process.exit(0)).resume();
}

/** A gRPC method from a function. What that throws becomes the error of the answer, with its `metadata` if it has any. */
export function method<Request, Response>(answer: (request: Request) => Response | Promise<Response>) {
    return (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): void => {
        const answering = async (): Promise<Response> => answer(call.request);
        answering().then(
            (response) => callback(null, response),
            ({ message, metadata }: Error & { metadata?: Metadata }) =>
                callback({ code: status.UNKNOWN, details: message, metadata }),
        );
    };
}
