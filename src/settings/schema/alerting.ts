import { z } from "zod";
import { ownName, plain, text } from "./values";

/** One address, as mail servers take it: Alertmanager reads it only once there is an alert to send. */
const mailAddress = plain(
    /^[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/,
    'give an address such as "ops@example.org"',
);
const secret = z.string().regex(/^\S+$/, "give the secret without spaces");
/** Address with a secret in it. */
const secretUrl = z
    .string()
    .regex(/^https?:\/\/\S+$/, "give an address, http(s)://...")
    .refine((value) => URL.canParse(value), "give an address, http(s)://...");

const webhook = z.strictObject({
    /**
     * Alerts are posted to an address of your own.
     * @change live
     */
    type: z.literal("webhook"),
    /**
     * Address that alerts are posted to; secret.
     * @change live
     */
    url: secretUrl,
});

const slack = z.strictObject({
    /**
     * A channel of Slack.
     * @change live
     */
    type: z.literal("slack"),
    /**
     * Of an incoming webhook; secret.
     * @change live
     */
    url: secretUrl,
    /**
     * By name, or by its id, which stays when it is renamed.
     * @change live
     */
    channel: plain(/^([#@]\S+|[CDG][A-Z0-9]{8,})$/, 'give a channel such as "#alerts", or its id'),
});

const email = z.strictObject({
    /**
     * One address, by a mail server of yours.
     * @change live
     */
    type: z.literal("email"),
    /**
     * One address that is written to.
     * @change live
     */
    to: mailAddress,
    /**
     * Address of the sender.
     * @change live
     */
    from: mailAddress,
    /**
     * Host and port of the mail server.
     * @change live
     */
    smarthost: text(
        /^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[1-9]\d{0,4}$/,
        'give host and port, such as "smtp.example.org:587"',
    ).refine((value) => Number(value.slice(value.lastIndexOf(":") + 1)) <= 65535, "give a port up to 65535"),
    /**
     * With `password`, or neither: a relay of one's own network may ask for no login.
     * @change live
     */
    username: z.string().min(1).optional(),
    /**
     * Secret.
     * @change live
     */
    password: secret.optional(),
});

const pagerduty = z.strictObject({
    /**
     * A service of PagerDuty.
     * @change live
     */
    type: z.literal("pagerduty"),
    /**
     * Of an integration of type Events API v2; secret.
     * @change live
     */
    routingKey: z
        .string()
        .regex(/^[A-Za-z0-9]{32}$/, "give the integration key of Events API v2, 32 letters and digits"),
});

const opsgenie = z.strictObject({
    /**
     * A team of Opsgenie.
     * @change live
     */
    type: z.literal("opsgenie"),
    /**
     * Key of an API integration; secret.
     * @change live
     */
    apiKey: secret,
    /**
     * Where the account is: `us` or `eu`.
     * @change live
     */
    region: z.enum(["us", "eu"]).optional(),
});

/** Someone who is told of alerts. What is secret of it ends in a Secret, as a file that Alertmanager reads. */
export const receiverSchema = z.discriminatedUnion("type", [webhook, slack, email, pagerduty, opsgenie], {
    error: (issue) =>
        issue.code === "invalid_union" ? "give one of webhook, slack, email, pagerduty, opsgenie" : undefined,
});

/** Who is told of alerts. Prometheus, Alertmanager and Grafana show them all the same. */
export const alertingSchema = z.strictObject({
    /**
     * Those who can be told, by name; their secrets encrypted. Each has to be in a route.
     * @default `{}`
     * @example
     * pulumi config set --path alerting.receivers.oncall.type pagerduty
     * pulumi config set --secret --path alerting.receivers.oncall.routingKey 0123456789abcdef0123456789abcdef
     * pulumi config set --path 'alerting.routes.page[0]' oncall
     */
    receivers: z.record(ownName("receiver"), receiverSchema),
    /** Names of the receivers that are told of each tier. */
    routes: z.strictObject({
        /**
         * Told when users feel it now.
         * @default `[]`
         * @change live
         */
        page: z.array(z.string()),
        /**
         * Told of what is to be looked at in working hours.
         * @default `[]`
         * @change live
         */
        ticket: z.array(z.string()),
        /**
         * Told of the rest.
         * @default `[]`
         * @change live
         */
        info: z.array(z.string()),
        /**
         * Told every 5 minutes that the monitoring lives; it is for them to raise the alarm when that ends.
         * @default `[]`
         * @change live
         */
        heartbeat: z.array(z.string()),
    }),
    /**
     * Address of the folder docs/operations as alerts link to it, without a slash at the end.
     * @default `"docs/operations"`
     * @example pulumi config set --path alerting.runbooks https://git.example.org/llm-serving/docs/operations
     * @change live
     */
    runbooks: plain(/^\S+[^\s/]$/, "give the address of the runbooks, without a slash at the end").refine(
        // As a browser reads it: Alertmanager's and Grafana's pages link to it.
        (value) => !URL.canParse(value) || /^https?:$/.test(new URL(value).protocol),
        "give an address that begins with https:// or http://",
    ),
});

export type AlertingSettings = z.output<typeof alertingSchema>;
export type Receiver = z.output<typeof receiverSchema>;
