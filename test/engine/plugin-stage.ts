import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { version } from "../../packages/ai-deploy/package.json";
import { checkout } from "../../sandbox/layout";
import type { ManagedKubernetes } from "../../sandbox/ovhcloud/mks";
import type { Stage } from "./stage";

export { openStage, type Stage } from "./stage";

const pluginFolder = join(checkout, "packages/ai-deploy/plugin");
export const pluginExecutable = join(pluginFolder, "pulumi-resource-ovh-ai-deploy");

/** Puts the plugin of packages/ai-deploy where the stage's engine looks for it. */
export function installPlugin(stage: Stage): void {
    const plugins = join(stage.layout.pulumiHome, "plugins");
    mkdirSync(plugins, { recursive: true });
    symlinkSync(pluginFolder, join(plugins, `resource-ovh-ai-deploy-v${version}`));
}

const fail = (): never => {
    throw new Error("this stage has no clusters");
};

/** For programs that make none. */
export const noClusters: ManagedKubernetes = {
    create: fail,
    kubeconfig: fail,
    resetKubeconfig: fail,
    scale: fail,
    resume: fail,
    delete: fail,
};
