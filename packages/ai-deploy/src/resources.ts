import * as pulumi from "@pulumi/pulumi";
import { markLabel } from "./app/adoption-label";
import type { AppArgs, AppInputs, AppLeftoversArgs, AppReadyArgs } from "./app/args";
import type { AppState } from "./app/live";
import type { AuthorizationArgs } from "./authorization/args";
import type { DataSyncArgs } from "./data-sync/args";
import type { DataSyncState } from "./data-sync/lifecycle";
import type { TokenArgs } from "./token/args";

type Kind = "app" | "appReady" | "appLeftovers" | "token" | "authorization" | "dataSync";

/**
 * What Pulumi's provider process runs, as it lies in the state of every resource: a module whose handler finds today's
 * code by the package's name.
 *
 * `pulumi.dynamic.Resource` would serialize an object of closures to the same effect: some two kilobytes per resource
 * that change with compiler and SDK, and need a TypeScript compiler at run time. This text never changes, so an update of
 * this package is no change of a stack, and it can hold neither old code nor a secret.
 */
export function stub(kind: Kind): string {
    return `exports.handler = () => require("pulumi-ovh-ai-deploy/dist/provider").${kind};`;
}

/** A resource that Pulumi's own dynamic provider for Node serves. */
abstract class AiDeployResource extends pulumi.CustomResource {
    constructor(kind: Kind, name: string, props: object, opts?: pulumi.CustomResourceOptions) {
        super(typeOf(kind), name, { ...props, __provider: stub(kind) }, opts);
    }
}

/** `pulumi-nodejs:dynamic/ovh-ai-deploy:DataSync` */
function typeOf(kind: Kind): string {
    return `pulumi-nodejs:dynamic/ovh-ai-deploy:${kind[0].toUpperCase()}${kind.slice(1)}`;
}

/**
 * An app on OVHcloud AI Deploy: a container on GPUs or CPUs behind an HTTPS address, with scaling.
 * Created, changed and deleted with waits; billed per minute while it runs.
 *
 * A replacement deletes the old app before it creates the new one, so that no GPU is ever paid twice and a quota of one
 * suffices. The option `deleteBeforeReplace: false` turns that round.
 */
export class App extends AiDeployResource {
    /** Id at the platform. */
    readonly appId!: pulumi.Output<string>;
    /** Public address as the platform gives it, such as `https://ID.app.gra.ai.cloud.ovh.net`. */
    readonly url!: pulumi.Output<string>;
    /** The platform's own dashboard of the app. */
    readonly monitoringUrl!: pulumi.Output<string>;
    /** When last looked at; `UNKNOWN` after a creation whose outcome could not be learnt. */
    readonly state!: pulumi.Output<AppState | "UNKNOWN">;
    /** Replicas that were ready when last looked at; a change of it is never a difference. */
    readonly availableReplicas!: pulumi.Output<number>;
    /** Goes up with each call that restarts replicas: what `AppReady` waits again for. Undefined in states of 0.1. */
    readonly revision!: pulumi.Output<number | undefined>;
    readonly name!: pulumi.Output<string>;
    readonly region!: pulumi.Output<string>;
    readonly image!: pulumi.Output<string>;
    readonly labels!: pulumi.Output<Record<string, string> | undefined>;
    readonly scalingStrategy!: pulumi.Output<AppInputs["scalingStrategy"]>;
    /** Value of the app's label `pulumi-adoption-id`: the input and a mark of this resource in this stack. */
    readonly adoptionLabel!: pulumi.Output<string>;

    constructor(name: string, args: AppArgs, opts?: pulumi.CustomResourceOptions) {
        const computed = {
            appId: undefined,
            url: undefined,
            monitoringUrl: undefined,
            state: undefined,
            availableReplicas: undefined,
            revision: undefined,
        };
        const adoptionLabel = labelOf(name, args.adoptionLabel, opts?.parent);
        const options = { deleteBeforeReplace: true, ...opts };
        const replaceFirst = options.deleteBeforeReplace ? undefined : true;
        super("app", name, { ...computed, ...args, replaceFirst, adoptionLabel }, options);
    }
}

/** The adoption label of the app that has this name and parent. */
function labelOf(name: string, label: pulumi.Input<string>, parent?: pulumi.Resource): pulumi.Output<string> {
    return pulumi.all([label, urnOf(name, parent)]).apply(([given, urn]) => markLabel(given, urn));
}

