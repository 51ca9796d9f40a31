/** The keys that the emulated API accepts. They open nothing but this machine's sandbox. */
export const sandboxCredentials = {
    applicationKey: "sandbox-application-key",
    applicationSecret: "sandbox-application-secret",
    consumerKey: "sandbox-consumer-key",
    /** With application key and secret: may read single apps and nothing else, as an `appReaderKey` is to. */
    readerConsumerKey: "sandbox-reader-consumer-key",
    /** The console's own: what it looks at does not count for the stack's rate limit. */
    accessToken: "sandbox-access-token",
};

/** The only Public Cloud project there is; the same as in Pulumi.sandbox.yaml. */
export const sandboxProjectId = "5a4db0c55a4db0c55a4db0c55a4db0c5";
