import { actionPrefix, actions, actors, type Actor } from "../access/actors";

/** The token of the service account of an actor, as `OVH_ACCESS_TOKEN`. */
export const tokenOf = (actor: Actor): string => `sandbox-${actor}-token`;

/** The keys that the emulated API accepts. They open nothing but this machine's sandbox. */
export const sandboxCredentials = {
    applicationKey: "sandbox-application-key",
    applicationSecret: "sandbox-application-secret",
    consumerKey: "sandbox-consumer-key",
    /** With application key and secret: may read single apps and nothing else, as an `appReaderKey` is to. */
    readerConsumerKey: "sandbox-reader-consumer-key",
    /** The console's own: what it looks at does not count for the stack's rate limit. */
    accessToken: "sandbox-access-token",
    /** Of the networks and addresses of a cluster in a private network. */
    openStackUser: "sandbox-openstack-user",
    openStackPassword: "sandbox-openstack-password",
    /** Of those who call OVHcloud for a stack, each with its own rights. */
    accounts: actors.map((actor) => ({
        name: actor,
        accessToken: tokenOf(actor),
        actions: actions[actor].map((action) => actionPrefix + action),
    })),
};

/** The only Public Cloud project there is; the same as in Pulumi.sandbox.yaml. */
export const sandboxProjectId = "5a4db0c55a4db0c55a4db0c55a4db0c5";
