import { assertFreshBuild } from "./process/fresh-build";

assertFreshBuild(__dirname);

export { App, AppLeftovers, AppReady, Authorization, DataSync, Token } from "./resources";
export { ApiError } from "./errors/request-errors";
export { getPublic } from "./api/public";
export { checkCredentials, connect, endpoint, type Connection } from "./program";
export {
    getApp,
    getAppOutput,
    getFlavors,
    getFlavorsOutput,
    getQuota,
    getQuotaOutput,
    getRegions,
    getRegionsOutput,
} from "./lookups";
export type { GetAppArgs, GetAppResult, GetFlavorsArgs, LookupArgs } from "./lookups";
export type {
    AppArgs,
    AppInputs,
    AppLeftoversArgs,
    AppLeftoversInputs,
    AppReadyArgs,
    AppReadyInputs,
    CustomMetrics,
    DataStore,
    DeploymentStrategy,
    Probe,
    Resources,
    ScalingStrategy,
    Volume,
} from "./app/args";
export type { AuthorizationArgs, AuthorizationInputs } from "./authorization/args";
export type { DataSyncArgs, DataSyncInputs } from "./data-sync/args";
export type { TokenArgs, TokenInputs } from "./token/args";
export type { Endpoint } from "./api/credentials";
export type { AppState } from "./app/live";
export type { Flavor, Quota, Region } from "./api/offer";
export type { DataSyncState } from "./data-sync/lifecycle";
