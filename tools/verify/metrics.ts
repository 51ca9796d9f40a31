import { replicaRange } from "../../src/hours/schedule";
import { isRelayed } from "../../src/monitoring/relayed";
import { jobName, probeJobName } from "../../src/monitoring/scrape-jobs";
import { relayMetrics } from "../../src/monitoring/metrics";
import { durationSeconds } from "../../src/settings/formats";
import { maySleep, type ModelSettings, type MonitoringSettings } from "../../src/settings";
import { maxNumSeqs } from "../../src/vllm/limits";
import { dashboardMetrics } from "../../src/vllm/metrics";
import type { Prometheus } from "../prometheus";
import { readApp, runs, type AiDeploy, type VerifiedModel } from "./app";
import { caution, eventually, expect, type Check } from "./check";

/** The first promise of all that Prometheus is asked for. */
export const prometheusAnswers = "Prometheus answers";

/** What is built upon a model's scrapes. */
export const scraped = (name: string): string => `${name}: Prometheus has up{job="${jobName(name)}"} == 1`;

/**
 * Checks that a model is scraped, and with what is promised of its metrics.
 * @param patienceSeconds how long a model that was just made may take: three scrape intervals
 */
export async function checkScraped(
    check: Check,
    { name, settings, output }: VerifiedModel,
    prometheus: Prometheus,
    patienceSeconds = 45,
): Promise<void> {
    if (settings.desiredState === "STOPPED") return;
    await check(
        scraped(name),
        async () => {
            const up = await eventually(async () => {
                const value = await prometheus.query(`up{job="${output.scrapeJob}"}`);
                const fix = "is the ScrapeConfig there? kubectl get scrapeconfig --all-namespaces; then pulumi up";
                expect(value.length > 0, "no such series: is the job in the operator's config?", fix);
                const down = value.some((sample) => sample.value !== 1);
                expect(!down, down ? `up is 0: ${await prometheus.lastScrapeError(output.scrapeJob)}` : "");
                return value;
            }, patienceSeconds);
            return Object.entries(up[0].labels)
                .filter(([label]) => label !== "__name__")
                .map(([label, value]) => `${label}=${value}`)
                .join(" ");
        },
        { needs: [prometheusAnswers] },
    );
    await check(
        `${name}: the ${dashboardMetrics.length} metrics of the dashboard are in Prometheus`,
        async () => {
            await eventually(async () => {
                const missing: string[] = [];
                for (const metric of dashboardMetrics) {
                    const series = `{__name__=~"${metric}(_bucket)?",job="${output.scrapeJob}"}`;
                    if ((await prometheus.query(`count(${series})`)).length === 0) missing.push(metric);
                }
                expect(missing.length === 0, `missing: ${missing.join(", ")}`);
            }, patienceSeconds);
            return "all";
        },
        { needs: [scraped(name), ...ofAwake(name, settings)] },
    );
}

/** A model that may sleep tells of itself only while it runs. */
function ofAwake(name: string, settings: ModelSettings): string[] {
    return maySleep(settings) ? [runs(name, settings)] : [];
}

