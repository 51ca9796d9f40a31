/**
 * Every setting: its type and limits as zod reads them, and above it what it is. docs/settings.md is made of both
 * (`npm run docs`), by these tags:
 *
 * - `@unit`, where the name does not say it;
 * - `@default`: values as JSON in backticks, the one of `ministral` first where other models have another; or none, and
 *   what holds then. A test compares them with `defaults.ts`;
 * - `@example`: commands that set it. A test runs each of them, with those of the settings around it;
 * - `@change`: what a change does to what is there, in the words of the page's head. A test holds models' to the calls
 *   that the provider would make, and the cluster's to what the ovh plugin was recorded replacing;
 * - `@cost`: what of it is billed.
 */
import { z } from "zod";
import { alertingSchema } from "./alerting";
import { clusterSchema } from "./cluster";
import { limitsSchema } from "./limits";
import { modelSchema } from "./model";
import { monitoringSchema } from "./monitoring";
import { pricesSchema } from "./prices";
import { clientKey, ownName, pem, text } from "./values";

export const settingsSchema = z.strictObject({
    /**
     * Id of the Public Cloud project that everything is made in.
     * @default none: has to be set
     * @example pulumi config set projectId 0123456789abcdef0123456789abcdef
     * @change replaces everything, in the other project
     */
    projectId: text(
        /^[0-9A-Za-z][0-9A-Za-z-]{0,63}$/,
        "give the id of the Public Cloud project, 32 hexadecimal digits",
    ),
    /**
     * Access token of huggingface.co, with which each replica downloads the weights; encrypted.
     * @default none: has to be set
     * @example pulumi config set --secret huggingFaceToken hf_made_up
     * @change rolls
     */
    huggingFaceToken: z.string().regex(/^\S+$/, "give a Hugging Face access token, without spaces"),
    /**
     * The models to serve, by name. Where others are named, `ministral` has to be too: `{}` serves it beside them, `null`
     * leaves it out.
     */
    models: z.record(ownName("model"), modelSchema),
    cluster: clusterSchema,
    monitoring: monitoringSchema,
    alerting: alertingSchema,
    limits: limitsSchema,
    prices: pricesSchema,
    /**
     * Private key of `monitoring.grafana.ingress.certificate`, PEM; encrypted.
     * @default none
     * @example
     * pulumi config set --path monitoring.grafana.access ingress
     * pulumi config set --path monitoring.grafana.ingress.host grafana.example.org
     * pulumi config set --path monitoring.grafana.ingress.class nginx
     * pulumi config set --path monitoring.grafana.ingress.certificate < chain.pem
     * pulumi config set --secret grafanaTlsKey < key.pem
     * @change live
     */
    grafanaTlsKey: pem("(.+ )?PRIVATE KEY").optional(),
    /**
     * Key of OVHcloud's API that may read this project's apps and nothing else, with which the monitoring sees whether a model
     * with `replicas.min` of 0 sleeps, in place of an account that the stack makes; encrypted. docs/scaling.md tells how to make one.
     * @unit application key, its secret and consumer key, with colons between them
     * @default none: the stack makes an OAuth2 client, with a policy that lets it read apps and do nothing else
     * @example
     * pulumi config set --path models.ministral.replicas.min 0
     * pulumi config set --secret appReaderKey made-up-key:made-up-secret:made-up-consumer-key
     * @change live: relays read it for each look
     */
    appReaderKey: text(
        /^[\w-]+:[\w-]+:[\w-]+$/,
        "give an application key, its secret and the consumer key, with colons between them",
    ).optional(),
    /**
     * Keys of the consumers that front doors let in, by name; encrypted. A consumer may have one key for several models.
     * @default none
     * @example
     * pulumi config set --secret --path clientKeys.search made-up-key-of-search
     * pulumi config set --path 'models.ministral.frontDoor.clients[0]' search
     * @change live: the doors take it in within a minute or two
     */
    clientKeys: z.record(ownName("consumer"), clientKey).optional(),
    /**
     * Private key of every `frontDoor.certificate`, PEM; encrypted.
     * @default none
     * @example
     * pulumi config set --path 'models.ministral.frontDoor.clients[0]' search
     * pulumi config set --secret --path clientKeys.search made-up-key-of-search
     * pulumi config set --path models.ministral.frontDoor.certificate < chain.pem
     * pulumi config set --secret frontDoorTlsKey < key.pem
     * @change live
     */
    frontDoorTlsKey: pem("(.+ )?PRIVATE KEY").optional(),
    /**
     * OAuth2 client of OVHcloud as which the controller of schedules, leases and limits asks, in place of one that the stack
     * makes; with `controllerClientSecret`. What it has to be allowed: docs/hours.md.
     * @default none: the stack makes one, with a policy for what the controller does and nothing else
     * @example
     * pulumi config set controllerClientId EU.0123456789abcdef
     * pulumi config set --secret controllerClientSecret 0123456789abcdef
     * @change live
     */
    controllerClientId: text(/^[\w.-]+$/, "give the id of an OAuth2 client, such as EU.0123456789abcdef").optional(),
    /**
     * Its secret; encrypted.
     * @default none
     * @example
     * pulumi config set controllerClientId EU.0123456789abcdef
     * pulumi config set --secret controllerClientSecret 0123456789abcdef
     * @change live
     */
    controllerClientSecret: z.string().regex(/^\S+$/, "give the secret of an OAuth2 client, without spaces").optional(),
});

export type Settings = z.output<typeof settingsSchema>;
export { alertingSchema, receiverSchema, type AlertingSettings, type Receiver } from "./alerting";
export { clusterSchema, type ClusterSettings } from "./cluster";
export type { LimitsSettings } from "./limits";
export { frontDoor as frontDoorSchema, type FrontDoorSettings } from "./front-door";
export { modelSchema, type ModelSettings } from "./model";
export { monitoringSchema, type MonitoringSettings } from "./monitoring";
export type { PricesSettings } from "./prices";
