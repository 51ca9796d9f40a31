import { abbreviated, argumentFaults, optionOf } from "../../vllm/arguments";
import { versionOfOptions } from "../../vllm/choices";
import { vllmVersionOf } from "../../vllm/versions";
import { modelSchema } from "../schema";
import type { CrossFault, ReadModel } from "./config";

/** Faults of `vllm.extraArgs`: one for each word at most. */
export function extraArgumentFaults(model: ReadModel): CrossFault[] {
    const { vllm, image } = model.settings;
    const words = vllm?.extraArgs ?? [];
    const fixes = new Map<number, string>();
    const known = image !== undefined && vllmVersionOf(image) === versionOfOptions;
    for (const { index, fix } of known ? argumentFaults(words) : []) fixes.set(index, fix);
    for (const [index, word] of words.entries()) {
        const fix = overridingFix(word, model.name);
        if (fix) fixes.set(index, fix);
    }
    const faults = [...fixes]
        .sort(([a], [b]) => a - b)
        .map(([index, fix]) => ({ path: model.at("vllm", "extraArgs", index), ...secretWord(words[index]), fix }));
    return faults.length > 0 ? faults : gpuFaults(model, words);
}

/** How a word is shown that has a secret in it. */
function secretWord(word: string): { found?: string } {
    const [, option] = /^(--(?:api|hf)[-_](?:key|token))[=\s]/.exec(word) ?? [];
    return option ? { found: JSON.stringify(`${option}=[secret]`) } : {};
}

/** What is right in place of an option that would undo what the settings or the platform go by. */
function overridingFix(word: string, model: string): string | undefined {
    // With a value in the same word too, which vLLM would not take.
    const name = optionOf(word.trim().split(/\s/)[0])?.name;
    if (name === undefined) return undefined;
    for (const meant of [name, ...abbreviated(name)]) {
        const setting = settingOf(meant);
        if (setting) {
            return `leave it out, with its value: pulumi config set --path models.${model}.${setting} <value>`;
        }
        const reason = undoing.find(([options]) => options.test(meant))?.[1];
        if (reason) return `leave it out, with its value: ${reason}`;
    }
    return undefined;
}

/**
 * The setting that writes this option of vLLM, which is called like it: with both, what is checked and watched would be
 * another value than the one that vLLM goes by.
 */
function settingOf(option: string): string | undefined {
    const words = /^--(?:no-)?([a-z][a-z-]*)$/.exec(option)?.[1];
    const name = words?.replace(/-+([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (name === "model" || name === "port" || name === "revision") return name;
    const known = name && name !== "extraArgs" && Object.hasOwn(modelSchema.shape.vllm.shape, name);
    return known ? `vllm.${name}` : undefined;
}

/** Options that would take the server away from the platform, its clients or the monitoring. */
const undoing: [options: RegExp, reason: string][] = [
    [/^--(host|uds)$/, "the platform reaches vLLM by the network, on every address"],
    [/^--root-path$/, "probes, autoscaler and monitoring ask for the paths as they are"],
    [/^--(ssl-.+|(no-)?enable-ssl-refresh)$/, "TLS ends at the platform's gateway, which speaks plain HTTP to vLLM"],
    [/^--api-key$/, "the gateway asks for a token already, in the same header, and the readiness probe would get 401"],
    [/^--hf-token$/, "huggingFaceToken is given to vLLM as HF_TOKEN, and is stored encrypted"],
    [/^(--api-server-count|-asc)$/, "with several servers the metrics are those of one of them"],
    [/^--disable-log-stats$/, "it takes every metric away that the autoscaler and the monitoring go by"],
    [/^--config$/, "what is in the file could not be checked; write its options here"],
    [
        /^--shutdown-timeout$/,
        "drain gives it, by deploymentStrategy.terminationGracePeriodSeconds, to the versions that have it",
    ],
    [/^(-h|--help)$/, "vLLM would print its help and end"],
    [
        /^--(headless|nnodes|node-rank|master-addr|master-port|data-parallel-(rank|start-rank|address|rpc-port|size-local))$/,
        "a replica is one container and knows of no other",
    ],
];

const parallel = /^(--(tensor|pipeline|data)-parallel-size|-tp|-pp|-dp)$/;

/** Sizes that leave GPUs idle, which are paid, or ask for more than there are. */
function gpuFaults({ settings: { gpus }, at }: ReadModel, words: string[]): CrossFault[] {
    const sizes = words.flatMap((word, index) => {
        const option = optionOf(word);
        return option && parallel.test(option.name) ? [{ index, size: Number(option.value ?? words[index + 1]) }] : [];
    });
    const used = sizes.reduce((product, { size }) => product * size, 1);
    if (gpus === undefined || sizes.length === 0 || Number.isNaN(used) || used === gpus) return [];
    const fix = `give sizes that come to the GPUs of a replica, of which gpus names ${gpus}: these come to ${used}`;
    return [{ path: at("vllm", "extraArgs", sizes[0].index), fix }];
}
