import { z } from "zod";
import { count, decimal, text, written } from "./values";

/** vLLM's own options; what is absent stays with vLLM's default. */
export const vllm = z.strictObject({
    /**
     * How the tokenizer is read: `auto`, `hf`, `slow`, `mistral`, `deepseek_v32` (0.13.0).
     * @default `"mistral"` with the default model, else none: vLLM's, auto
     * @example pulumi config set --path models.ministral.vllm.tokenizerMode auto
     * @change rolls
     */
    tokenizerMode: z.string().min(1).optional(),
    /**
     * In which format the weights are.
     * @default `"mistral"` with the default model, else none: vLLM's, auto
     * @example pulumi config set --path models.ministral.vllm.loadFormat auto
     * @change rolls
     */
    loadFormat: z.string().min(1).optional(),
    /**
     * In which format the model's config is.
     * @default `"mistral"` with the default model, else none: vLLM's, auto
     * @example pulumi config set --path models.ministral.vllm.configFormat auto
     * @change rolls
     */
    configFormat: z.string().min(1).optional(),
    /**
     * Lets the model choose tools; needs `toolCallParser`.
     * @default `true` with the default model, else none: vLLM's, off
     * @example pulumi config set --path models.ministral.vllm.enableAutoToolChoice false
     * @change rolls
     */
    enableAutoToolChoice: z.boolean().optional(),
    /**
     * How the model writes tool calls.
     * @default `"mistral"` with the default model, else none
     * @example pulumi config set --path models.ministral.vllm.toolCallParser hermes
     * @change rolls
     */
    toolCallParser: z.string().min(1).optional(),
    /**
     * Keeps what prompts have in common in the KV cache.
     * @default `true`
     * @example pulumi config set --path models.ministral.vllm.enablePrefixCaching false
     * @change rolls
     */
    enablePrefixCaching: z.boolean().optional(),
    /**
     * What requests name as their model; one name, else vLLM would take the others for names too.
     * @default none: the repository
     * @example pulumi config set --path models.ministral.vllm.servedModelName chat
     * @change rolls; requests by the old name are refused by the new replicas
     */
    servedModelName: written(text(/^[^\s,]+$/, "give one name, without spaces and commas")).optional(),
    /**
     * The longest prompt and answer together. The model's own maximum may need more memory than a GPU has.
     * @unit tokens
     * @default none: the model's own
     * @example pulumi config set --path models.ministral.vllm.maxModelLen 32768
     * @change rolls
     */
    maxModelLen: count.min(1).optional(),
    /**
     * Requests that a replica runs at once. `scaling.target` has to stay below it.
     * @default none: vLLM's, 1024 on an H100 and 256 on smaller ones
     * @example pulumi config set --path models.ministral.vllm.maxNumSeqs 256
     * @change rolls
     */
    maxNumSeqs: count.min(1).optional(),
    /**
     * Share of a GPU's memory that vLLM takes.
     * @unit share, 0 to 1
     * @default none: vLLM's, 0.9
     * @example pulumi config set --path models.ministral.vllm.gpuMemoryUtilization 0.85
     * @change rolls
     */
    gpuMemoryUtilization: decimal(z.number().gt(0).max(1)).optional(),
    /**
     * Any further arguments, one word each. What a setting writes has to be written by the setting.
     * @default `[]`
     * @example
     * pulumi config set --path 'models.ministral.vllm.extraArgs[0]' -- --max-num-batched-tokens
     * pulumi config set --path 'models.ministral.vllm.extraArgs[1]' 8k
     * @change rolls
     */
    extraArgs: z.array(z.string()),
});
