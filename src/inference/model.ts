import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { App, AppLeftovers, AppReady, Token, type AppArgs, type TokenArgs } from "pulumi-ovh-ai-deploy";
import { replicaRange } from "../hours/schedule";
import { leaseEnded } from "../hours/wanted";
import { maySleep, secondsToSleep, type LimitsSettings, type ModelSettings } from "../settings";
import { apiAddresses } from "../service-account";
import { transformed, type Transform } from "../transform";
import { maxNumSeqs } from "../vllm/limits";
import { appArgs, leftoversArgs, platformMonitoringUrl, readyArgs, tokenArgs } from "./app-args";
import { appHours, hoursArgs, isControlled } from "./app-hours";
import { foreseen } from "./foreseen";

export interface ModelTransforms {
    app?: Transform<AppArgs>;
    scrapeToken?: Transform<TokenArgs>;
    clientToken?: Transform<TokenArgs>;
}

export interface ModelArgs {
    settings: ModelSettings;
    /** Of spend. Default: none. */
    limits?: LimitsSettings;
    /** Public Cloud project. */
    projectId: string;
    huggingFaceToken: pulumi.Input<string>;
    /** Whether the model's environment variables are secrets too. */
    secretEnv: boolean;
    /** The project's permission to use AI Solutions, which must stand before the first app. */
    authorization: pulumi.Resource;
    transform?: ModelTransforms;
}

/** One moment for the whole run. */
const now = new Date();

/** What a request names as its model. */
function servedModel({ model, vllm }: ModelSettings): string {
    return vllm.servedModelName ?? model;
}

/**
 * One model served by vLLM on AI Deploy: the app, a token for Prometheus and one for the API's clients. They are there once
 * the platform has taken the app and given it an address; that it serves is waited for by `awaitRunning`.
 */
export class Model extends pulumi.ComponentResource {
    readonly app: App;
    readonly appId: pulumi.Output<string>;
    /** Public address as the platform gives it, without a path. */
    readonly url: pulumi.Output<string>;
    /** What OpenAI clients take as `base_url`. */
    readonly openAiBaseUrl: pulumi.Output<string>;
    readonly platformMonitoringUrl: pulumi.Output<string>;
    /** Bearer token for the API's clients; secret. */
    readonly clientToken: pulumi.Output<string>;
    /** Bearer token for Prometheus; secret. */
    readonly scrapeToken: pulumi.Output<string>;
    readonly settings: ModelSettings;
    private readonly limits: LimitsSettings;
    private readonly name: string;
    private readonly projectId: string;

    constructor(name: string, args: ModelArgs, opts?: pulumi.ComponentResourceOptions) {
        super("ovhcloud-llm-serving:inference:Model", name, {}, opts);
        const { settings, projectId, authorization, transform = {} } = args;
        const child: pulumi.CustomResourceOptions = { parent: this, dependsOn: authorization };

        const adoption = new random.RandomId(`${name}-adoption`, { byteLength: 8 }, { parent: this });
        const env = args.secretEnv
            ? Object.fromEntries(Object.entries(settings.env).map(([key, value]) => [key, pulumi.secret(value)]))
            : settings.env;
        const { huggingFaceToken } = args;
        const context = { name, projectId, huggingFaceToken, adoptionLabel: adoption.hex, env };
        const kept = { ...child, protect: settings.protect, deleteBeforeReplace: !settings.replaceFirst };
        this.limits = args.limits ?? {};
        const given = { ...appArgs(settings, context), ...hoursArgs(settings, this.limits, now) };
        const [, own, ownOpts] = transformed(transform.app, name, given, kept);
        const { protect, retainOnDelete } = ownOpts;
        const like = { ...child, protect, retainOnDelete };
        const leftovers = new AppLeftovers(name, leftoversArgs(settings, name, own), like);
        this.app = new App(name, own, pulumi.mergeOptions(ownOpts, { dependsOn: leftovers }));
        const token = (purpose: "scrape" | "client", own: Transform<TokenArgs> | undefined) =>
            new Token(...transformed(own, `${name}-${purpose}`, tokenArgs(settings, purpose, context), child));
        const scrape = token("scrape", transform.scrapeToken);
        const client = token("client", transform.clientToken);

        this.settings = settings;
        this.name = name;
        this.projectId = projectId;
        this.appId = foreseen(this.app, this.app.appId, { kind: "App", name, output: "appId" });
        this.url = foreseen(this.app, this.app.url, { kind: "App", name, output: "url" });
        this.openAiBaseUrl = pulumi.interpolate`${this.url}/v1`;
        this.platformMonitoringUrl = this.appId.apply((id) => platformMonitoringUrl(settings.region, id));
        const value = (purpose: string, of: Token, rotation: string | undefined) =>
            foreseen(of, of.value, { kind: "Token", name: `${name}-${purpose}`, output: "value", given: { rotation } });
        this.clientToken = pulumi.secret(value("client", client, settings.tokens.clientRotation));
        this.scrapeToken = pulumi.secret(value("scrape", scrape, settings.tokens.scrapeRotation));
        this.registerOutputs(this.outputs());
    }

