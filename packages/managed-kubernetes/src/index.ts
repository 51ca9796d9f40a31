import { assertFreshBuild } from "pulumi-ovh-ai-deploy/dist/process/fresh-build";

assertFreshBuild(__dirname);

export { HelmHistory } from "./helm-history";
export { KubernetesApi, KubernetesError, UnreachableError, type ObjectMetadata } from "./kubernetes-api";
export { ClusterContents, type ClusterContentsArgs } from "./resources";
