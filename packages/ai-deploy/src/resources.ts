import * as pulumi from "@pulumi/pulumi";
import type { AppArgs, AuthorizationArgs, AppInputs, TokenArgs } from "./args";
import type { AppState } from "./app-spec";

/**
 * What Pulumi's provider process runs, as it lies in the state of every resource: a module whose handler finds today's
 * code by the package's name.
 *
 * `pulumi.dynamic.Resource` would serialize an object of closures to the same effect: some two kilobytes per resource
 * that change with compiler and SDK, and need a TypeScript compiler at run time. This text never changes, so an update of
 * this package is no change of a stack, and it can hold neither old code nor a secret.
 */
function stub(kind: "app" | "token" | "authorization"): string {
    return `exports.handler = () => require("pulumi-ovh-ai-deploy/dist/provider").${kind};`;
}

/** A resource that Pulumi's own dynamic provider for Node serves. */
abstract class AiDeployResource extends pulumi.CustomResource {
    constructor(
        kind: "app" | "token" | "authorization",
        type: string,
        name: string,
        props: object,
        opts?: pulumi.CustomResourceOptions,
    ) {
        super(`pulumi-nodejs:dynamic/ovh-ai-deploy:${type}`, name, { ...props, __provider: stub(kind) }, opts);
    }
}

/**
 * An app on OVHcloud AI Deploy: a container on GPUs or CPUs behind an HTTPS address, with scaling.
 * Created, changed and deleted with waits; billed per minute while it runs.
 */
export class App extends AiDeployResource {
    /** Id at the platform; the same as the resource's id. */
    readonly appId!: pulumi.Output<string>;
    /** Public address as the platform gives it, such as `https://ID.app.gra.ai.cloud.ovh.net`. */
    readonly url!: pulumi.Output<string>;
    /** The platform's own dashboard of the app. */
    readonly monitoringUrl!: pulumi.Output<string>;
    /** When last looked at. */
    readonly state!: pulumi.Output<AppState>;
    /** Replicas that were ready when last looked at; a change of it is never a difference. */
    readonly availableReplicas!: pulumi.Output<number>;
    readonly name!: pulumi.Output<string>;
    readonly region!: pulumi.Output<string>;
    readonly image!: pulumi.Output<string>;
    readonly labels!: pulumi.Output<Record<string, string> | undefined>;
    readonly scalingStrategy!: pulumi.Output<AppInputs["scalingStrategy"]>;

    constructor(name: string, args: AppArgs, opts?: pulumi.CustomResourceOptions) {
        const computed = {
            appId: undefined,
            url: undefined,
            monitoringUrl: undefined,
            state: undefined,
            availableReplicas: undefined,
        };
        super("app", "App", name, { ...computed, ...args }, opts);
    }
}

/** A token for apps of the project. Its value is secret. Replaced by any change but that of `rotation`. */
export class Token extends AiDeployResource {
    /** The bearer token; secret. */
    readonly value!: pulumi.Output<string>;
    readonly tokenId!: pulumi.Output<string>;
    /** Goes up with each renewal. */
    readonly version!: pulumi.Output<number>;
    readonly name!: pulumi.Output<string>;
    readonly role!: pulumi.Output<string>;
    readonly labelSelector!: pulumi.Output<string | undefined>;

    constructor(name: string, args: TokenArgs, opts?: pulumi.CustomResourceOptions) {
        const secret = pulumi.mergeOptions(opts, { additionalSecretOutputs: ["value"] });
        super("token", "Token", name, { value: undefined, tokenId: undefined, version: undefined, ...args }, secret);
    }
}

/**
 * The permission of OVHcloud's AI Solutions to work in the project, which must stand before the first app. One per
 * project. Deleting it changes nothing: the API cannot revoke it.
 */
export class Authorization extends AiDeployResource {
    readonly authorized!: pulumi.Output<boolean>;

    constructor(name: string, args: AuthorizationArgs = {}, opts?: pulumi.CustomResourceOptions) {
        super("authorization", "Authorization", name, { authorized: undefined, ...args }, opts);
    }
}
