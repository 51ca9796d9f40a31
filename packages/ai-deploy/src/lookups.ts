import * as pulumi from "@pulumi/pulumi";
import type { OvhClient } from "./api/client";
import { flavorsPath, quotaPath, regionsPath, type Flavor, type Quota, type Region } from "./api/offer";
import { listApps } from "./app/list";
import { goingStates } from "./app/live";
import { connect, projectOr } from "./program";
import type { Inputs } from "./values/inputs";

export interface LookupArgs {
    /** Public Cloud project id. Default: stack config `ovh:serviceName`, else `OVH_CLOUD_PROJECT_SERVICE`. */
    serviceName?: string;
}

export interface GetFlavorsArgs extends LookupArgs {
    /** AI Deploy region, such as `GRA`. */
    region: string;
}

export interface GetAppArgs extends LookupArgs {
    /** Labels that the app carries, all of them. */
    labels: Record<string, string>;
}

/** An app as the platform shows it, whoever made it. */
export interface GetAppResult {
    appId: string;
    name: string;
    region: string;
    image: string;
    labels: Record<string, string>;
    /** Public address. */
    url: string;
    monitoringUrl: string;
    state: string;
    /** Replicas that are ready. */
    availableReplicas: number;
}

/** The regions that have AI Deploy. */
export function getRegions(args: LookupArgs = {}): Promise<Region[]> {
    return look("regions", args, (api, project) => api.get(regionsPath(project)));
}

/** `getRegions` for arguments that are outputs. */
export function getRegionsOutput(args: OutputArgs<LookupArgs> = {}): pulumi.Output<Region[]> {
    return pulumi.output(args).apply((known) => getRegions(known));
}

/** The flavors of a region, with the most units that a replica may have of each. */
export function getFlavors(args: GetFlavorsArgs): Promise<Flavor[]> {
    return look(`flavors of ${args.region}`, args, (api, project) => api.get(flavorsPath(project, args.region)));
}

/** `getFlavors` for arguments that are outputs. */
export function getFlavorsOutput(args: OutputArgs<GetFlavorsArgs>): pulumi.Output<Flavor[]> {
    return pulumi.output(args).apply((known) => getFlavors(known));
}

/** What the project may use at once. */
export function getQuota(args: LookupArgs = {}): Promise<Quota> {
    return look("quota", args, (api, project) => api.get(quotaPath(project)));
}

/** `getQuota` for arguments that are outputs. */
export function getQuotaOutput(args: OutputArgs<LookupArgs> = {}): pulumi.Output<Quota> {
    return pulumi.output(args).apply((known) => getQuota(known));
}

/** The one app with these labels. None, or more than one, is an error. */
export async function getApp(args: GetAppArgs): Promise<GetAppResult> {
    const wanted = Object.entries(args.labels);
    const text = wanted.map(([name, value]) => `${name}=${value}`).join(",");
    const listed = await look(`apps with ${text}`, args, (api, project) =>
        listApps((path) => api.get(path), project, text),
    );
    const found = listed.filter(
        ({ spec, status }) =>
            wanted.every(([name, value]) => spec.labels?.[name] === value) && !goingStates.includes(status.state),
    );
    if (found.length !== 1) {
        const ids = found.map(({ id, spec }) => `${spec.name} (${id})`).join(", ");
        throw new Error(
            found.length === 0
                ? `getApp: no app has the labels ${text}: check them, or create the app first`
                : `getApp: ${found.length} apps have the labels ${text}: ${ids}. Give labels that only one has`,
        );
    }
    const [{ id, spec, status }] = found;
    return {
        appId: id,
        name: spec.name,
        region: spec.region,
        image: spec.image,
        labels: spec.labels ?? {},
        url: status.url ?? "",
        monitoringUrl: status.monitoringUrl ?? "",
        state: status.state,
        availableReplicas: status.availableReplicas ?? 0,
    };
}

/** `getApp` for arguments that are outputs. */
export function getAppOutput(args: OutputArgs<GetAppArgs>): pulumi.Output<GetAppResult> {
    return pulumi.output(args).apply((known) => getApp(known));
}

type OutputArgs<T> = { [K in keyof T]: Inputs<T[K]> };

async function look<T>(
    what: string,
    { serviceName }: LookupArgs,
    question: (api: OvhClient, project: string) => Promise<T>,
): Promise<T> {
    const project = projectOr(serviceName);
    const { client, explain } = connect();
    try {
        return await question(client, project);
    } catch (error) {
        throw explain(error, `looking up ${what}`);
    }
}
