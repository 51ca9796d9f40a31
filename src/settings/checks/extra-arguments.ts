import { modelSchema } from "../schema";
import type { CrossFault, ReadModel } from "./config";

/** Faults of `vllm.extraArgs`. */
export function extraArgumentFaults({ name: model, settings: { vllm }, at }: ReadModel): CrossFault[] {
    return (vllm?.extraArgs ?? []).flatMap((argument, index) => {
        const setting = settingOf(argument);
        if (!setting) return [];
        const fix = `leave it out, with its value: pulumi config set --path models.${model}.${setting} <value>`;
        return [{ path: at("vllm", "extraArgs", index), fix }];
    });
}

/**
 * The setting that writes this option of vLLM, which is called like it: with both, what is checked and watched would be
 * another value than the one that vLLM goes by.
 */
function settingOf(argument: string): string | undefined {
    const option = /^--(?:no[-_])?([a-z][a-z_-]*)/.exec(argument)?.[1];
    const name = option?.replace(/[-_]+([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (name === "model" || name === "port") return name;
    const known = name && name !== "extraArgs" && Object.hasOwn(modelSchema.shape.vllm.shape, name);
    return known ? `vllm.${name}` : undefined;
}
