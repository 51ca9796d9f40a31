import type { VllmVersion } from "./versions";

/**
 * What vLLM 0.13.0 knows by name where its command line takes any text, so that a wrong one ends the server only once it
 * starts. Keys are the options. Source: tool parsers in vllm/entrypoints/openai/tool_parsers, load formats in
 * vllm/model_executor/model_loader, the rest in vllm/config/model.py and vllm/model_executor/layers/quantization.
 */
export const namedChoices: Record<string, readonly string[]> = {
    "--tool-call-parser": words(
        "deepseek_v3 deepseek_v31 deepseek_v32 ernie45 gigachat3 glm45 granite granite-20b-fc hermes hunyuan_a13b internlm " +
            "jamba kimi_k2 llama3_json llama4_json llama4_pythonic longcat minimax minimax_m2 mistral olmo3 openai " +
            "phi4_mini_json pythonic qwen3_coder qwen3_xml seed_oss step3 xlam",
    ),
    "--tokenizer-mode": words("auto hf slow mistral deepseek_v32"),
    "--load-format": words(
        "auto hf bitsandbytes dummy fastsafetensors gguf mistral npcache pt runai_streamer runai_streamer_sharded " +
            "safetensors sharded_state tensorizer",
    ),
    "--config-format": words("auto hf mistral"),
    "--quantization": words(
        "awq deepspeedfp tpu_int8 fp8 ptpc_fp8 fbgemm_fp8 fp_quant modelopt modelopt_fp4 bitblas gguf gptq_marlin_24 " +
            "gptq_marlin gptq_bitblas awq_marlin gptq compressed-tensors bitsandbytes hqq experts_int8 ipex quark moe_wna16 " +
            "torchao auto-round rtn inc mxfp4 petit_nvfp4 cpu_gptq cpu_awq",
    ),
};

/** The versions that these names, and the table of options, are of. */
export const versionOfOptions: VllmVersion = "0.13.0";

function words(text: string): string[] {
    return text.split(" ");
}
