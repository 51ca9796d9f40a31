import { assertFreshBuild } from "./process/fresh-build";

assertFreshBuild(__dirname);

export { App, AppReady, Authorization, DataSync, Token } from "./resources";
export { ApiError } from "./errors/request-errors";
export { apiAddresses, checkCredentials, connect, type Connection } from "./program";
export type { ApiAddresses } from "./api/credentials";
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
export type { AppState } from "./app/live";
export type { Flavor, Quota, Region } from "./api/offer";
export type { DataSyncState } from "./data-sync/lifecycle";
