/**
 * Writes the names that the real plugins give to what the stand-ins simulate:
 *
 *     npx tsx test/sandbox/plugins/recordings/record-schemas.ts FOLDER
 *
 * FOLDER holds pulumi-resource-ovh, -random and -openstack, released or built from their published sources.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startPlugin } from "../engine";

export interface TypeNames {
    inputs: string[];
    required: string[];
    outputs: string[];
    secret: string[];
}

const types = {
    ovh: ["ovh:CloudProject/kube:Kube", "ovh:CloudProject/kubeNodePool:KubeNodePool"],
    random: [
        "random:index/randomId:RandomId",
        "random:index/randomPassword:RandomPassword",
        "random:index/randomString:RandomString",
    ],
    openstack: [
        "openstack:networking/floatingIp:FloatingIp",
        "openstack:networking/network:Network",
        "openstack:networking/router:Router",
        "openstack:networking/routerInterface:RouterInterface",
        "openstack:networking/subnet:Subnet",
    ],
};

interface Resource {
    inputProperties?: Record<string, object>;
    requiredInputs?: string[];
    properties?: Record<string, { secret?: boolean }>;
}

async function main(): Promise<void> {
    const all: Record<string, TypeNames> = {};
    for (const [name, tokens] of Object.entries(types)) {
        const plugin = await startPlugin(join(process.argv[2], `pulumi-resource-${name}`), {});
        const { resources } = JSON.parse(await plugin.schema()) as { resources: Record<string, Resource> };
        plugin.process.kill();
        for (const token of tokens) {
            const { inputProperties = {}, requiredInputs = [], properties = {} } = resources[token];
            all[token] = {
                inputs: Object.keys(inputProperties).sort(),
                required: [...requiredInputs].sort(),
                outputs: Object.keys(properties).sort(),
                secret: Object.keys(properties)
                    .filter((property) => properties[property].secret)
                    .sort(),
            };
        }
    }
    writeFileSync(join(__dirname, "schemas.json"), JSON.stringify(all, null, 4) + "\n");
}

if (require.main === module) void main();
