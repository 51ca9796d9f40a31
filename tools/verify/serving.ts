import { dashboardMetrics } from "../../src/vllm/metrics";
import { ask, type Answer } from "../http";
import { runs, type VerifiedModel } from "./app";
import { caution, expect, type Check } from "./check";

/** A certificate that ends sooner should have been renewed. */
export const leastCertificateDays = 14;

/** What a model promises to those with its token. */
export const opens = (name: string): string => `${name}: chat completion 200 with the client token`;

/**
 * Checks what a client sees: answers with the token and none without, the probes' paths, and the certificate.
 * @param ca authority to trust besides Node's own, PEM
 */
export async function checkServing(check: Check, model: VerifiedModel, ca?: Buffer): Promise<void> {
    const { name, settings, output } = model;
    if (settings.desiredState === "STOPPED") return;
    const needs = [runs(name, settings)];
    const call = (path: string, token?: string, body?: object): Promise<Answer> =>
        ask(output.appUrl + path, { ca, token, body });

    await check(opens(name), () => complete(model, call), { needs });
    await check(
        `${name}: chat completion 401 without a token`,
        async () => {
            const { status } = await call("/v1/chat/completions", undefined, { model: output.model, messages: [] });
            const fix = "set unsecureHttp back to false: pulumi refresh, then pulumi up";
            expect(status === 401, `status ${status}: anybody could use this GPU`, fix);
            return "401";
        },
        { needs },
    );
    await check(
        `${name}: /metrics 200 with the token, 401 without`,
        async () => {
            const page = await call("/metrics", output.clientToken);
            expect(page.status === 200, `status ${page.status} with the token`);
            const bare = await call("/metrics");
            expect(bare.status === 401, `status ${bare.status} without a token`);
            const missing = dashboardMetrics.filter((metric) => !page.body.includes(`\n# TYPE ${metric} `));
            expect(missing.length === 0, `not on the page: ${missing.join(", ")}`);
            return `${page.body.split("\n").length} lines, the ${dashboardMetrics.length} metrics of the dashboard among them`;
        },
        { needs: [opens(name)] },
    );
    const { liveness, readiness } = settings.probes;
    await check(
        `${name}: the probes' paths answer`,
        async () => {
            const paths = [liveness.path, readiness.path];
            const statuses = await Promise.all(
                paths.map(async (path) => (await call(path, output.clientToken)).status),
            );
            const said = paths.map((path, i) => `${path} ${statuses[i]}`).join(", ");
            expect(
                statuses.every((status) => status === 200),
                said,
                `the platform would kill its replicas: correct models.${name}.probes`,
            );
            return said;
        },
        { needs: [opens(name)] },
    );
    await check(`${name}: TLS with a certificate that is trusted and lasts`, () => checkTls(output.appUrl, call), {
        needs,
    });
}

async function complete({ output }: VerifiedModel, call: Call): Promise<string> {
    const started = performance.now();
    const answer = await call("/v1/chat/completions", output.clientToken, {
        model: output.model,
        messages: [{ role: "user", content: "Say hello to whoever verifies you." }],
        max_tokens: 16,
    });
    expect(answer.status === 200, `status ${answer.status}: ${answer.body.slice(0, 200)}`, wayOut(answer.status));
    const { choices, usage } = JSON.parse(answer.body);
    const { content } = choices[0].message;
    return `"${String(content).slice(0, 40)}…" ${usage.completion_tokens} tokens in ${Math.round(performance.now() - started)} ms`;
}

type Call = (path: string, token?: string, body?: object) => Promise<Answer>;

function wayOut(status: number): string | undefined {
    if (status === 401) return "the token is revoked or wrong: pulumi refresh, then pulumi up makes another";
    if (status === 403) return "its selector does not match the app's labels: pulumi up";
    return undefined;
}

async function checkTls(url: string, call: Call): Promise<string> {
    expect(url.startsWith("https:"), `${url} is not https: the token goes in clear`);
    // A certificate that is not trusted ends the request.
    const { tls } = await call("/health");
    const { valid_to: end, issuer } = tls!.certificate;
    const days = (Date.parse(end) - Date.now()) / 86_400_000;
    expect(days > 0, `the certificate ended on ${end}`);
    const fix = "the platform renews it; tell OVHcloud's support";
    caution(days > leastCertificateDays, `the certificate ends in ${Math.floor(days)} days, on ${end}`, fix);
    return `${tls!.protocol}, until ${end}, by ${issuer?.O ?? issuer?.CN ?? "an unnamed authority"}`;
}
