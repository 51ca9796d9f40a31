import { namedChoices } from "../../src/vllm/choices";
import { alternatives, limitsOf, size, type Arguments } from "./argument-parser";
import { CommandError } from "./shell";

/**
 * What vLLM (v0.13.0) refuses after it has parsed a command line and before it looks at the model: faults of single options
 * and of options together, in its order and its words. What depends on the model and the GPU is in replica.ts.
 */

const toolCallParsers = namedChoices["--tool-call-parser"];
const quantizations = namedChoices["--quantization"];

const speculativeMethods =
    `ngram medusa mlp_speculator draft_model suffix eagle eagle3 deepseek_mtp mimo_mtp glm4_moe_mtp
    ernie_mtp qwen3_next_mtp longcat_flash_mtp mtp pangu_ultra_moe_mtp`.split(/\s+/);

/** Where vLLM lies in its image. */
const packageFolder = "/usr/local/lib/python3.12/dist-packages/vllm";

const loadFormats = `auto pt safetensors npcache dummy tensorizer sharded_state gguf bitsandbytes mistral runai_streamer
    runai_streamer_sharded fastsafetensors`.split(/\s+/);
const tokenizerModes = ["auto", "hf", "slow", "mistral", "deepseek_v32"];
const reasoningParsers = `deepseek_r1 deepseek_v3 ernie45 glm45 granite holo2 hunyuan_a13b kimi_k2 minimax_m2
    minimax_m2_append_think mistral olmo3 openai_gptoss qwen3 seed_oss step3`.split(/\s+/);
const executors = ["ray", "mp", "uni", "external_launcher"];

/** The options of one line, by their full names without dashes. */
class Given {
    constructor(private readonly values: Arguments["values"]) {}

    text(flag: string): string | undefined {
        const text = this.values.get(flag)?.[0];
        return text === "None" ? undefined : text;
    }

    isOn(flag: string): boolean {
        return this.text(flag) === "True";
    }

    /** An object given as JSON; undefined for anything else. */
    object(flag: string): Record<string, unknown> | undefined {
        const text = this.text(flag);
        if (!/^\s*\{/.test(text ?? "")) return undefined;
        return JSON.parse(text!) as Record<string, unknown>;
    }
}

/** Throws a CommandError with code 1 for the first fault. */
export function checkArguments(values: Arguments["values"]): void {
    const given = new Given(values);
    checkServer(given);
    checkModel(given, values);
    checkEngine(given, values);
}

/** A fault that shows only when the engine starts. */
export interface StartFault {
    /** What the engine's process says, when it is the one that fails. */
    engine?: string;
    /** What the server ends with. */
    server: string;
}

/** The first fault of a line that passes every check before the start. */
export function startFault(values: Arguments["values"]): StartFault | undefined {
    const given = new Given(values);
    const inEngine = (engine: string): StartFault => {
        const server = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}";
        return { engine, server };
    };
    const mode = given.text("tokenizer-mode") ?? "auto";
    if (!tokenizerModes.includes(mode)) {
        return { server: `ValueError: No tokenizer registered for tokenizer_mode='${mode}'.` };
    }
    const executor = given.text("distributed-executor-backend");
    if (executor && !executors.includes(executor) && !executor.includes(".")) {
        return { server: "ValueError: not enough values to unpack (expected 2, got 1)" };
    }
    const parser = given.text("reasoning-parser");
    if (parser && !reasoningParsers.includes(parser) && !given.text("reasoning-parser-plugin")) {
        const known = reasoningParsers.join(", ");
        return inEngine(`KeyError: "Reasoning parser '${parser}' not found. Available parsers: ${known}"`);
    }
    const format = given.text("load-format") ?? "auto";
    if (!loadFormats.includes(format)) return inEngine(`ValueError: Load format \`${format}\` is not supported`);
    const middleware = given.text("middleware");
    // The image holds no module of the user's.
    return middleware === undefined
        ? undefined
        : { server: `ModuleNotFoundError: No module named '${middleware.split(".")[0]}'` };
}

/** What the server itself looks at. */
function checkServer(given: Given): void {
    const template = given.text("chat-template");
    if (template !== undefined && !/[{}\n]/.test(template) && !/(^|\/)(examples|chat_templates)\//.test(template)) {
        const builtIn = `${packageFolder}/transformers_utils/chat_templates/${template.replace(/^\.\//, "")}`;
        throw valueError(
            `The supplied chat template string (${template}) appears path-like, but doesn't exist! ` +
                `Tried: ${template} and ${builtIn}`,
        );
    }
    const parser = given.text("tool-call-parser");
    if (given.isOn("enable-auto-tool-choice") && !parser) {
        throw new CommandError(1, "TypeError: Error: --enable-auto-tool-choice requires --tool-call-parser");
    }
    if (given.isOn("enable-log-outputs") && !given.isOn("enable-log-requests")) {
        throw new CommandError(1, "TypeError: Error: --enable-log-outputs requires --enable-log-requests");
    }
    if (given.isOn("enable-auto-tool-choice") && !toolCallParsers.includes(parser!)) {
        const known = toolCallParsers.join(",");
        throw new CommandError(1, `KeyError: 'invalid tool call parser: ${parser} (chose from { ${known} })'`);
    }
    const port = Number(given.text("port") ?? 8000);
    if (port < 0 || port > 65535) throw new CommandError(1, "OverflowError: bind(): port must be 0-65535.");
    const numbers = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(given.text("host") ?? "")?.slice(1);
    if (numbers?.some((number) => Number(number) > 255)) {
        throw new CommandError(1, "socket.gaierror: [Errno -2] Name or service not known");
    }
}

