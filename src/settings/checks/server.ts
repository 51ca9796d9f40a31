import { namedChoices, versionOfOptions } from "../../vllm/choices";
import { vllmVersionOf } from "../../vllm/versions";
import { removeCommand, setCommand } from "../commands";
import { isMap } from "../defaults";
import { nearest } from "../formats";
import type { ModelSettings } from "../schema";
import type { CrossFault, ReadModel } from "./config";

/** Faults of what makes the model's server: the model itself, vLLM's options, and its variables. */
export function serverFaults(model: ReadModel): CrossFault[] {
    return [...weightsFaults(model), ...revisionFaults(model), ...optionFaults(model), ...variableFaults(model)];
}

/** Weights come from one place, and those that object storage streams by one loader only. */
function weightsFaults({ name, settings: { model, vllm, weights }, at }: ReadModel): CrossFault[] {
    if (weights && model && /^(\/|s3:|gs:)/.test(model)) {
        const fix =
            `keep one of weights and "${model}": with weights, model is the name that requests give, owner/name; without ` +
            `them: ${removeCommand(at("weights"))}`;
        return [{ path: at("weights"), fix }];
    }
    const format = vllm?.loadFormat;
    if (!model || !format || !/^(s3|gs):/.test(model) || /^(auto|runai_streamer(_sharded)?)$/.test(format)) return [];
    const fix = `weights in object storage are streamed: pulumi config set --path models.${name}.vllm.loadFormat runai_streamer`;
    return [{ path: at("vllm", "loadFormat"), fix }];
}

/** Only a repository of the hub has revisions. */
function revisionFaults({ settings: { model, revision, weights }, at }: ReadModel): CrossFault[] {
    if (revision === undefined || !(weights || /^(\/|s3:|gs:)/.test(model ?? ""))) return [];
    const from = weights ? "weights" : `the place "${model}"`;
    const path = at("revision");
    return [{ path, fix: `the files come from ${from}, which has no revisions: ${removeCommand(path)}` }];
}

/** Settings whose values vLLM knows by name. */
const named = { tokenizerMode: "tokenizer-mode", loadFormat: "load-format", configFormat: "config-format" } as const;

function optionFaults({ settings: { vllm, image }, at }: ReadModel): CrossFault[] {
    if (!vllm) return [];
    const faults: CrossFault[] = [];
    if (vllm.enableAutoToolChoice && !vllm.toolCallParser) {
        const fix =
            "name the model's parser, without which vLLM does not start with enableAutoToolChoice, or turn that off: " +
            setCommand(at("vllm", "enableAutoToolChoice"), false);
        faults.push({ path: at("vllm", "toolCallParser"), fix });
    }
    // Of other versions, and of parsers that a plugin brings along, the names are not known.
    if (!image || vllmVersionOf(image) !== versionOfOptions) return faults;
    const plugged = vllm.extraArgs.some((word) => /^--tool[-_]parser[-_]plugin(=|$)/.test(word));
    const options = plugged ? named : { ...named, toolCallParser: "tool-call-parser" };
    for (const [setting, option] of Object.entries(options)) {
        const value = vllm[setting as keyof typeof named | "toolCallParser"];
        const known = namedChoices[`--${option}`];
        if (value === undefined || known.includes(value)) continue;
        const guess = nearest(value, [...known]);
        const fix = guess ? `did you mean "${guess}"?` : `vLLM ${versionOfOptions} has ${known.join(", ")}`;
        faults.push({ path: at("vllm", setting), fix });
    }
    return faults;
}

/** Variables that would undo what the settings, the platform or the monitoring go by. */
export const undoingVariables: Record<string, string> = {
    HF_TOKEN: "it is set from huggingFaceToken, which is stored encrypted",
    HUGGING_FACE_HUB_TOKEN: "HF_TOKEN takes its place, from huggingFaceToken, which is stored encrypted",
    VLLM_API_KEY: "the gateway asks for a token already, in the same header, and the readiness probe would get 401",
    VLLM_PORT: "it is the first port between vLLM's own processes; that of the server is the setting port",
    VLLM_SERVER_DEV_MODE: "it lets every client put the engine to sleep and run code in it",
    PROMETHEUS_MULTIPROC_DIR: "with it the metrics of several processes are mixed, and some are missing",
    prometheus_multiproc_dir: "with it the metrics of several processes are mixed, and some are missing",
};

function variableFaults({ raw: { env }, at }: ReadModel): CrossFault[] {
    if (!isMap(env)) return [];
    return Object.entries(undoingVariables)
        .filter(([variable]) => env[variable] !== undefined)
        .map(([variable, reason]) => ({ reason, path: at("env", variable) }))
        .map(({ path, reason }) => ({ path, fix: `${reason}; take it away: ${removeCommand(path)}` }));
}

/** What may surprise of a model's weights. */
export function weightsWarnings(name: string, { model, volumes }: ModelSettings): string[] {
    if (!model.startsWith("/")) return [];
    const filled = volumes.some(
        (volume) => (volume.name ?? volume.dataStore) && `${model}/`.startsWith(`${volume.path.replace(/\/+$/, "")}/`),
    );
    if (filled) return [];
    return [
        `models.${name}.model: no volume with a name or a dataStore is mounted at "${model}", so the image itself has to ` +
            "hold the weights",
    ];
}
