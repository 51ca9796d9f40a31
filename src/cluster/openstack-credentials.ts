import * as pulumi from "@pulumi/pulumi";
import { SettingsError, type Fault, type Settings } from "../settings";

/** Where the openstack plugin takes what from: the key of stack config (`openstack:KEY`), else the first variable that is set. */
const sources = {
    cloud: ["OS_CLOUD"],
    authUrl: ["OS_AUTH_URL"],
    tenantId: ["OS_TENANT_ID", "OS_PROJECT_ID"],
    tenantName: ["OS_TENANT_NAME", "OS_PROJECT_NAME"],
    userName: ["OS_USERNAME"],
    userId: ["OS_USER_ID"],
    password: ["OS_PASSWORD"],
    token: ["OS_TOKEN", "OS_AUTH_TOKEN"],
    applicationCredentialId: ["OS_APPLICATION_CREDENTIAL_ID"],
    applicationCredentialName: ["OS_APPLICATION_CREDENTIAL_NAME"],
    applicationCredentialSecret: ["OS_APPLICATION_CREDENTIAL_SECRET"],
} as const;

type Given = Partial<Record<keyof typeof sources, string>>;
type Uses = Pick<Settings, "projectId" | "models" | "cluster" | "monitoring">;

/**
 * Whether the openstack plugin has credentials for what the settings ask of it. It would say so itself after the models have begun,
 * in words that do not help. That they are right, it finds out in preview where it looks up the external network.
 * @throws pulumi.RunError in the words of those of the settings
 */
export function refuseWithoutOpenStack(settings: Uses): void {
    const given = Object.entries(sources).flatMap(([key, variables]) => {
        const values = [pulumi.runtime.getConfig(`openstack:${key}`), ...variables.map((name) => process.env[name])];
        const value = values.find((one) => one !== undefined && one !== "");
        return value === undefined ? [] : [[key, value]];
    });
    const faults = openStackFaults(settings, Object.fromEntries(given) as Given);
    if (faults.length > 0) throw new pulumi.RunError(new SettingsError(faults, pulumi.getProject()).message);
}

/** What is missing of the credentials, by the first setting that needs them. */
export function openStackFaults(settings: Uses, given: Given): Fault[] {
    const [setting] = needing(settings);
    // A file of one's own has everything.
    if (!setting || given.cloud !== undefined) return [];
    const { projectId } = settings;
    if (given.tenantId !== undefined && given.tenantId !== projectId) {
        const fix =
            `what OpenStack makes would be in project ${given.tenantId}, as OS_TENANT_ID or openstack:tenantId says, and the cluster ` +
            `is in ${projectId}: export OS_TENANT_ID=${projectId}, with a user of that project`;
        return [{ ...setting, fix }];
    }
    const missing = missingVariables(given);
    if (missing.length === 0) return [];
    const fix =
        `it takes an OpenStack user of the project, and ${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} not set: make ` +
        "one in the control panel (Users & Roles) and source its openrc.sh, or export OS_AUTH_URL=https://auth.cloud.ovh.net/v3 " +
        `OS_USER_DOMAIN_NAME=Default OS_TENANT_ID=${projectId} OS_USERNAME=<user> OS_PASSWORD=<password>`;
    return [{ ...setting, fix }];
}

/** Settings that have something made in OpenStack, each with its value. */
function needing({ models, cluster, monitoring }: Uses): Pick<Fault, "key" | "found">[] {
    const doors = Object.entries(models).filter(([, { frontDoor }]) => frontDoor?.keepAddress);
    return [
        ...(cluster.network === "private" ? [{ key: "cluster.network", found: '"private"' }] : []),
        ...(monitoring.grafana.keepAddress ? [{ key: "monitoring.grafana.keepAddress", found: "true" }] : []),
        ...doors.map(([name]) => ({ key: `models.${name}.frontDoor.keepAddress`, found: "true" })),
    ];
}

/** An application credential and a token are of one project; a user's name and password say of which. */
function missingVariables(given: Given): string[] {
    const needed: [string, boolean][] = [["OS_AUTH_URL", given.authUrl !== undefined]];
    const { applicationCredentialId, applicationCredentialName, applicationCredentialSecret } = given;
    if (applicationCredentialId !== undefined || applicationCredentialName !== undefined) {
        needed.push(["OS_APPLICATION_CREDENTIAL_SECRET", applicationCredentialSecret !== undefined]);
    } else if (given.token === undefined) {
        needed.push(
            ["OS_TENANT_ID", given.tenantId !== undefined || given.tenantName !== undefined],
            ["OS_USERNAME", given.userName !== undefined || given.userId !== undefined],
            ["OS_PASSWORD", given.password !== undefined],
        );
    }
    return needed.filter(([, there]) => !there).map(([name]) => name);
}
