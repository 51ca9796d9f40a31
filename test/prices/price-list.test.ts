import {
    chmodSync,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    readFileSync,
    rmSync,
    writeFileSync,
} from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { getPublic } from "../../packages/ai-deploy/src/api/public";
import { findPrices, type PriceSources } from "../../src/prices/price-list";
import { SettingsError, type PricesSettings } from "../../src/settings";
import { canary } from "../ai-deploy/cloud";
import { catalogueText } from "./world";

const h100 = "ai-app.h100-1-gpu.minute.consumption";
const europe = { name: "ovh-eu", baseUrl: "https://eu.api.ovh.example/v1" };
const day = (date: string) => new Date(`${date}T12:00:00Z`);

let folder: string;
let asked: string[];
beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "prices-"));
    asked = [];
});
afterEach(() => {
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true, force: true });
    vi.unstubAllEnvs();
});

const answers =
    (text: string): PriceSources["get"] =>
    (base, path) => {
        asked.push(base + path);
        return Promise.resolve(text);
    };
const silent: PriceSources["get"] = () => Promise.reject(new Error("no answer from OVHcloud (ENOTFOUND)"));

function find(settings: PricesSettings = {}, more: Partial<PriceSources> = {}) {
    return findPrices(settings, {
        endpoint: europe,
        get: answers(catalogueText()),
        cacheFolder: join(folder, "cache"),
        root: folder,
        project: "test",
        now: day("2026-11-26"),
        ...more,
    });
}

function file(text: string): PricesSettings {
    writeFileSync(join(folder, "prices.yaml"), text);
    return { file: "prices.yaml" };
}

describe("OVHcloud's list", () => {
    it("is asked for once a week, for each subsidiary and endpoint by itself", async () => {
        const first = await find();
        expect(first).toMatchObject({
            currency: "EUR",
            source: "OVHcloud's public list (FR) of 2026-11-26",
            remarks: [],
        });
        await find({}, { now: day("2026-12-02") });
        expect(asked).toEqual([`${europe.baseUrl}/order/catalog/public/cloud?ovhSubsidiary=FR`]);
        await find({ subsidiary: "DE" });
        await find({}, { endpoint: { ...europe, baseUrl: "https://other.example/v1" } });
        expect(asked).toHaveLength(3);
        const later = await find({}, { now: day("2026-12-04") });
        expect(later.source).toContain("of 2026-12-04");
        expect(later.find(h100, "GRA")).toBe(first.find(h100, "GRA"));
        expect(asked).toHaveLength(4);
    });

    it.each([
        ["ovh-eu", "FR"],
        ["ovh-ca", "CA"],
        ["ovh-us", "US"],
        ["http://127.0.0.1:1/v1", "FR"],
    ])("of %s is that of %s", async (name, subsidiary) => {
        await find({}, { endpoint: { ...europe, name } });
        expect(asked[0]).toMatch(new RegExp(`ovhSubsidiary=${subsidiary}$`));
    });

    it("comes in another currency with another subsidiary", async () => {
        const { currency } = await find({ subsidiary: "US" }, { get: answers(catalogueText("US")) });
        expect(currency).toBe("USD");
    });

    it("that is old is used when OVHcloud does not answer, and that is said", async () => {
        await find();
        const stale = await find({}, { get: silent, now: day("2027-02-01") });
        expect(stale.find(h100, "GRA")).toBe(0.0333);
        expect(stale.source).toContain("2026-11-26");
        expect(stale.remarks).toEqual([
            "OVHcloud's price list cannot be had (no answer from OVHcloud (ENOTFOUND)): its prices of 2026-11-26 are used",
        ]);
    });

    it("that cannot be had leaves everything without a price, and that is said", async () => {
        const none = await find({}, { get: silent });
        expect(none.currency).toBeUndefined();
        expect(none.find(h100, "GRA")).toBeUndefined();
        expect(none.remarks.join()).toMatch(/cannot be had .*nothing has a price/);
    });

    it("that is no list does not take the place of one that is", async () => {
        await find();
        const kept = await find({}, { get: answers('{"addons": 3'), now: day("2027-02-01") });
        expect(kept.remarks.join()).toMatch(/is not JSON.*2026-11-26/);
        expect(kept.find(h100, "GRA")).toBe(0.0333);
    });

    it("is asked for again when what was kept is broken, or from the future", async () => {
        await find({}, { now: day("2027-01-01") });
        await find();
        expect(asked).toHaveLength(2);
        const [name] = readdirSync(join(folder, "cache"));
        for (const text of ["", "{", '{"asked": "yesterday"}', '{"asked": "2026-11-26T00:00:00Z", "catalogue": {}}']) {
            writeFileSync(join(folder, "cache", name), text);
            expect((await find()).find(h100, "GRA")).toBe(0.0333);
        }
        expect(asked).toHaveLength(6);
        expect(readdirSync(join(folder, "cache"))).toEqual([name]);
    });

    it("is used though it cannot be kept, and that is said", async () => {
        writeFileSync(join(folder, "cache"), "a file in the place of the folder");
        const prices = await find();
        expect(prices.find(h100, "GRA")).toBe(0.0333);
        expect(prices.remarks.join()).toMatch(
            /cannot be kept in .*cache \((EEXIST|ENOTDIR)\), and is asked for each time/,
        );
    });

    it("of a simulated OVHcloud on this machine is not kept", async () => {
        await find({}, { endpoint: { name: "http://127.0.0.1:7777/v1", baseUrl: "http://127.0.0.1:7777/v1" } });
        expect(existsSync(join(folder, "cache"))).toBe(false);
    });
});

