import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { sign } from "../../../packages/ai-deploy/src/api/authentication";
import { OvhClient, type ClientOptions } from "../../../packages/ai-deploy/src/api/client";
import { ApiError, NoAnswerError } from "../../../packages/ai-deploy/src/errors/request-errors";
import { Poller } from "../../../packages/ai-deploy/src/waiting/poller";

type Answer = (answer: ServerResponse, incoming: IncomingMessage) => void;

const say =
    (status: number, body: unknown = {}, headers: Record<string, string> = {}): Answer =>
    (answer) =>
        answer.writeHead(status, headers).end(typeof body === "string" ? body : JSON.stringify(body));
const drop: Answer = (answer) => void answer.socket?.destroy();

let server: Server | undefined;
let paths: string[] = [];

/** After the eight requests that may go at once, one in 100 ms. */
const slow: ClientOptions = { requestsPerMinute: 608 };

/** A client of a server that gives these answers in turn, the last one for ever. */
async function clientOf(
    answers: Answer[],
    options: ClientOptions = {},
    oauth = false,
    ofToken?: Answer,
): Promise<OvhClient> {
    paths = [];
    server = createServer((incoming, answer) => {
        paths.push(`${incoming.method} ${incoming.url}`);
        if (incoming.url === "/token") {
            const token = ofToken ?? say(200, { access_token: `t${paths.length}`, expires_in: 3600 });
            return token(answer, incoming);
        }
        if (answers.length > 1) return answers.shift()!(answer, incoming);
        return answers[0](answer, incoming);
    });
    await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
    const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return new OvhClient(
        {
            baseUrl,
            auth: oauth
                ? { kind: "oauth2", clientId: "id", clientSecret: "secret", tokenUrl: `${baseUrl}/token` }
                : { kind: "token", accessToken: "made-up" },
        },
        { backoffMs: 1, requestsPerMinute: 1_000_000, ...options },
    );
}

afterEach(async () => {
    server?.closeAllConnections();
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
    server = undefined;
});

describe("what is repeated", () => {
    it.each([
        ["a 503", say(503)],
        ["a 429", say(429)],
        ["a dropped connection", drop],
    ])("a read after %s", async (_what, fault) => {
        const client = await clientOf([fault, fault, say(200, { fine: true })]);
        expect(await client.get("/x")).toEqual({ fine: true });
    });

    it.each([
        ["refused", say(400, { message: "no" })],
        ["not found", say(404)],
    ])("nothing that was %s", async (_what, fault) => {
        const client = await clientOf([fault]);
        await expect(client.get("/x")).rejects.toBeInstanceOf(ApiError);
        expect(paths).toHaveLength(1);
    });

    it("reads not for ever", async () => {
        const client = await clientOf([say(503)]);
        await expect(client.get("/x")).rejects.toThrow(/answered 503/);
        expect(paths).toHaveLength(5);
    });

    it.each([
        ["a 500", say(500), ApiError],
        ["a dropped connection", drop, NoAnswerError],
        ["a success that cannot be read", say(200, "<html>"), NoAnswerError],
    ])("no write after %s: it may have had its effect", async (_what, fault, kind) => {
        const client = await clientOf([fault, say(200, {})]);
        await expect(client.post("/x", {})).rejects.toBeInstanceOf(kind);
        expect(paths).toHaveLength(1);
    });

    it("a write after a 429, which cannot have had an effect", async () => {
        const client = await clientOf([say(429), say(200, { id: 1 })]);
        expect(await client.post("/x", {})).toEqual({ id: 1 });
    });

    it("a write after an OAuth2 token that ended, with a new one", async () => {
        const client = await clientOf([say(401), say(200, {})], {}, true);
        await client.post("/x", {});
        expect(paths).toEqual(["POST /token", "POST /x", "POST /token", "POST /x"]);
    });

    it("each of several requests whose token ended at once, also while the rate limit holds the new one back", async () => {
        const fine = say(200, { fine: true });
        // The eight that may go at once, the last two of which are refused together.
        const client = await clientOf([...Array<Answer>(6).fill(fine), say(401), say(401), fine], slow, true);
        for (let n = 0; n < 6; n++) await client.get("/x");
        expect(await Promise.all([client.get("/a"), client.get("/b")])).toEqual([{ fine: true }, { fine: true }]);
    });

    it("no request for a token that is refused", async () => {
        const client = await clientOf([say(200)], {}, true, say(401, { message: "invalid_client" }));
        await expect(client.get("/x")).rejects.toThrow(/OAuth2 token: OVHcloud answered 401: invalid_client/);
        expect(paths).toEqual(["POST /token"]);
    });
});

describe("errors", () => {
    it("say the operation without the project, the platform's words and the query id", async () => {
        const client = await clientOf([say(409, { message: "taken" }, { "x-ovh-queryid": "EU.ext-1.abc" })]);
        await expect(client.get("/cloud/project/p1/ai/app/a1?x=y")).rejects.toThrow(
            "GET /ai/app/a1: OVHcloud answered 409: taken (X-Ovh-QueryID EU.ext-1.abc)",
        );
    });
});

it("signs as OVHcloud's documented example", () => {
    expect(
        sign(
            "app-secret-1",
            "consumer-key-1",
            "GET",
            "https://eu.api.ovh.com/v1/cloud/project/p1/ai/app?page=1",
            "",
            "1700000000",
        ),
    ).toBe("$1$53cc7d245a2ebbae9f4b201bdf1a803953b7803e");
});

describe("polling", () => {
    /** Looks in an hour of waiting. */
    function looksInAnHour(poller: Poller): number {
        let looks = 0;
        for (let waited = 0; (waited += poller.pauseMs(looks)) <= 3_600_000;) looks++;
        return looks;
    }

    it("is dense at first, later wide: at most 250 looks an hour, none more than 15 s apart", () => {
        const poller = new Poller({ requestsPerMinute: 50 });
        expect(poller.pauseMs(0)).toBe(2000);
        expect(Math.max(...Array.from({ length: 300 }, (_, n) => poller.pauseMs(n)))).toBe(15_000);
        expect(looksInAnHour(poller)).toBeLessThanOrEqual(250);
    });

    it("leaves half of the rate to everything else, however many wait", async () => {
        const poller = new Poller({ requestsPerMinute: 50, fixedMs: 1 });
        const forever = new Promise<never>(() => undefined);
        // A look that never answers keeps its place among those who wait.
        for (let i = 0; i < 20; i++) void poller.until(() => forever);
        expect(poller.pauseMs(0) / 1000).toBe((20 * 60) / 25);
    });
});
