import { iam, me } from "@ovhcloud/pulumi-ovh";
import * as pulumi from "@pulumi/pulumi";
import { endpoint } from "pulumi-ovh-ai-deploy";
import { transformed, type Transform } from "./transform";

/** Where a program in the cluster finds OVHcloud's API. */
export function apiAddresses(): { baseUrl: string; tokenUrl: string } {
    // Without an endpoint nothing could be made anyway: then it is a preview of new resources.
    const { baseUrl, tokenUrl } = endpoint() ?? {
        baseUrl: "https://eu.api.ovh.com/v1",
        tokenUrl: "https://www.ovh.com/auth/oauth2/token",
    };
    return { baseUrl, tokenUrl };
}

export interface ServiceAccountArgs {
    /** What it is for, as the end of its name at OVHcloud. */
    role: string;
    /** Shown at OVHcloud, with the stack's name behind it. */
    description: string;
    /** What it may do with the project's apps, such as `get`; it may do nothing else. */
    appActions: string[];
    projectId: string;
    transform?: { client?: Transform<me.APIOAuth2ClientArgs>; policy?: Transform<iam.PolicyArgs> };
}

/** An OAuth2 client of OVHcloud, and the policy that lets it do what it is for. */
export function serviceAccount(
    name: string,
    { role, description, appActions, projectId, transform = {} }: ServiceAccountArgs,
    opts: pulumi.CustomResourceOptions = {},
): { clientId: pulumi.Output<string>; clientSecret: pulumi.Output<string> } {
    const whose = `${pulumi.getProject()}-${pulumi.getStack()}`;
    const common = { name: `${whose}-${role}`, description: `${description} (stack ${whose})` };
    const account = { ...common, flow: "CLIENT_CREDENTIALS" };
    const client = new me.APIOAuth2Client(...transformed(transform.client, name, account, opts));
    const policy = {
        ...common,
        identities: [client.identity],
        resources: [`urn:v1:${endpoint()?.plate ?? "eu"}:resource:publicCloudProject:${projectId}`],
        allows: appActions.map((action) => `publicCloudProject:apiovh:ai/app/${action}`),
    };
    new iam.Policy(...transformed(transform.policy, name, policy, opts));
    return { clientId: client.clientId, clientSecret: client.clientSecret };
}
