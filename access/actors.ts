/**
 * Who calls OVHcloud for a stack, and the IAM actions that each needs: no more, and no fewer. Held to the calls that were
 * recorded (test/access). Names without the prefix that all of them have.
 */
export const actors = ["preview", "drift", "schedule", "deploy"] as const;
export type Actor = (typeof actors)[number];

/** What every action of a Public Cloud project begins with. */
export const actionPrefix = "publicCloudProject:apiovh:";

/** Reads, and the one POST that changes nothing: it fetches a kubeconfig. */
const looks = [
    "ai/app/get",
    "ai/authorization/get",
    "ai/capabilities/quota/get",
    "ai/capabilities/region/flavor/get",
    "ai/capabilities/region/get",
    "ai/token/get",
    "capabilities/kube/flavors/get",
    "kube/get",
    "kube/kubeconfig/create",
    "kube/nodepool/get",
];

/** IAM actions by who calls. */
export const actions: Record<Actor, readonly string[]> = {
    /** `pulumi preview` of a pull request. */
    preview: looks,
    /** `pulumi preview --refresh`, nightly. */
    drift: looks,
    /** Changes how many replicas there are by the hour, and nothing else. */
    schedule: ["ai/app/get", "ai/app/scalingstrategy/edit", "ai/app/stop"],
    /** `pulumi up` and `pulumi destroy`. */
    deploy: [...looks],
};
