import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import structure from "../../../sandbox/ovhcloud/ai-deploy.structure.json";
import { answerFault } from "../../../packages/ai-deploy/src/api/answers";
import { listApps } from "../../../packages/ai-deploy/src/app/list";
import type { LiveApp } from "../../../packages/ai-deploy/src/app/live";
import { OvhClient } from "../../../packages/ai-deploy/src/api/client";
import type { Credentials } from "../../../packages/ai-deploy/src/api/credentials";
import { explain } from "../../../packages/ai-deploy/src/errors/explain";
import { aiPath, idPart } from "../../../packages/ai-deploy/src/api/paths";
import { MalformedAnswerError } from "../../../packages/ai-deploy/src/errors/request-errors";
import { appInputs } from "../app/inputs";
import { startProvider } from "../provider-process";
import { Stack } from "../stack";

const id = "00000000-0000-4000-8000-000000000001";
const project = "00000000000000000000000000000001";
const app = {
    id,
    spec: {
        name: "a",
        region: "GRA",
        image: "i:1",
        resources: { flavor: "f" },
        labels: null,
        envVars: [{ name: "A" }],
    },
    status: { state: "RUNNING", url: null },
};
const token = { id, spec: { name: "t", region: "GRA", role: "ai_training_read" }, status: { version: 1 } };

let server: Server | undefined;

async function clientOf(text: string, auth?: Credentials["auth"]): Promise<OvhClient> {
    server = createServer((_incoming, answer) => answer.end(text));
    await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
    const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    const credentials = { baseUrl, auth: auth ?? { kind: "token" as const, accessToken: "made-up-token" } };
    if (credentials.auth.kind === "oauth2") credentials.auth.tokenUrl = baseUrl;
    return new OvhClient(credentials, { backoffMs: 0.1, requestsPerMinute: 1_000_000 });
}

afterEach(() => new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve())));

const calls: [string, (client: OvhClient) => Promise<unknown>][] = [
    ["GET /ai/app", (client) => client.get(aiPath(project, "app"))],
    ["POST /ai/app", (client) => client.post(aiPath(project, "app"), {})],
    [`GET /ai/app/${id}`, (client) => client.get(aiPath(project, "app", idPart(id)))],
    ["GET /ai/token", (client) => client.get(aiPath(project, "token"))],
    ["POST /ai/token", (client) => client.post(aiPath(project, "token"), {})],
    [`POST /ai/token/${id}/renew`, (client) => client.post(aiPath(project, "token", id, "renew"))],
    ["GET /ai/authorization", (client) => client.get(aiPath(project, "authorization"))],
    ["GET /ai/capabilities/region", (client) => client.get(aiPath(project, "capabilities", "region"))],
    [
        "GET /ai/capabilities/region/GRA/flavor",
        (client) => client.glance(aiPath(project, "capabilities", "region", "GRA", "flavor")),
    ],
    [`POST /ai/app/${id}/datasync`, (client) => client.post(aiPath(project, "app", id, "datasync"))],
];
const odd = [
    "",
    "null",
    "5",
    "[null]",
    "[{}]",
    '"text"',
    "<html><body>a page</body></html>",
    '{"id": "cut o',
    "{",
    "\u0000",
];

describe.each(calls)("%s", (operation, call) => {
    it.each([
        ...odd,
        ...(/(app|token|region|flavor)$/.test(operation) && operation.startsWith("GET") ? ["{}"] : ["[]"]),
    ])("with success and %j is an error that says so", async (text) => {
        const client = await clientOf(text);
        const error = await call(client).catch((failed: unknown) => failed);
        expect(error).toBeInstanceOf(MalformedAnswerError);
        expect((error as Error).message).toMatch(
            new RegExp(`^${operation}: OVHcloud's answer is not as its API says: `),
        );
        expect((error as Error).message).toMatch(/it (is not|is empty|begins with)/);
        expect((error as Error).message).not.toMatch(/undefined|Unexpected|\p{Cc}/u);
    });
});