/**
 * The URN that an app will have. Not from the parent as a resource: a component's outputs stand for all its children,
 * the app itself among them, and what is made of them waits for these.
 */
function urnOf(name: string, parent: pulumi.Resource | undefined): pulumi.Output<string> {
    const urn = parent && new Promise<string>((resolve) => void parent.urn.apply(resolve));
    return pulumi.createUrn(name, typeOf("app"), urn);
}

/**
 * A wait until an app serves, for a program whose other resources are not to wait for it: the `App` has
 * `waitUntilRunning: false`, and this comes last, with `dependsOn` for what is to stand before. It fails as the app does,
 * with the platform's message and the last lines of the log. What failed is waited for again by the next `up`, and so is an
 * app whose replicas were restarted. Deleting it changes nothing.
 */
export class AppReady extends AiDeployResource {
    /** At the end of the wait. */
    readonly state!: pulumi.Output<AppState>;

    constructor(name: string, args: AppReadyArgs, opts?: pulumi.CustomResourceOptions) {
        super("appReady", name, { state: undefined, ...args }, opts);
    }
}

/**
 * What a run that was killed while it made an app may have left: an app that is billed and that no state knows. It has the
 * name, the parent and the `adoptionLabel` of its `App`, which depends on it. Made, it does nothing; deleted, which is after its
 * app, it deletes what carries the app's label and belongs to nobody. So `pulumi destroy` leaves no app, also where no `up` has
 * found it before. Give it the options `protect` and `retainOnDelete` of its app: one that is to outlive the state is not to be
 * taken for a leftover.
 */
export class AppLeftovers extends AiDeployResource {
    constructor(name: string, args: AppLeftoversArgs, opts?: pulumi.CustomResourceOptions) {
        const adoptionLabel = labelOf(name, args.adoptionLabel, opts?.parent);
        super("appLeftovers", name, { ...args, adoptionLabel }, opts);
    }
}

/**
 * A token for apps of the project. Its value is secret. A change of `rotation` makes another value, beside which the old
 * one works on for `overlapSeconds`; a change of name, region, role or selector replaces the token.
 */
export class Token extends AiDeployResource {
    /** The bearer token; secret. */
    readonly value!: pulumi.Output<string>;
    /** Id of the token that has the value; the resource's own id is that of the first. */
    readonly tokenId!: pulumi.Output<string>;
    /** Tokens with the values of before, which still work, and when each was followed by the next. */
    readonly previous!: pulumi.Output<{ id: string; followedAt: string }[] | undefined>;
    /** Goes up with each renewal in place. */
    readonly version!: pulumi.Output<number>;
    readonly name!: pulumi.Output<string>;
    readonly role!: pulumi.Output<string>;
    readonly labelSelector!: pulumi.Output<string | undefined>;

    constructor(name: string, args: TokenArgs, opts?: pulumi.CustomResourceOptions) {
        const secret = pulumi.mergeOptions(opts, { additionalSecretOutputs: ["value"] });
        const computed = { value: undefined, tokenId: undefined, version: undefined, previous: undefined };
        super("token", name, { ...computed, ...args }, secret);
    }
}

/**
 * The permission of OVHcloud's AI Solutions to work in the project, which must stand before the first app. One per
 * project. Deleting it changes nothing: the API cannot revoke it.
 */
export class Authorization extends AiDeployResource {
    readonly authorized!: pulumi.Output<boolean>;

    constructor(name: string, args: AuthorizationArgs = {}, opts?: pulumi.CustomResourceOptions) {
        super("authorization", name, { authorized: undefined, ...args }, opts);
    }
}

/**
 * One run of an app's data synchronization between its volumes and object storage, waited for. Another `trigger` runs
 * another. Deleting it changes nothing.
 */
export class DataSync extends AiDeployResource {
    /** Id at the platform; the same as the resource's id. */
    readonly syncId!: pulumi.Output<string>;
    readonly state!: pulumi.Output<DataSyncState>;

    constructor(name: string, args: DataSyncArgs, opts?: pulumi.CustomResourceOptions) {
        super("dataSync", name, { syncId: undefined, state: undefined, ...args }, opts);
    }
}