    /**
     * Waits until the model serves, and fails with what the app says when it does not. To be called last, after what
     * `dependsOn` names: once a resource has failed Pulumi makes no other, and a model that is gated, or waits for a GPU,
     * is to keep nothing else from being there and watched.
     */
    awaitRunning(dependsOn: pulumi.Input<pulumi.Resource>[]): void {
        if (this.isStopped) return;
        const { mayBeStoppedBy } = hoursArgs(this.settings, this.limits, now);
        const context = { name: this.name, projectId: this.projectId };
        const args = { ...readyArgs(this.settings, context, this.app), mayBeStoppedBy };
        new AppReady(this.name, args, { parent: this, dependsOn });
    }

    /** By its settings, or since its lease has ended. */
    private get isStopped(): boolean {
        return this.settings.desiredState === "STOPPED" || leaseEnded(this.settings.lease, now);
    }

    /** What the controller needs to keep this model; undefined where there is nothing to keep. */
    controlled() {
        const { replicas, schedule, lease } = this.settings;
        const hours = appHours(this.settings, this.limits);
        if (!hours || !isControlled(this.settings, this.limits)) return undefined;
        return { name: this.name, appId: this.appId, ...hours, replicas, schedule, lease };
    }

    /** What the monitoring needs to scrape this model and to judge it. */
    monitored() {
        const { region, image, scaling, targets, scrape } = this.settings;
        return {
            url: this.url,
            served: servedModel(this.settings),
            scrapeToken: this.scrapeToken,
            labels: scrape.labels,
            app: this.appId,
            region,
            image,
            replicas: replicaRange(this.settings),
            scaling,
            maxNumSeqs: maxNumSeqs(this.settings),
            targets,
            sleep: maySleep(this.settings) ? this.sleep() : undefined,
            desiredState: this.isStopped ? ("STOPPED" as const) : this.settings.desiredState,
            controlled: this.controlled() && { lease: this.settings.lease !== undefined },
            frontDoor: this.settings.frontDoor !== undefined,
        };
    }

    /** Where and when to look whether it sleeps, which nobody may ask the model itself. */
    private sleep() {
        const after = secondsToSleep(this.settings);
        return {
            after,
            api: apiAddresses(),
            project: this.projectId,
            app: this.appId,
        };
    }

    /** What the stack shows of this model. */
    outputs() {
        return {
            /** What a request names as its model. */
            model: servedModel(this.settings),
            appId: this.appId,
            appUrl: this.url,
            openAiBaseUrl: this.openAiBaseUrl,
            platformMonitoringUrl: this.platformMonitoringUrl,
            clientToken: this.clientToken,
        };
    }
}
