import * as pulumi from "@pulumi/pulumi";
import { serviceAccount, type ServiceAccountArgs } from "../../service-account";

/**
 * A service account that may read the project's apps and nothing else, for the relays of models that may sleep; what they are
 * given of it. Secret.
 */
export function appReader(
    name: string,
    { projectId, transform }: Pick<ServiceAccountArgs, "projectId" | "transform">,
): pulumi.Output<string> {
    const description = "Reads whether models sleep";
    const account = { role: "app-reader", description, appActions: ["get"], projectId, transform };
    const { clientId, clientSecret } = serviceAccount(name, account);
    return pulumi.secret(pulumi.interpolate`${clientId}:${clientSecret}`);
}
