import { assertFreshBuild } from "./build";

assertFreshBuild();

export { App, Authorization, Token } from "./resources";
export type {
    AppArgs,
    AppInputs,
    AuthorizationArgs,
    AuthorizationInputs,
    CustomMetrics,
    DataStore,
    DeploymentStrategy,
    Probe,
    Resources,
    ScalingStrategy,
    TokenArgs,
    TokenInputs,
    Volume,
} from "./args";
export type { AppState } from "./app-spec";