describe("over a network", () => {
    let server: Server;
    let answer: (request: IncomingMessage, response: ServerResponse) => void;
    let headers: string[];
    beforeEach(async () => {
        headers = [];
        server = createServer((request, response) => {
            headers.push(...request.rawHeaders);
            answer(request, response);
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    });
    afterEach(() => {
        server.closeAllConnections();
        server.close();
    });
    const here = () => {
        const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
        return { get: getPublic, endpoint: { name: baseUrl, baseUrl } };
    };

    it("no credentials are sent", async () => {
        for (const [name, value] of Object.entries(canary)) {
            vi.stubEnv(`OVH_${name.replace(/[A-Z]/g, "_$&").toUpperCase()}`, value);
        }
        vi.stubEnv("OVH_ACCESS_TOKEN", "canary-access-token");
        answer = (_, response) => response.end(catalogueText());
        expect((await find({}, here())).find(h100, "GRA")).toBe(0.0333);
        expect(headers.join("\n")).not.toMatch(/canary|authorization|x-ovh/i);
    });

    it("a host that does not answer in time is not waited for", async () => {
        answer = () => undefined;
        const impatient: PriceSources["get"] = (base, path) => getPublic(base, path, 50);
        const { remarks } = await find({}, { ...here(), get: impatient });
        expect(remarks.join()).toMatch(/cannot be had \(GET \/order\/catalog\/public\/cloud: no answer/);
    });

    it.each([
        [500, "Internal", /OVHcloud answered 500/],
        [400, '{"message": "ovhSubsidiary is wrong"}', /OVHcloud answered 400: ovhSubsidiary is wrong/],
        [200, "<html>a proxy's page</html>", /is not JSON/],
    ])("an answer %i %s is none", async (status, text, words) => {
        answer = (_, response) => void response.writeHead(status).end(text);
        expect((await find({}, here())).remarks.join()).toMatch(words);
    });

    it("a body of several megabytes is read, one without an end is not", async () => {
        const list = JSON.parse(catalogueText()) as { addons: unknown[] };
        const filler = { planCode: "x.monthly.postpaid", description: "x".repeat(1000), pricings: [] };
        list.addons.unshift(...Array.from({ length: 8000 }, () => filler));
        answer = (_, response) => response.end(JSON.stringify(list));
        expect((await find({}, here())).find(h100, "GRA")).toBe(0.0333);
        const megabyte = Buffer.alloc(1024 ** 2, "x");
        let sent = 0;
        answer = (_, response) => {
            const more = (): void => {
                sent++;
                if (!response.destroyed && sent < 500) response.write(megabyte, more);
            };
            more();
        };
        expect((await find({}, here())).remarks.join()).toMatch(/cannot be had/);
        expect(sent).toBeLessThan(200);
    });
});

describe("prices.file", () => {
    it("goes before the list, plan by plan", async () => {
        const prices = await find(file(`currency: EUR\nprices:\n  ${h100}: 0.02\n`));
        expect(prices.find(h100, "GRA")).toBe(0.02);
        expect(prices.find("b2-15.consumption", "GRA11")).toBe(0.1332);
        expect(prices.source).toBe("prices.yaml, then OVHcloud's public list (FR) of 2026-11-26");
        expect(prices.remarks).toEqual([]);
    });

    it("is enough where OVHcloud cannot be asked; JSON is taken too", async () => {
        const prices = await find(file(`{"currency": "EUR", "prices": {"${h100}": 0}}`), { get: silent });
        expect([prices.currency, prices.find(h100, "GRA"), prices.find("b2-15.consumption", "GRA11")]).toEqual([
            "EUR",
            0,
            undefined,
        ]);
    });

    it("in another currency stands alone", async () => {
        const prices = await find(file(`currency: USD\nprices:\n  ${h100}: 0.02\n`));
        expect([prices.currency, prices.find("b2-15.consumption", "GRA11")]).toEqual(["USD", undefined]);
        expect(prices.remarks.join()).toMatch(/prices.yaml is in USD, OVHcloud's list in EUR/);
    });

    it("with a plan that the list does not have says so", async () => {
        const { remarks } = await find(file("currency: EUR\nprices:\n  ai-app.h1000-1-gpu.minute.consumption: 1\n"));
        expect(remarks).toEqual([
            "prices.file has plans that OVHcloud's list does not: ai-app.h1000-1-gpu.minute.consumption",
        ]);
    });

    it.each([
        ["currency: euros\nprices: {}", /currency: give three capitals, such as EUR/],
        ["prices: {}", /currency: give the currency/],
        ["currency: EUR\nprices:\n  a: cheap", /prices: a: give a number/],
        ["currency: EUR\nprices:\n  a: -1", /prices: a: give no less than 0/],
        ["currency: EUR\nprices: [1]", /prices: give prices by plan code/],
        ["currency: EUR\nprices: {}\nvat: 20", /vat is unknown there/],
        ["currency: EUR\nprices: {a: 1", /no YAML at line/],
        ["", /a file has `currency: EUR`/],
    ])("%j is refused", async (text, words) => {
        const refused = await find(file(text)).catch((error: unknown) => error);
        expect(refused).toBeInstanceOf(SettingsError);
        expect((refused as Error).message).toMatch(/test:prices\.file: "prices\.yaml"; /);
        expect((refused as Error).message).toMatch(words);
    });

    it("that is not there, or a folder, is refused", async () => {
        await expect(find({ file: "nowhere.yaml" })).rejects.toThrow(/there is no .*nowhere\.yaml.*pulumi config rm/);
        mkdirSync(join(folder, "prices"));
        await expect(find({ file: "prices" })).rejects.toThrow(/cannot be read \(EISDIR\)/);
    });

    it("as docs/cost.md shows it is one", async () => {
        const page = readFileSync(join(__dirname, "../../docs/cost.md"), "utf8");
        const [, example] = /```yaml\n(currency:[\s\S]*?)```/.exec(page)!;
        expect((await find(file(example))).remarks).toEqual([]);
    });
});
