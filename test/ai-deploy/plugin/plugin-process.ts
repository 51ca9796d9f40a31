import { Server, ServerCredentials } from "@grpc/grpc-js";
import { EngineService } from "@pulumi/pulumi/proto/engine_grpc_pb";
import type { LogRequest } from "@pulumi/pulumi/proto/engine_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPlugin, type Plugin } from "../../sandbox/plugins/engine";

export const executable = join(__dirname, "../../../packages/ai-deploy/plugin/pulumi-resource-ovh-ai-deploy");

/** Types of the plugin's resources. */
export const types = {
    app: "ovh-ai-deploy:index:App",
    appReady: "ovh-ai-deploy:index:AppReady",
    appLeftovers: "ovh-ai-deploy:index:AppLeftovers",
    token: "ovh-ai-deploy:index:Token",
    authorization: "ovh-ai-deploy:index:Authorization",
    dataSync: "ovh-ai-deploy:index:DataSync",
};

export interface PluginProcess {
    plugin: Plugin;
    /** What the engine was given to show, with the URN that it belongs to. */
    lines: { urn: string; message: string }[];
    /** Takes its engine away, and waits for its end. */
    loseEngine(): Promise<void>;
    close(): Promise<void>;
}

/**
 * The plugin as the engine starts it, configured, with an engine that notes what it is given to show.
 * @param config of the provider
 * @param runtime of the program, as `Pulumi.yaml` has it
 */
export async function startPluginProcess(
    env: Record<string, string>,
    { config = {}, runtime = "runtime: yaml" }: { config?: Record<string, string>; runtime?: string } = {},
): Promise<PluginProcess> {
    const folder = mkdtempSync(join(tmpdir(), "plugin-test-"));
    writeFileSync(join(folder, "Pulumi.yaml"), `name: test\n${runtime}\n`);
    const lines: PluginProcess["lines"] = [];
    const engine = new Server();
    engine.addService(EngineService, {
        log: ({ request }: { request: LogRequest }, done: (error: null, empty: Empty) => void) => {
            lines.push({ urn: request.getUrn(), message: request.getMessage() });
            done(null, new Empty());
        },
    });
    const port = await new Promise<number>((resolve, reject) =>
        engine.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
            error ? reject(error) : resolve(bound),
        ),
    );
    // Only what the test gives: none of the credentials of who runs it.
    const unset = { OVH_CLIENT_ID: "", OVH_CLIENT_SECRET: "", OVH_ACCESS_TOKEN: "", HOME: folder };
    const plugin = await startPlugin(executable, { ...unset, ...env }, { engine: `127.0.0.1:${port}`, cwd: folder });
    await plugin.configure(config);
    const ended = new Promise<void>((resolve) => plugin.process.once("exit", () => resolve()));
    const clean = (): void => {
        engine.forceShutdown();
        rmSync(folder, { recursive: true, force: true });
    };
    return {
        plugin,
        lines,
        async loseEngine() {
            clean();
            await ended;
        },
        async close() {
            plugin.process.kill();
            await ended;
            await plugin.close();
            clean();
        },
    };
}
