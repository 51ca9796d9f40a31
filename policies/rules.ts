import type { Cost } from "../src/prices/cost";
import { exactImage, isEverywhere } from "../src/settings/formats";
import { advisoriesOf } from "../src/vllm/advisories";
import type { Allowed, Exception } from "./allowed";

/** A resource as the engine hands it to a policy. */
export interface Resource {
    type: string;
    /** Logical name. */
    name: string;
    props: Record<string, any>;
    protect: boolean;
}

/** A policy on single resources: what is wrong with one, a sentence each; nothing for a resource that is none of its business. */
export type Rule = (resource: Resource, allowed: Allowed) => string[];

const stack = "pulumi:pulumi:Stack";
const app = "pulumi-nodejs:dynamic/ovh-ai-deploy:App";
const token = "pulumi-nodejs:dynamic/ovh-ai-deploy:Token";
const cluster = "ovh:CloudProject/kube:Kube";
const release = "kubernetes:helm.sh/v3:Release";
const service = "kubernetes:core/v1:Service";

/** Rules by the name of their policy. */
export const rules = {
    "pinned-image": ({ type, props }, { digests }) => {
        if (type !== app) return [];
        const { image } = props as { image: string };
        if (!exactImage.test(image)) return [`image "${image}" can become another one: name its exact version`];
        if (!digests || (/:[\w.-]+@sha256:/.test(image) && exactImage.test(image))) return [];
        return [
            `image "${image}" names ${image.includes("@") ? "no version" : "no digest"}: give both, NAME:VERSION@sha256:...`,
        ];
    },

    "pinned-chart": ({ type, props }) => {
        if (type !== release) return [];
        const { chart, version } = props as { chart?: string; version?: string };
        // A folder or file of one's own is what it is.
        if (/^[./]|\.tgz$/.test(chart ?? "") || /^v?\d+\.\d+\.\d+/.test(version ?? "")) return [];
        return [`chart "${chart}" has ${version ? `the version "${version}"` : "no version"}: pin an exact one`];
    },

    "secured-app": ({ type, props }) =>
        type === app && props.unsecureHttp === true
            ? ["unsecureHttp is on: whoever knows the address can use the model without a token; leave it out"]
            : [],

    "token-selector": ({ type, props }) => {
        if (type !== token) return [];
        const { labelSelector } = props as { labelSelector?: string };
        if (labelSelector?.trim()) return [];
        return ["labelSelector is empty: the token opens every app of the project; name a label of the app"];
    },

    "private-grafana": ({ type, name, props }, { publicGrafana }) => {
        if (type !== service || props.spec?.type !== "LoadBalancer" || publicGrafana) return [];
        const ranges = (props.spec.loadBalancerSourceRanges ?? []) as string[];
        if (ranges.length > 0 && !ranges.some(isEverywhere)) return [];
        return [
            `the load balancer of ${name} is open to the whole internet: name who may reach it (monitoring.grafana.allowedSources)`,
        ];
    },

    "allowed-region": ({ type, props }, { regions }) => {
        if (type !== app && type !== cluster) return [];
        const { region } = props as { region: string };
        return regions.includes(region) ? [] : [`region "${region}" is not allowed: ${regions.join(", ")} are`];
    },

    "app-labels": ({ type, props }, { appLabels }) => {
        if (type !== app) return [];
        const labels = (props.labels ?? {}) as Record<string, string>;
        return appLabels
            .filter((label) => !labels[label])
            .map((label) => `the label "${label}" is not set (models.NAME.labels)`);
    },

    protected: ({ type, protect }, allowed) =>
        allowed.protect && !protect && (type === app || type === cluster)
            ? ["it is not protected from deletion: set models.NAME.protect, or cluster.protect, to true"]
            : [],
} satisfies Record<string, Rule>;

/** Descriptions of the policies, for `pulumi` and the docs. */
export const descriptions: Record<keyof typeof rules | "spend-limit" | "advisories", string> = {
    "pinned-image": "An app's image is named by an exact version; in prod by its digest as well",
    "pinned-chart": "A Helm chart is named by an exact version",
    "secured-app": "No app answers without a token",
    "token-selector": "A token opens the apps of a label, not every app of the project",
    "private-grafana": "A load balancer says who may reach it",
    "allowed-region": "Apps and clusters are in the regions that are allowed",
    "app-labels": "Every app has the labels that are asked for",
    protected: "In prod, apps and clusters are protected from deletion",
    "spend-limit": "GPUs and cost of a stack at its most replicas are below a limit",
    advisories: "No image has a known security advisory without an exception that still runs",
};

/** The advisories of an app's image that no exception covers on this day, in one sentence. */
export function openAdvisories({ type, props }: Resource, exceptions: readonly Exception[], today: string): string[] {
    if (type !== app) return [];
    const { image } = props as { image: string };
    const open = advisoriesOf(image).flatMap(({ id, fixed }) => {
        const exception = exceptions.find((one) => one.id === id);
        if (exception && exception.until >= today) return [];
        const mended = fixed === undefined ? "not mended yet" : `mended in ${fixed}`;
        return [`${id} (${exception ? `the exception ended on ${exception.until}, ` : ""}${mended})`];
    });
    return open.length === 0 ? [] : [`"${image}" has known security advisories: ${open.join(", ")}`];
}

/**
 * Why a stack may spend too much, a sentence each. Its cost is the program's own figure, the output `cost`: without a price
 * there is none, and the GPUs alone are counted.
 */
export function overspending(resources: Resource[], { mostGpus, mostPerHour }: Allowed): string[] {
    const apps = resources.filter(({ type, props }) => type === app && props.desiredState !== "STOPPED");
    const gpus = apps.reduce((sum, { props }) => sum + mostReplicas(props) * Number(props.resources?.gpu ?? 0), 0);
    const cost = resources.find(({ type }) => type === stack)?.props.cost as Cost | undefined;
    const perHour = cost?.perHour?.max ?? 0;
    const broken: string[] = [];
    if (gpus > mostGpus) broken.push(`the apps use ${gpus} GPUs, and ${mostGpus} are allowed`);
    if (perHour > mostPerHour) {
        broken.push(`the stack costs ${perHour.toFixed(2)} ${cost?.currency} an hour, and ${mostPerHour} are allowed`);
    }
    return broken.map((what) => `with as many replicas as they may have ${what}: lower a replicas.max`);
}

/** Of an app, by the scaling that it has and those that a schedule gives it at other hours. */
function mostReplicas({ scalingStrategy, otherScalings = [] }: Record<string, any>): number {
    const strategies = [scalingStrategy, ...(otherScalings as unknown[])] as (ScalingStrategy | undefined)[];
    return Math.max(...strategies.map((one) => one?.automatic?.replicasMax ?? one?.fixed?.replicas ?? 1));
}

interface ScalingStrategy {
    automatic?: { replicasMax: number };
    fixed?: { replicas: number };
}
