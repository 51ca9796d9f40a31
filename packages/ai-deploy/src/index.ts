import { assertFreshBuild } from "./build";

assertFreshBuild(__dirname);

export { checkCredentials } from "./program-credentials";
export { App, AppReady, Authorization, DataSync, Token } from "./resources";
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
    AuthorizationArgs,
    AuthorizationInputs,
    CustomMetrics,
    DataStore,
    DataSyncArgs,
    DataSyncInputs,
    DeploymentStrategy,
    Probe,
    Resources,
    ScalingStrategy,
    TokenArgs,
    TokenInputs,
    Volume,
} from "./args";
export type { AppState } from "./app-spec";
export type { Flavor, Quota, Region } from "./capabilities";
export type { DataSyncState } from "./data-sync";
