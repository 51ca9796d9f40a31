import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { forgeOfJob, gitHub, gitLab } from "../../../tools/pipeline/forge";

/** A service that holds lists by path, and writes down what is sent. */
let server: Server;
let base: string;
let lists: Record<string, object[]>;
let sent: { call: string; body: unknown; authorization?: string }[];
let refuse: number | undefined;
/** What was read, with the query. */
let asked: string[];

beforeEach(async () => {
    [lists, sent, refuse, asked] = [{}, [], undefined, []];
    server = createServer((request, answer) => {
        const url = new URL(request.url!, "http://127.0.0.1");
        let text = "";
        request.on("data", (part: Buffer) => (text += part.toString()));
        request.on("end", () => {
            if (refuse) {
                return void answer.writeHead(refuse).end('{"message":"Resource not accessible by integration"}');
            }
            if (request.method === "GET") {
                asked.push(request.url!);
                const page = Number(url.searchParams.get("page") ?? 1);
                const list = lists[url.pathname];
                const found = Array.isArray(list) ? list.slice((page - 1) * 100, page * 100) : list;
                return void answer.end(JSON.stringify(found ?? []));
            }
            const { authorization, "private-token": privateToken } = request.headers;
            sent.push({
                call: `${request.method} ${url.pathname}`,
                body: JSON.parse(text),
                authorization: authorization ?? String(privateToken),
            });
            answer.writeHead(201).end("{}");
        });
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => new Promise((done) => server.close(done)));

const marker = "<!-- m -->";
const title = "Stack dev is not as its last up left it";
const bot = { login: "github-actions[bot]" };

describe("GitHub", () => {
    const forge = () => gitHub(base, "o/r", "made-up-token");
    const comments = "/repos/o/r/issues/7/comments";
    const body = `${marker}\nbefore`;

    it("replaces its own comment, not one that somebody began alike", async () => {
        lists[comments] = [
            { id: 11, user: { login: "somebody" }, body },
            { id: 12, user: bot, body },
        ];
        expect(await forge().keepComment(7, marker, "now")).toBe("replaced");
        expect(sent).toEqual([
            {
                call: "PATCH /repos/o/r/issues/comments/12",
                body: { body: "now" },
                authorization: "Bearer made-up-token",
            },
        ]);
    });

    it("finds it on a later page", async () => {
        lists[comments] = [
            ...Array.from({ length: 100 }, (_, id) => ({ id, user: { login: "somebody" }, body: "hello" })),
            { id: 500, user: bot, body },
        ];
        expect(await forge().keepComment(7, marker, "now")).toBe("replaced");
    });

    it("makes one where it has none", async () => {
        lists[comments] = [
            { id: 1, user: null, body },
            { id: 2, user: bot, body: "another of the bot's" },
        ];
        expect(await forge().keepComment(7, marker, "now")).toBe("made");
        expect(sent.map(({ call }) => call)).toEqual([`POST ${comments}`]);
    });

    it("opens an issue once, renews it, and closes it when nothing differs", async () => {
        const issues = "/repos/o/r/issues";
        expect(await forge().keepIssue(title, "a")).toBe("opened");
        lists[issues] = [
            { number: 3, title, user: { login: "somebody" } },
            { number: 4, title, user: bot, pull_request: {} },
            { number: 5, title, user: bot },
        ];
        expect(await forge().keepIssue(title, "b")).toBe("replaced");
        expect(await forge().closeIssue(title, "gone")).toBe("closed");
        expect(sent.map(({ call, body: of }) => [call, of])).toEqual([
            ["POST /repos/o/r/issues", { title, body: "a" }],
            ["PATCH /repos/o/r/issues/5", { body: "b" }],
            ["POST /repos/o/r/issues/5/comments", { body: "gone" }],
            ["PATCH /repos/o/r/issues/5", { state: "closed" }],
        ]);
    });

    it("knows the commit of the last deployment that succeeded, of this workflow and branch", async () => {
        const runs = "/repos/o/r/actions/workflows/deploy.yml/runs";
        const ref = "o/r/.github/workflows/deploy.yml@refs/heads/main";
        const of = (workflow?: string) => gitHub(base, "o/r", "made-up-token", workflow).lastSuccess();
        lists[runs] = { workflow_runs: [] } as unknown as object[];
        expect(await of(ref)).toBeUndefined();
        lists[runs] = { workflow_runs: [{ head_sha: "0a1b2c" }] } as unknown as object[];
        expect(await of(ref)).toBe("0a1b2c");
        expect(asked.at(-1)).toBe(`${runs}?branch=main&event=push&status=success&per_page=1`);
        await expect(of("o/r/.github/workflows/deploy.yml@refs/pull/7/merge")).rejects.toThrow(
            /names no workflow of a/,
        );
        await expect(of(undefined)).rejects.toThrow(/GITHUB_WORKFLOW_REF is not set/);
    });

    it("closes nothing where nothing is open", async () => {
        expect(await forge().closeIssue(title, "gone")).toBe("none");
        expect(sent).toEqual([]);
    });

    it("a refusal says which permission the job lacks, and never the token", async () => {
        refuse = 403;
        const failed = forge().keepComment(7, marker, "now");
        await expect(failed).rejects.toThrow(/403 .*permissions: pull-requests: write/);
        await expect(failed).rejects.not.toThrow(/made-up-token/);
    });
});

describe("GitLab", () => {
    const forge = () => gitLab(base, "42", "made-up-token");
    beforeEach(() => {
        lists["/user"] = { id: 9 } as unknown as object[];
    });

    it("keeps one note on a merge request", async () => {
        const notes = "/projects/42/merge_requests/7/notes";
        expect(await forge().keepComment(7, marker, "a")).toBe("made");
        lists[notes] = [
            { id: 1, author: { id: 8 }, body: `${marker} alike` },
            { id: 2, author: { id: 9 }, body: `${marker} own` },
        ];
        expect(await forge().keepComment(7, marker, "b")).toBe("replaced");
        expect(sent.map(({ call }) => call)).toEqual([`POST ${notes}`, `PUT ${notes}/2`]);
        expect(sent[0].authorization).toBe("made-up-token");
    });

    it("opens, renews and closes an issue", async () => {
        const issues = "/projects/42/issues";
        expect(await forge().keepIssue(title, "a")).toBe("opened");
        lists[issues] = [{ iid: 5, title, author: { id: 9 } }];
        expect(await forge().keepIssue(title, "b")).toBe("replaced");
        expect(await forge().closeIssue(title, "gone")).toBe("closed");
        expect(sent.map(({ call, body }) => [call, body])).toEqual([
            [`POST ${issues}`, { title, description: "a" }],
            [`PUT ${issues}/5`, { description: "b" }],
            [`POST ${issues}/5/notes`, { body: "gone" }],
            [`PUT ${issues}/5`, { state_event: "close" }],
        ]);
    });
});

describe("the job's own service", () => {
    it("is told by the variables of the job", () => {
        const gitHubJob = { GITHUB_ACTIONS: "true", GITHUB_REPOSITORY: "o/r", GITHUB_TOKEN: "made-up" };
        expect(forgeOfJob(gitHubJob)).toHaveProperty("keepComment");
        expect(() => forgeOfJob({ ...gitHubJob, GITHUB_TOKEN: "" })).toThrow(/GITHUB_TOKEN is not set/);
        expect(() => forgeOfJob({ GITLAB_CI: "true" })).toThrow(/PIPELINE_TOKEN is not set/);
        expect(() => forgeOfJob({})).toThrow(/no job of GitHub Actions or GitLab CI/);
    });

    it("nobody answers: the error says who", async () => {
        await expect(gitHub("http://127.0.0.1:9", "o/r", "made-up").keepIssue("t", "b")).rejects.toThrow(
            /no answer from http:\/\/127\.0\.0\.1:9/,
        );
    });
});
