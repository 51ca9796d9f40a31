import { expect, it } from "vitest";
import { deploy, type Options } from "../program/deploy";

const url = "https://11111111-2222-4333-8444-555555555555.app.gra.ai.cloud.ovh.net";
const type = (kind: string) => `pulumi-nodejs:dynamic/ovh-ai-deploy:${kind}`;
const secret = (value: string) => ({ "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", value });
const known: Options["known"] = [
    { type: type("App"), name: "ministral", outputs: { appId: "of-the-state", url } },
    // Of the same name, and without an address.
    { type: type("AppReady"), name: "ministral", outputs: { appId: "of-the-state" } },
    { type: type("Token"), name: "ministral-scrape", outputs: { value: secret("made-up-token") } },
];
const ministral = (settings: object) => ({ models: { ministral: settings } });

/** What the monitoring is made with in a preview in which every output of a dynamic resource is unknown. */
async function previewed(options: Partial<Options>) {
    const made = await deploy({ stack: "sandbox", preview: true, known, ...options });
    const find = (type: string, name: string) => made.find(type, name);
    return {
        relay: JSON.stringify(find("ConfigMap", "ministral-relay").inputs),
        job: JSON.stringify(find("ScrapeConfig", "ministral-probe-job").inputs),
        rules: JSON.stringify(find("PrometheusRule", "ministral-rules").inputs),
        token: find("Secret", "ministral-scrape-token"),
    };
}

it("of an app and a token that stay, a preview knows address, id and value", async () => {
    const { relay, job, rules, token } = await previewed({});
    expect(relay).toContain(url);
    expect(job).toContain(url.replace("https://", ""));
    expect(rules).toContain("of-the-state");
    expect(JSON.stringify(token.inputs)).toContain("made-up-token");
    expect(token.secrets).toEqual(["stringData"]);
});

it("of those that are made it knows nothing", async () => {
    const { relay, rules, token } = await previewed({ known: [] });
    const all = [relay, rules, JSON.stringify(token.inputs)].join();
    expect(all).not.toMatch(/11111111|of-the-state|made-up/);
});

it("a token's value does not outlast a rotation", async () => {
    const { token } = await previewed({ config: ministral({ tokens: { scrapeRotation: "2" } }) });
    expect(JSON.stringify(token.inputs)).not.toContain("made-up-token");
});

it("an up goes by what the platform answers, not by the state", async () => {
    const made = await deploy({ stack: "sandbox", known });
    expect(JSON.stringify(made.find("ConfigMap", "ministral-relay").inputs)).not.toContain(url);
});
