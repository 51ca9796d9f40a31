/** Why something did not work, in words that say what to do. */
import { mask } from "./mask";
import type { Named } from "./setting-names";
import { ApiError, MalformedAnswerError, RequestError, TlsError } from "./request-errors";

const hints: { pattern: RegExp; hint: (named: Named) => string }[] = [
    {
        pattern:
            /gated|cannot access.*repo|invalid user token|RepositoryNotFound|not a valid model identifier|huggingface.*(401|403)|\b(401|403) Client Error/i,
        hint: (named) =>
            `The model is gated or the Hugging Face token is wrong: accept the model's terms with the account of ${named("HF_TOKEN")}, and check the token and the model's name.`,
    },
    {
        pattern: /image.*(cannot be pulled|pull|not found)|IMAGE_PULL|IMAGE_INSPECT|manifest unknown|INVALID_IMAGE/i,
        hint: (named) =>
            `The image cannot be pulled: check its name and tag (${named("image")}), and the registry's access.`,
    },
    {
        pattern:
            /CUDA out of memory|OutOfMemoryError|No available memory for the cache blocks|larger than the available KV cache|larger than the maximum number of tokens that can be stored in KV cache|less than desired GPU memory utilization/i,
        hint: (named) =>
            `The GPU's memory does not suffice: lower ${named("--max-model-len")} or ${named("--gpu-memory-utilization")}, quantize, or take a larger ${named("flavor")}.`,
    },
    {
        pattern: /liveness probe/i,
        hint: (named) =>
            `The platform killed the replica before it was up: raise ${named("livenessProbe.initialDelaySeconds")} above the model's load time.`,
    },
    { pattern: /quota/i, hint: () => "The project's quota is used up: ask OVHcloud for more, or stop another app." },
    {
        pattern:
            /unrecognized arguments|expected one argument|error: argument|invalid choice|requires --|command not found|No module named/i,
        hint: () => "The command is wrong: the log line above names the argument.",
    },
];

/** What to do about a failure, if its cause is known. `named`: how the user calls a property. */
export function hintFor(text: string, named: Named): string | undefined {
    return hints.find(({ pattern }) => pattern.test(text))?.hint(named);
}

/** What to do about a request that failed, by its kind. */
function advice(error: RequestError, named: Named): string {
    if (error instanceof TlsError) return "Nothing was changed.";
    if (error instanceof MalformedAnswerError) {
        return "Check that the endpoint (OVH_ENDPOINT) is OVHcloud's and that no proxy answers in its place, then run the same command again: it goes on where this one stopped.";
    }
    if (!(error instanceof ApiError) || error.status === 408 || error.status >= 500) {
        return "OVHcloud cannot be reached or is not well. Nothing is lost: the same command later goes on where this one stopped.";
    }
    const hint = hintFor(error.said, named);
    if (hint) return hint;
    if (/missing IAM permissions/.test(error.said)) {
        return "Add what is missing to the policy of the service account, or use one that may do this (docs/deploying.md, Rights).";
    }
    if (error.status === 401 || error.status === 403) {
        return "OVHcloud refuses these credentials: they need GET, POST, PUT and DELETE on /cloud/project/PROJECT/ai/*, and the endpoint they were made for.";
    }
    if (error.status === 404) {
        return `OVHcloud does not know this: check the project id (${named("serviceName")}) and that the endpoint is the project's.`;
    }
    if (error.status === 429) {
        return "The rate limit of about 60 requests a minute per credential is used up: run it again in a minute, and look what else uses the credential.";
    }
    return "Correct what OVHcloud names, then run `pulumi up` again.";
}

/**
 * The error as a person needs it: what was being done, what OVHcloud said, what to do; secrets masked, no stack. What
 * Pulumi needs of a partial success (`id`, `properties`, `reasons`) stays with it.
 */
export function explain(
    error: unknown,
    doing: string,
    secrets: string[],
    named: Named = (property) => property,
): Error {
    const plain = error instanceof Error ? error : new Error(String(error));
    const { id, properties } = plain as { id?: string; properties?: object };
    const whose = id === undefined || doing.includes(id) ? "" : ` (${id})`;
    const masked = mask(plain.message, secrets);
    const message =
        plain instanceof RequestError ? `${doing}${whose}: ${shortened(masked)}\n  ${advice(plain, named)}` : masked;
    const explained = new Error(message);
    // Pulumi's provider process prints the stack of what it catches.
    explained.stack = "";
    return id === undefined ? explained : Object.assign(explained, { id, properties, reasons: [message] });
}

const longestMessage = 500;

/** An answer may be a whole page. */
function shortened(text: string): string {
    return text.length > longestMessage ? `${text.slice(0, longestMessage)}...` : text;
}