describe("what an answer must hold", () => {
    it.each<[string, string, unknown]>([
        ["GET /ai/app", "an app as it is", [app]],
        [`GET /ai/app/${id}`, "one", app],
        ["GET /ai/token", "tokens", [token]],
        ["POST /ai/authorization", "a call whose answer nobody reads", undefined],
    ])("%s: %s", (operation, _what, body) => {
        expect(answerFault(operation, body)).toBeUndefined();
    });

    it.each<[string, unknown, string]>([
        ["[0].id is not an id (a UUID)", { ...app, id: "../../../../evil" }, "the id is a path"],
        ["[0].spec.name is not a text", { ...app, spec: {} }, "no spec"],
        ["[0].spec.labels.a is not a text", { ...app, spec: { ...app.spec, labels: { a: 1 } } }, "labels of numbers"],
        ["[0].spec.envVars[0] is not an object", { ...app, spec: { ...app.spec, envVars: [null] } }, "no variable"],
        ["[0].status is not an object", { ...app, status: null }, "no status"],
    ])("says %s", (fault, body) => {
        expect(answerFault("GET /ai/app", [body])).toBe(fault);
    });

    it("the examples here have no field that the published structure has not", () => {
        const schemas = structure.components.schemas as unknown as Record<
            string,
            { properties: Record<string, unknown> }
        >;
        for (const [schema, part] of [
            ["cloud.project.ai.app.AppSpec", app.spec],
            ["cloud.project.ai.app.AppStatus", app.status],
            ["cloud.project.ai.token.TokenSpec", token.spec],
            ["cloud.project.ai.token.TokenStatus", token.status],
        ] as const) {
            expect(Object.keys(part).filter((field) => !(field in schemas[schema].properties))).toEqual([]);
        }
    });
});

describe("an answer that cannot be relied on", () => {
    it("still tells the id of what it stands for, which exists", async () => {
        const client = await clientOf(JSON.stringify({ id, spec: {} }));
        const error = await client.post(aiPath(project, "app"), {}).catch((failed: unknown) => failed);
        expect((error as MalformedAnswerError).seenId).toBe(id);
        const evil = await (
            await clientOf('{"id": "../x", "spec": {}}')
        )
            .post(aiPath(project, "app"), {})
            .catch((failed: unknown) => failed);
        expect((evil as MalformedAnswerError).seenId).toBeUndefined();
    });

    it("shows none of its texts, which may be secret", async () => {
        const value = "canary-of-a-token-value";
        for (const text of [JSON.stringify({ id, status: { value } }), `{"id": "x", "status": {"value": "${value}`]) {
            const client = await clientOf(text);
            const error = await client.post(aiPath(project, "token"), {}).catch((failed: unknown) => failed);
            expect((error as Error).message).toContain('"status"');
            expect((error as Error).message).not.toContain(value);
        }
    });

    it("a whole page is told shortly, with the credentials masked", async () => {
        const client = await clientOf(`<p>made-up-token</p>${"x".repeat(10_000)}`);
        const error = await client.get(aiPath(project, "app")).catch((failed: unknown) => failed);
        const told = explain(error, "looking", []).message;
        expect(told).toMatch(
            /^looking: GET \/ai\/app: .*it begins with <p>\[secret\]<\/p>x+\.\.\.\n {2}Check that the endpoint/,
        );
        expect(told.length).toBeLessThan(1000);
    });

    it.each(["{}", "null", "<html>", '{"access_token": null}', '{"access_token": ""}', ""])(
        "no token from the OAuth2 server (%j): nothing is sent with one",
        async (text) => {
            const client = await clientOf(text, {
                kind: "oauth2",
                clientId: "id",
                clientSecret: "s3cret-s3cret",
                tokenUrl: "",
            });
            const asked: string[] = [];
            server!.on("request", ({ headers }) => asked.push(headers.authorization ?? "none"));
            await expect(client.get("/x")).rejects.toThrow(/^OAuth2 token: .*access_token is not a text/);
            expect(new Set(asked)).toEqual(new Set(["none"]));
        },
    );

    it.each(["", "{}", "null", "<html>"])("no time from the clock (%j): nothing is signed with it", async (text) => {
        const auth = {
            kind: "signature" as const,
            applicationKey: "ak",
            applicationSecret: "as-as-as",
            consumerKey: "ck-ck-ck",
        };
        const client = await clientOf(text, auth);
        await expect(client.get("/x")).rejects.toThrow(/^GET \/auth\/time: .*not a time in seconds/);
    });
});

