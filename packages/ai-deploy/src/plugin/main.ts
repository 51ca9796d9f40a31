/**
 * The plugin `pulumi-resource-ovh-ai-deploy`, for programs in every language. `move-state` as its argument: takes a
 * stack's state from the dynamic resources to the plugin's.
 */
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import { spellSettings } from "../errors/setting-names";
import { endWithEngine } from "../process/engine-watch";
import { sayTo } from "../process/say";
import { engineLog } from "./engine-log";
import { propertyNames } from "./language";
import { moveStateFromStdin } from "./move-state";
import { pluginName } from "./identity";
import { service } from "./server";

if (process.argv.includes("move-state")) moveStateFromStdin();
else serve();

function serve(): void {
    const property = propertyNames(process.cwd());
    const replaceFirst = `The input ${property("replaceFirst")}: true`;
    spellSettings({ configNamespace: pluginName, property, replaceFirst });
    // The last argument, after flags for logging.
    const engine = process.argv[process.argv.length - 1];
    if (/^[\w.:[\]-]+:\d+$/.test(engine)) attach(engine);
    const server = new Server({
        // As the engine sets it: a state can be larger than gRPC's 4 MB.
        "grpc.max_receive_message_length": 400 * 1024 * 1024,
        "grpc.max_send_message_length": -1,
    });
    server.addService(ResourceProviderService, service(attach));
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
        if (error) {
            console.error(`${pluginName} cannot listen on 127.0.0.1: ${error.message}`);
            process.exit(1);
        }
        console.log(String(port));
    });
    // The engine tells by a call of its own when a person has pressed Ctrl-C, then lets what has begun come to an end.
    process.on("SIGINT", () => undefined);
    process.on("SIGTERM", () => process.exit(0));
}

function attach(engine: string): void {
    sayTo(engineLog(engine));
    endWithEngine(engine);
}
