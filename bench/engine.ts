// One hour of traffic at 20 requests a second, in virtual time: how much CPU it takes, and how much faster than life it is.
// `npm run bench -- engine [requests per second] [seconds]`
import { kvBlocks, builtInProfiles } from "../sandbox/vllm/profiles";
import { poissonTraffic, simulate } from "../sandbox/vllm/virtual-time";

const perSecond = Number(process.argv[2] ?? 20);
const seconds = Number(process.argv[3] ?? 3600);

function quantile(sorted: number[], share: number): number {
    return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

for (const profile of builtInProfiles) {
    const requests = poissonTraffic({
        perSecond,
        seconds,
        promptTokens: 300,
        meanAnswerTokens: profile.meanAnswerTokens,
        maxTokens: 768,
        seed: 1,
    });
    const config = {
        ...profile.defaults,
        prefixCaching: true,
        blockSize: 16,
        numBlocks: kvBlocks(profile, 1, 0.9, 16),
        step: profile.step,
    };
    const before = process.cpuUsage();
    const { finished, end, steps, preemptions, meanInSystem, mostRunning } = simulate(config, requests);
    const { user, system } = process.cpuUsage(before);
    const cpu = (user + system) / 1e6;
    const tokens = finished.reduce((sum, one) => sum + one.tokens, 0);
    const latencies = finished.map(({ arrival, last }) => last - arrival).sort((a, b) => a - b);
    const first = finished.map(({ arrival, firstToken }) => firstToken - arrival).sort((a, b) => a - b);
    console.log(
        `${profile.name}: ${seconds} s at ${perSecond} requests/s\n` +
            `  ${finished.length} requests, ${tokens} tokens, ${steps} steps; the last is answered after ${end.toFixed(0)} s\n` +
            `  CPU ${cpu.toFixed(1)} s: ${(end / cpu).toFixed(0)} times faster than life, ${((1e6 * cpu) / steps).toFixed(1)} us a step\n` +
            `  TTFT p50 ${quantile(first, 0.5).toFixed(2)} s, p95 ${quantile(first, 0.95).toFixed(2)} s; ` +
            `latency p50 ${quantile(latencies, 0.5).toFixed(2)} s, p95 ${quantile(latencies, 0.95).toFixed(2)} s; ` +
            `${meanInSystem.toFixed(1)} in the system, at most ${mostRunning} running, ${preemptions} preemptions`,
    );
}
