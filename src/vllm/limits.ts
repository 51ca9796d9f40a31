/**
 * Requests that one replica runs at once at most: what is set, else vLLM's own default of a server, which goes by the
 * GPU's memory: 1024 from 70 GiB up, the A100 excepted, else 256 (vllm/engine/arg_utils.py, 0.13.0 and 0.33.0).
 */
export function maxNumSeqs({ vllm, flavor }: { vllm: { maxNumSeqs?: number }; flavor: string }): number {
    return vllm.maxNumSeqs ?? (/^(h100|h200|b200)-/.test(flavor) ? 1024 : 256);
}
