/** Why an app did not come up, in words that say what to do. */

const hints: { pattern: RegExp; hint: string }[] = [
    {
        pattern: /gated|cannot access.*repo|invalid user token|huggingface.*(401|403)|\b(401|403) Client Error/i,
        hint: "The model is gated or the Hugging Face token is wrong: accept the model's terms with the account of HF_TOKEN, and check the token.",
    },
    {
        pattern: /image.*(cannot be pulled|pull|not found)|IMAGE_PULL|manifest unknown|INVALID_IMAGE/i,
        hint: "The image cannot be pulled: check its name and tag, and the registry's access.",
    },
    {
        pattern:
            /CUDA out of memory|OutOfMemoryError|No available memory for the cache blocks|larger than the available KV cache/i,
        hint: "The GPU's memory does not suffice: lower --max-model-len or --gpu-memory-utilization, quantize, or take a larger flavor.",
    },
    {
        pattern: /liveness probe/i,
        hint: "The platform killed the replica before it was up: raise livenessProbe.initialDelaySeconds above the model's load time.",
    },
    { pattern: /quota/i, hint: "The project's quota is used up: ask OVHcloud for more, or stop another app." },
    {
        pattern:
            /unrecognized arguments|expected one argument|error: argument|invalid choice|requires --|command not found|No module named/i,
        hint: "The command is wrong: the log line above names the argument.",
    },
];

/** What to do about a failure, if its cause is known. */
export function hintFor(text: string): string | undefined {
    return hints.find(({ pattern }) => pattern.test(text))?.hint;
}

/** Replaces secret values in a text that came from outside. Short values are left, since they would hit ordinary words. */
export function mask(text: string, secrets: string[]): string {
    return secrets
        .filter((secret) => secret.length >= 6)
        .reduce((masked, secret) => masked.split(secret).join("[secret]"), text);
}
