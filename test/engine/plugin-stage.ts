import { mkdirSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { version } from "../../packages/ai-deploy/package.json";
import { checkout } from "../../sandbox/layout";
import type { ManagedKubernetes } from "../../sandbox/ovhcloud/mks";
import type { Stage } from "./stage";

export { openStage, type Stage } from "./stage";

export const pluginExecutable = join(checkout, "packages/ai-deploy/plugin/pulumi-resource-ovh-ai-deploy");

/** Puts the plugin of packages/ai-deploy where the stage's engine looks for it. */
export function installPlugin(stage: Stage): void {
    // A folder of its own: the engine passes over those that are links.
    const folder = join(stage.layout.pulumiHome, "plugins", `resource-ovh-ai-deploy-v${version}`);
    mkdirSync(folder, { recursive: true });
    symlinkSync(pluginExecutable, join(folder, basename(pluginExecutable)));
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