function checkModel(given: Given, values: Arguments["values"]): void {
    const overrides = given.text("hf-overrides");
    if (overrides !== undefined && !given.object("hf-overrides")) {
        throw validationError("ModelConfig", [
            "hf_overrides.dict[str,any]\n  Input should be a valid dictionary",
            "hf_overrides.callable\n  Input should be callable",
        ]);
    }
    checkLimits("ModelConfig", values);
    const format = given.text("config-format") ?? "auto";
    if (!["auto", "hf", "mistral"].includes(format)) {
        throw validationError("ModelConfig", [`  Value error, Unknown config format \`${format}\`.`]);
    }
    const quantization = given.text("quantization");
    if (quantization && !quantizations.includes(quantization)) {
        const known = quantizations.map((one) => `'${one}'`).join(", ");
        const message = `Unknown quantization method: ${quantization}. Must be one of [${known}].`;
        throw validationError("ModelConfig", [`  Value error, ${message}`]);
    }
}

/** What is looked at when the configuration of the engine is put together. */
function checkEngine(given: Given, values: Arguments["values"]): void {
    const unsupported = (feature: string): CommandError => {
        const advice = `We recommend to remove ${feature} from your config.`;
        return new CommandError(1, `NotImplementedError: ${feature} is not supported. ${advice}`);
    };
    if (given.text("logits-processor-pattern")) throw unsupported("--logits-processor-pattern");
    for (const flag of ["max-num-partial-prefills", "max-long-partial-prefills"]) {
        if (Number(given.text(flag) ?? 1) !== 1) throw unsupported("Concurrent Partial Prefill");
    }
    checkLimits("CacheConfig", values);
    checkLimits("MultiModalConfig", values);
    const method = given.object("speculative-config")?.method;
    if (method !== undefined && !speculativeMethods.includes(method as string)) {
        const choices = alternatives(speculativeMethods);
        throw validationError("SpeculativeConfig", [`method\n  Input should be ${choices}`]);
    }
    checkLimits("SchedulerConfig", values, dependentOnBatch(given));
    if (given.isOn("enable-lora")) checkLimits("LoRAConfig", values);
    const version = given.text("show-hidden-metrics-for-version");
    if (version !== undefined && !/^v?\d+(\.\d+)*/.test(version)) {
        const field = "show_hidden_metrics_for_version";
        throw validationError("ObservabilityConfig", [`${field}\n  Value error, Invalid version: '${version}'`]);
    }
    if (given.text("collect-detailed-traces") !== undefined && given.text("otlp-traces-endpoint") === undefined) {
        const message = "collect_detailed_traces requires `--otlp-traces-endpoint` to be set.";
        throw validationError("ObservabilityConfig", [`  Value error, ${message}`]);
    }
    checkLimits("ObservabilityConfig", values);
    const additional = given.text("additional-config");
    if (additional !== undefined && !given.object("additional-config")) {
        throw validationError("VllmConfig", [
            "additional_config.dict[any,any]\n  Input should be a valid dictionary",
            "additional_config.is-instance[SupportsHash]\n  Input should be an instance of SupportsHash",
        ]);
    }
    const level = given.text("optimization-level");
    if (level !== undefined && !/^[0-3]$/.test(level)) {
        throw validationError("VllmConfig", ["optimization_level\n  Input should be 0, 1, 2 or 3"]);
    }
}

/** Of the size of a batch and the number of sequences, the one that was not given follows the other down. */
function dependentOnBatch(given: Given): Record<string, string> {
    const found: Record<string, string> = {};
    const [tokens, sequences] = ["max-num-batched-tokens", "max-num-seqs"].map((flag) => given.text(flag));
    if (tokens === undefined && Number(sequences) < 1) found["max-num-batched-tokens"] = sequences!;
    if (sequences === undefined && Number(tokens) < 1) found["max-num-seqs"] = tokens!;
    return found;
}

/** The limits of one class of the configuration, all of its options at once. `more`: values that follow from others. */
function checkLimits(config: string, values: Arguments["values"], more: Record<string, string> = {}): void {
    const faults = limitsOf(config).flatMap(({ flag, limits: { le, lt, ge, gt } }) => {
        const text = more[flag] ?? values.get(flag)?.[0];
        if (text === undefined || text === "None") return [];
        const plain = Number(text.replace(/_/g, ""));
        const value = Number.isNaN(plain) ? size(text) : plain;
        const outside =
            le !== undefined && !(value <= le)
                ? `less than or equal to ${le}`
                : lt !== undefined && !(value < lt)
                  ? `less than ${lt}`
                  : ge !== undefined && !(value >= ge)
                    ? `greater than or equal to ${ge}`
                    : gt !== undefined && !(value > gt)
                      ? `greater than ${gt}`
                      : undefined;
        return outside === undefined ? [] : [`${flag.replace(/-/g, "_")}\n  Input should be ${outside}`];
    });
    if (faults.length > 0) throw validationError(config, faults);
}

/** As pydantic writes it, without the links to its documentation. */
export function validationError(config: string, faults: string[]): CommandError {
    const count = `${faults.length} validation error${faults.length === 1 ? "" : "s"}`;
    return new CommandError(
        1,
        `pydantic_core._pydantic_core.ValidationError: ${count} for ${config}\n${faults.join("\n")}`,
    );
}

export function valueError(message: string): CommandError {
    return new CommandError(1, `ValueError: ${message}`);
}