describe("paths", () => {
    it.each(["../../../../evil", "", "..", "a/b", `${id}/../x`, "unresolved-x", `${id}\n`])("%j is no id", (text) => {
        expect(() => idPart(text)).toThrow(/is no id of OVHcloud's API/);
    });

    it("each part stays one part", () => {
        expect(aiPath("p", "capabilities", "region", "G/../RA?x=1#", "flavor")).toBe(
            "/cloud/project/p/ai/capabilities/region/G%2F..%2FRA%3Fx%3D1%23/flavor",
        );
        for (const part of ["", ".", ".."]) {
            expect(() => aiPath("p", "capabilities", part)).toThrow(/cannot be part of a path/);
        }
        expect(() => aiPath("..", "app")).toThrow(/cannot be part of a path/);
        expect(() => aiPath(undefined, "app")).toThrow(/serviceName is not set/);
    });
});

describe("an id that is a path, in a list", () => {
    it("leads to no request but the look at the list", async () => {
        const evil = "../../../../evil";
        const asked: string[] = [];
        const api = createServer(({ method, url }, answer) => {
            asked.push(`${method} ${url!.replace(/\?.*/, "")}`);
            if (url!.includes("/capabilities/")) return answer.writeHead(503).end();
            const labels = { "pulumi-adoption-id": "label-of-the-test" };
            return answer.end(JSON.stringify([{ ...app, id: evil, spec: { ...app.spec, labels } }]));
        });
        await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
        const provider = await startProvider({
            OVH_ENDPOINT: `http://127.0.0.1:${(api.address() as AddressInfo).port}/v1`,
            OVH_ACCESS_TOKEN: "made-up",
            OVH_CLOUD_PROJECT_SERVICE: project,
            OVH_AI_DEPLOY_POLL_MS: "1",
            OVH_AI_DEPLOY_REQUESTS_PER_MINUTE: "1000000",
        });
        try {
            const stack = new Stack(provider);
            await expect(stack.up(appInputs({ adoptionLabel: "label-of-the-test" }))).rejects.toThrow(
                /\[0\]\.id is not an id \(a UUID\)/,
            );
            expect(asked.filter((one) => one.includes("evil") || !one.startsWith("GET "))).toEqual([]);
            const token = new Stack(provider, "token");
            token.resource = { id: evil, inputs: {}, outputs: { name: "t", serviceName: project }, initErrors: [] };
            await expect(token.destroy()).rejects.toThrow(/"\.\.\/\.\.\/\.\.\/\.\.\/evil" is no id of OVHcloud's API/);
            expect(asked.filter((one) => !one.startsWith("GET "))).toEqual([]);
        } finally {
            await provider.close();
            await new Promise((resolve) => api.close(resolve));
        }
    });
});

describe("a list that never ends", () => {
    it("is an error, after many pages", async () => {
        let n = 0;
        const page = () =>
            Promise.resolve(Array.from({ length: 10 }, () => ({ ...app, id: `${n++}` })) as unknown as LiveApp[]);
        await expect(listApps(page, project, "a=b")).rejects.toThrow(
            /the list of apps with a=b does not end \(200 pages\)/,
        );
        // One that repeats itself, or whose pages count from 0, does end.
        const same = Array.from({ length: 10 }, (_, i) => ({ ...app, id: `${i}` })) as unknown as LiveApp[];
        expect(await listApps(() => Promise.resolve(same), project, "a=b")).toHaveLength(10);
    });
});