/** Checks how a model is scraped: job, labels, freshness, every replica. */
export async function checkScrapeJobs(
    check: Check,
    { name, settings, output }: VerifiedModel,
    prometheus: Prometheus,
    monitoring: MonitoringSettings,
    api: AiDeploy,
): Promise<void> {
    if (settings.desiredState === "STOPPED") return;
    const needs = [scraped(name)];
    const interval = durationSeconds(monitoring.scrapeInterval)!;
    const sleeper = maySleep(settings);
    const replicas = replicaRange(settings);
    const relayed = isRelayed(monitoring, replicas);
    const jobs = relayed && !sleeper ? [jobName(name), probeJobName(name)] : [jobName(name)];

    await check(
        `${name}: scrape jobs as configured`,
        async () => {
            const targets = await prometheus.targets();
            for (const job of jobs) {
                const target = targets.find(({ labels }) => labels.job === job);
                expect(target, `no target of job ${job}`, "pulumi up");
                const wanted = { ...settings.scrape.labels, instance: new URL(output.appUrl).host };
                for (const [label, value] of Object.entries(wanted)) {
                    const found = target.labels[label];
                    expect(found === value, `job ${job}: ${label} is ${found}, configured is ${value}`, "pulumi up");
                }
                const every = `${target.scrapeInterval} / ${target.scrapeTimeout}`;
                const asked = `${monitoring.scrapeInterval} / ${monitoring.scrapeTimeout}`;
                expect(every === asked, `job ${job} is scraped ${every}, configured is ${asked}`, "pulumi up");
            }
            // The one that goes by the public address.
            const direct = targets.find(({ labels }) => labels.job === jobs.at(-1))!;
            expect(
                direct.scrapeUrl === `${output.appUrl}/metrics` || sleeper,
                `job ${jobs.at(-1)} scrapes ${direct.scrapeUrl}, not ${output.appUrl}/metrics`,
                "pulumi up",
            );
            return `${jobs.join(", ")}: ${direct.scrapeUrl}, ${direct.scrapeInterval} / ${direct.scrapeTimeout}`;
        },
        { needs },
    );
    await check(
        `${name}: scrapes are fresh`,
        async () => {
            const age = await prometheus.value(`time() - max(timestamp(up{job="${output.scrapeJob}"}))`);
            const most = 3 * interval;
            expect(age !== undefined && age <= most, `the last one is ${age?.toFixed(0)} s old, more than ${most} s`);
            const { name: sampleAge } = relayMetrics.sampleAge;
            const sample = relayed ? await prometheus.value(`max(${sampleAge}{model="${name}"})`) : undefined;
            const fix = `look at the relay: kubectl logs -n ${monitoring.namespace} deploy/vllm-relay-${name}`;
            expect((sample ?? 0) <= most, `the relay's oldest sample is ${sample?.toFixed(0)} s old`, fix);
            return `${age.toFixed(0)} s old${sample === undefined ? "" : `, the relay's samples ${sample.toFixed(0)} s`}`;
        },
        { needs },
    );
    await check(
        `${name}: every replica is seen`,
        async () => {
            const { availableReplicas = 0 } = (await readApp(api, output.appId)).status;
            const seen =
                (await prometheus.value(
                    `count(count by (instance, replica) (vllm:num_requests_running{job="${output.scrapeJob}"}))`,
                )) ?? 0;
            const blind = !relayed && replicas.max > 1;
            const fix = "pulumi config set --path monitoring.replicaMetrics relay && pulumi up";
            caution(!blind || availableReplicas <= 1, `${availableReplicas} run, each scrape shows one of them`, fix);
            const look = `kubectl logs -n ${monitoring.namespace} deploy/vllm-relay-${name}`;
            expect(seen === availableReplicas, `${seen} of ${availableReplicas}`, `look at the relay: ${look}`);
            return `${seen} of ${availableReplicas}`;
        },
        { needs: [...needs, runs(name, settings)] },
    );
    await check(
        `${name}: the metric that scaling follows is there, and its target can be reached`,
        async () => {
            const { metric, target } = settings.scaling;
            const value = await prometheus.value(`avg({__name__="${metric}",job="${output.scrapeJob}"})`);
            const fix = `choose one that the image has: pulumi config set --path models.${name}.scaling.metric vllm:num_requests_running`;
            expect(value !== undefined, `${metric} is not among the app's metrics: it will never scale`, fix);
            const most = maxNumSeqs(settings);
            const reachable = metric !== "vllm:num_requests_running" || target < most;
            const lower = `pulumi config set --path models.${name}.scaling.target ${Math.floor(most * 0.8)}`;
            expect(reachable, `the target ${target} is never passed: a replica runs ${most} at once at most`, lower);
            return `${metric} is ${Number(value.toPrecision(3))}, the target ${target}`;
        },
        { needs: [...needs, ...ofAwake(name, settings)] },
    );
}
