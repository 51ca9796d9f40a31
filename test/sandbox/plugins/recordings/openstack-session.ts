import { rmSync } from "node:fs";
import { startPlugin, temporaryFolder, type Plugin } from "../engine";
import { applicationCredential, startOpenStack, tenantId, user } from "./openstack-cloud";
import { asUpDoes, notingPlugin, type Session } from "./session";

/** The openstack plugin at work, with all that passes between it and the engine noted. */
export interface OpenStackSession extends Pick<Session, "make" | "change"> {
    plugin: Plugin;
    /** The notes, with ids made the same for every session. */
    text(): string;
    close(): Promise<void>;
}

/** As `openrc.sh` of the control panel names a user, and as OpenStack names an application credential. */
const credentials = {
    user: {
        OS_TENANT_ID: tenantId,
        OS_USERNAME: user.name,
        OS_PASSWORD: user.password,
        OS_USER_DOMAIN_NAME: "Default",
    },
    application: {
        OS_APPLICATION_CREDENTIAL_ID: applicationCredential.id,
        OS_APPLICATION_CREDENTIAL_SECRET: applicationCredential.secret,
    },
};

/** Starts the plugin of this executable; the real one on an emulated OpenStack of its own, of which a stand-in knows nothing. */
export async function startOpenStackSession(
    executable: string,
    by: keyof typeof credentials = "user",
): Promise<OpenStackSession> {
    const dir = temporaryFolder();
    const cloud = await startOpenStack();
    const plugin = await startPlugin(executable, {
        OS_AUTH_URL: cloud.authUrl,
        ...credentials[by],
        // For what is taken over by its id: else it is looked for in the first region that Keystone names.
        OS_REGION_NAME: "GRA11",
        OVH_CLOUD_PROJECT_SERVICE: tenantId,
    });
    await plugin.configure({ version: "3.15.2" });
    const lines: string[] = [];
    const noted = notingPlugin(plugin, (line) => void lines.push(line), whatFailed);
    return {
        plugin: noted,
        ...asUpDoes(noted),
        text: () => withNames(lines.join("\n") + "\n"),
        async close() {
            // A real plugin does not end with its input.
            plugin.process.kill();
            await plugin.close();
            await cloud.close();
            rmSync(dir, { recursive: true });
        },
    };
}

/** What was being done: why it was refused is Neutron's to say, and there is none behind a stand-in. */
function whatFailed(message: string): string {
    return (
        /(Error [a-z]+ (?:for )?openstack_\w+|No network found with name: \S+|Your query returned [\w ]+)/.exec(
            message,
        )?.[0] ?? message
    );
}

/** Gives every id a name, in the order in which they were seen. */
function withNames(text: string): string {
    const uuid = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
    const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
    // Where Terraform's SDK keeps how long an operation may take.
    const timeouts = "e2bfb730-ecaa-11e6-8f88-34363bc7c4c0";
    const ids = [...new Set(text.match(uuid))].filter((id) => id !== unknown && id !== timeouts);
    const named = ids.reduce(
        (out, id, index) => out.replaceAll(id, `ID-${index + 1}`),
        text.replaceAll(unknown, "UNKNOWN"),
    );
    return named.replaceAll(tenantId, "PROJECT").replace(/logical-name-[0-9a-f]{7}/g, "logical-name-RANDOM");
}
