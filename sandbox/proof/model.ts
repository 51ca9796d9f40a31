import { request } from "node:https";
import { dashboardMetrics } from "../../src/vllm/metrics";
import { sandboxStatus } from "../status";
import { eventually, expect, type Check } from "./finding";
import { lastScrapeError, query } from "./prometheus";

/** What the stack tells of a model, under its name in the output `models`. */
export interface ModelOutput {
    model: string;
    appId: string;
    appUrl: string;
    scrapeJob: string;
    clientToken: string;
}

export interface ModelSurroundings {
    /** API of the emulated OVHcloud, with `/v1`. */
    api: string;
    prometheus: string;
    /** Authority of the gateways, PEM. */
    ca: Buffer;
}

interface Answer {
    status: number;
    body: string;
}

/** Platform seconds; a guess with room for a download that takes long. */
const longestBootSeconds = 900;

/** Checks that a model serves those who may ask, and that it is watched. */
export async function checkModel(
    check: Check,
    name: string,
    model: ModelOutput,
    { api, prometheus, ca }: ModelSurroundings,
): Promise<void> {
    await check(`${name}: app is RUNNING`, async () => {
        const { speed } = await sandboxStatus(api);
        // After a stop of the sandbox its replicas boot again, which no `pulumi up` waits for.
        return eventually(async () => {
            const app = (await sandboxStatus(api)).apps.find(({ id }) => id === model.appId);
            expect(app, `the platform does not know app ${model.appId}`);
            expect(app.state === "RUNNING", `app ${model.appId} is ${app.state}`);
            return `${app.name} ${model.appId}, ${app.availableReplicas} replica(s)`;
        }, longestBootSeconds / speed);
    });
    await checkServing(check, name, model, ca);
    await checkMetrics(check, name, model, prometheus);
}

async function checkServing(check: Check, name: string, model: ModelOutput, ca: Buffer): Promise<void> {
    const call = (path: string, token?: string, body?: object): Promise<Answer> =>
        https(model.appUrl + path, ca, token, body);

    await check(`${name}: chat completion 200 with the client token`, async () => {
        const started = performance.now();
        const answer = await call("/v1/chat/completions", model.clientToken, {
            model: model.model,
            messages: [{ role: "user", content: "Say hello to the sandbox." }],
            max_tokens: 16,
        });
        expect(answer.status === 200, `status ${answer.status}: ${answer.body.slice(0, 200)}`);
        const { choices, usage } = JSON.parse(answer.body);
        return `"${String(choices[0].message.content).slice(0, 40)}…" ${usage.completion_tokens} tokens in ${Math.round(performance.now() - started)} ms`;
    });
    await check(`${name}: chat completion 401 without a token`, async () => {
        const { status } = await call("/v1/chat/completions", undefined, { model: model.model, messages: [] });
        expect(status === 401, `status ${status}: anybody could use this GPU`);
        return "401";
    });
    await check(`${name}: /metrics 200 with the token, 401 without`, async () => {
        const page = await call("/metrics", model.clientToken);
        expect(page.status === 200, `status ${page.status} with the token`);
        const bare = await call("/metrics");
        expect(bare.status === 401, `status ${bare.status} without a token`);
        return `${page.body.split("\n").length} lines`;
    });
}

async function checkMetrics(check: Check, name: string, model: ModelOutput, prometheus: string): Promise<void> {
    await check(`${name}: Prometheus has up{job="${model.scrapeJob}"} == 1`, async () => {
        const up = await eventually(async () => {
            const value = await query(prometheus, `up{job="${model.scrapeJob}"}`);
            expect(value.length > 0, "no such series: is the job in the operator's config?");
            expect(
                value.every((sample) => sample.value === 1),
                `up is 0: ${await lastScrapeError(prometheus, model.scrapeJob)}`,
            );
            return value;
        });
        return Object.entries(up[0].labels)
            .filter(([label]) => label !== "__name__")
            .map(([label, value]) => `${label}=${value}`)
            .join(" ");
    });
    await check(`${name}: the ${dashboardMetrics.length} metrics of the dashboard are in Prometheus`, async () => {
        await eventually(async () => {
            const missing: string[] = [];
            for (const metric of dashboardMetrics) {
                const series = `{__name__=~"${metric}(_bucket)?",job="${model.scrapeJob}"}`;
                if ((await query(prometheus, `count(${series})`)).length === 0) missing.push(metric);
            }
            expect(missing.length === 0, `missing: ${missing.join(", ")}`);
        });
        return "all";
    });
}

/** A request that trusts only the sandbox's own authority, as a client of the real platform trusts the public ones. */
function https(url: string, ca: Buffer, token?: string, body?: object): Promise<Answer> {
    return new Promise((resolve, reject) => {
        const headers: Record<string, string> = { "content-type": "application/json" };
        if (token) headers.authorization = `Bearer ${token}`;
        const call = request(
            url,
            { ca, headers, method: body ? "POST" : "GET", timeout: 30_000, agent: false },
            (answer) => {
                let text = "";
                answer.setEncoding("utf8").on("data", (part: string) => (text += part));
                answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: text }));
                answer.on("error", reject);
            },
        );
        call.on("timeout", () => call.destroy(new Error(`no answer within 30 s from ${url}`)));
        call.on("error", reject);
        call.end(body ? JSON.stringify(body) : undefined);
    });
}
