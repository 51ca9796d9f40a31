import type { ModelSettings } from "./schema";

/** The model's `--max-num-seqs`, from its setting or its extra arguments; undefined when neither names it. */
export function givenMaxNumSeqs(vllm: ModelSettings["vllm"]): number | undefined {
    const words = vllm.extraArgs.flatMap((word) => word.split(/[= ]/));
    const index = words.findIndex((word) => /^--max[-_]num[-_]seqs$/.test(word));
    const given = index < 0 ? NaN : Number(words[index + 1]);
    return given > 0 ? given : vllm.maxNumSeqs;
}

/**
 * Requests that one replica runs at once at most: what is set, else vLLM's own default of a server, which goes by the
 * GPU's memory: 1024 from 70 GiB up, the A100 excepted, else 256 (vllm/engine/arg_utils.py, 0.13.0 and 0.33.0).
 */
export function maxNumSeqs({ vllm, flavor }: Pick<ModelSettings, "vllm" | "flavor">): number {
    return givenMaxNumSeqs(vllm) ?? (/^(h100|h200|b200)-/.test(flavor) ? 1024 : 256);
}
