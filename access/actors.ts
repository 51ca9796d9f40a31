/**
 * Who calls OVHcloud for a stack, and the IAM actions that each needs: no more, and no fewer. Held to the calls that were
 * recorded (test/access). Names without the prefix that all of them have.
 */
export const actors = ["preview", "drift", "schedule", "deploy"] as const;
export type Actor = (typeof actors)[number];

/** What every action of a Public Cloud project begins with. */
export const actionPrefix = "publicCloudProject:apiovh:";

/**
 * What a preview asks. All are reads but one: a kubeconfig is fetched by a POST, and it is the cluster administrator's, since OVHcloud
 * has no other (docs/security.md).
 */
const preview = [
    "ai/app/get",
    "ai/capabilities/quota/get",
    "ai/capabilities/region/flavor/get",
    "ai/capabilities/region/get",
    "capabilities/kube/flavors/get",
    "kube/get",
    "kube/kubeconfig/create",
    "kube/nodepool/get",
];

/** A refresh reads each resource, too. */
const drift = [...preview, "ai/authorization/get", "ai/token/get"];

/** IAM actions by who calls. */
export const actions: Record<Actor, readonly string[]> = {
    /** `pulumi preview`, of pull requests and before a deployment. */
    preview,
    /** `pulumi preview --refresh`, nightly. */
    drift,
    /** Changes how many replicas there are by the hour, stops apps, by their lease or a limit of spend, and starts these again. */
    schedule: ["ai/app/get", "ai/app/scalingstrategy/edit", "ai/app/start", "ai/app/stop"],
    /** `pulumi up` and `pulumi destroy`. */
    deploy: [
        ...drift,
        "ai/app/create",
        "ai/app/delete",
        "ai/app/edit",
        "ai/app/label/edit",
        "ai/app/log/get",
        "ai/app/scalingstrategy/edit",
        "ai/app/start",
        "ai/app/stop",
        "ai/authorization/create",
        "ai/token/create",
        "ai/token/delete",
        "ai/token/renew",
        "kube/create",
        "kube/delete",
        "kube/edit",
        "kube/nodepool/create",
        "kube/nodepool/delete",
        "kube/nodepool/edit",
        "kube/privateNetworkConfiguration/edit",
        "kube/update",
        "kube/updatePolicy",
    ],
};
