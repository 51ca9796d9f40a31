// A service account for each actor, with a policy that allows just what it does. A project of its own, because whoever
// runs it needs rights on the OVHcloud account that no account of a stack may have.
import * as ovh from "@ovhcloud/pulumi-ovh";
import * as pulumi from "@pulumi/pulumi";
import { actionPrefix, actions, actors, type Actor } from "./actors";

const config = new pulumi.Config();
const projectId = config.require("projectId");
const plate = config.get("plate") ?? "eu";
if (!/^[0-9a-f]{32}$/.test(projectId)) {
    throw new pulumi.RunError(
        `projectId: ${JSON.stringify(projectId)}; give the id of the Public Cloud project: pulumi config set projectId ID --cwd access`,
    );
}
if (!["eu", "ca", "us"].includes(plate)) {
    throw new pulumi.RunError(
        `plate: ${JSON.stringify(plate)}; give one of eu, ca, us: pulumi config set plate eu --cwd access`,
    );
}

const uses: Record<Actor, string> = {
    preview: "pulumi preview of pull requests: looks, and fetches the cluster's kubeconfig",
    drift: "the nightly look for drift: looks, and fetches the cluster's kubeconfig",
    schedule: "changes the scaling of apps by the hour, stops them and starts them again",
    deploy: "pulumi up and destroy",
};

/** The credentials of an actor, as the variables that the providers read. */
function account(actor: Actor): { OVH_CLIENT_ID: pulumi.Output<string>; OVH_CLIENT_SECRET: pulumi.Output<string> } {
    const name = `llm-serving-${pulumi.getStack()}-${actor}`;
    const client = new ovh.me.APIOAuth2Client(
        actor,
        { name, description: uses[actor], flow: "CLIENT_CREDENTIALS" },
        { additionalSecretOutputs: ["clientSecret"] },
    );
    new ovh.iam.Policy(actor, {
        name,
        description: uses[actor],
        identities: [client.identity],
        resources: [`urn:v1:${plate}:resource:publicCloudProject:${projectId}`],
        allows: actions[actor].map((action) => actionPrefix + action),
    });
    return { OVH_CLIENT_ID: client.clientId, OVH_CLIENT_SECRET: pulumi.secret(client.clientSecret) };
}

export const accounts = Object.fromEntries(actors.map((actor) => [actor, account(actor)]));
