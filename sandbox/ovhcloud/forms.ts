import { completeProbe } from "./probe";

/**
 * How the API writes an app back. The schema allows the same to be written in several ways, and nobody knows which of them
 * OVHcloud uses, nor whether it stays with it. All of them say the same:
 *
 * - `full`, the default: every field, null where there is nothing, defaults filled in
 * - `sparse`: without what is null, empty or a default; lists in another order
 * - `rewritten`: regions in small letters, images with their registry, volumes in the deprecated flat form and one of the
 *   platform's own, hidden variables, defaults of what was not asked for, other dates
 * - `mixed`: an app by itself `full`, the apps of a list `rewritten`
 */
export const forms = ["full", "sparse", "rewritten", "mixed"] as const;

export type Form = (typeof forms)[number];

type Json = Record<string, any>;

/** An app in this form. `full` is what it is given. */
export function writtenAs(app: Json, form: Form, inList: boolean): Json {
    const used = form === "mixed" ? (inList ? "rewritten" : "full") : form;
    if (used === "sparse") return { ...app, spec: sparse(app.spec as Json) };
    return used === "rewritten" ? (otherDates({ ...app, spec: rewritten(app.spec as Json) }) as Json) : app;
}

function sparse(spec: Json): Json {
    const { defaultHttpPort: port, unsecureHttp, scalingStrategy, volumes, envVars, ...rest } = spec;
    const probe = (given: Json | null): Json | null => given && without(given, completeProbe({}, port as number));
    return withoutEmpty({
        ...rest,
        defaultHttpPort: port === 8080 ? null : port,
        unsecureHttp: unsecureHttp || null,
        livenessProbe: probe(rest.livenessProbe as Json | null),
        probe: probe(rest.probe as Json | null),
        scalingStrategy: sparseScaling(scalingStrategy as Json),
        volumes: [...volumes].reverse().map(({ cache, ...volume }: Json) => (cache ? { cache, ...volume } : volume)),
        envVars: [...envVars].reverse(),
        labels: Object.fromEntries(Object.entries(rest.labels as Json).reverse()),
    }) as Json;
}

function sparseScaling({ automatic, fixed }: Json): Json | null {
    if (!automatic) return fixed.replicas === 1 ? null : { fixed };
    const windows = { scaleUpStabilizationWindowSeconds: 0, scaleDownStabilizationWindowSeconds: 300 };
    return { automatic: without(automatic as Json, windows) };
}

function rewritten(spec: Json): Json {
    const { image, region, volumes, envVars, resources, scalingStrategy, deploymentStrategy } = spec;
    const path = image.includes("/") ? image : `library/${image}`;
    const hasRegistry = /^(localhost|[^/]*[.:][^/]*)\//.test(image as string);
    const cache = { mountPath: "/platform-cache", permission: "RO", cache: true, volumeSource: { standalone: {} } };
    return {
        ...spec,
        image: hasRegistry ? image : `docker.io/${path}`,
        region: region.toLowerCase(),
        command: spec.command ?? [],
        grpcPort: spec.grpcPort ?? 0,
        partnerId: spec.partnerId ?? "",
        volumes: [cache, ...[...volumes].reverse().map(flat)],
        envVars: [...envVars].reverse().map(({ name }: Json) => ({ name, value: "******" })),
        resources: { ...resources, flavorCount: resources.flavorCount ?? (resources.gpu || null) },
        scalingStrategy: rewrittenScaling(scalingStrategy as Json),
        deploymentStrategy: {
            maxSurge: "25%",
            maxUnavailable: "25%",
            progressDeadlineSeconds: 600,
            ...deploymentStrategy,
        },
    };
}

function flat({ volumeSource, volumeTarget, mountPath, ...volume }: Json): Json {
    const { standalone, ...source } = volumeSource ?? {};
    const nothing = Object.values(source as Json).every((one) => one === null);
    return {
        ...volume,
        mountPath: `${mountPath}/`,
        volumeSource: null,
        ...source,
        ...(standalone || nothing ? { standalone: { name: "volume-1", ...standalone } } : {}),
        ...(volumeTarget ? { volumeTarget: null, targetDataStore: volumeTarget.targetDataStore } : {}),
    };
}

function rewrittenScaling({ automatic, fixed }: Json): Json {
    if (!automatic) return { fixed };
    const { cooldownPeriodSeconds, resourceType, averageUsageTarget } = automatic;
    return {
        automatic: {
            ...automatic,
            cooldownPeriodSeconds: cooldownPeriodSeconds ?? 300,
            resourceType: resourceType ?? "CPU",
            averageUsageTarget: averageUsageTarget ?? 75,
        },
    };
}

/** The same moments with six digits and an offset. */
function otherDates(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(otherDates);
    if (typeof value === "object" && value !== null) {
        return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, otherDates(one)]));
    }
    const date = typeof value === "string" && /^(\d{4}-\d\d-\d\dT[\d:]+\.\d{3})Z$/.exec(value);
    return date ? `${date[1]}000+00:00` : value;
}

/** Without the fields that are as in another object. */
function without(value: Json, other: object): Json {
    return Object.fromEntries(Object.entries(value).filter(([key, one]) => (other as Json)[key] !== one));
}

/** Without null and empty lists, at every depth. */
function withoutEmpty(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(withoutEmpty);
    if (typeof value !== "object" || value === null) return value;
    const kept = Object.entries(value).filter(([, one]) => one !== null && !(Array.isArray(one) && one.length === 0));
    return Object.fromEntries(kept.map(([key, one]) => [key, withoutEmpty(one)]));
}
