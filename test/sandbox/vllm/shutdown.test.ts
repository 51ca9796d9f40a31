import { readFileSync } from "node:fs";
import { request, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startReplica } from "../../../sandbox/vllm/replica";
import { drained } from "../../../src/vllm/drain";
import { model, readyReplica, until, type TestReplica } from "./replica";

/** What clients saw of a real server, see recordings/shutdown/record.py. */
interface Seen {
    status: number | string | null;
    connection: string;
    last: string[];
    ended: boolean;
}
interface Recording {
    "exit code"?: number | null;
    "connect after 8 s"?: string;
    "clients after 8 s"?: Record<string, Seen>;
    "exit code after the clients left"?: number;
    "exit code after 20 s more"?: number | null;
    clients?: Record<string, Seen>;
    log: string[];
}
const recorded = JSON.parse(readFileSync(join(__dirname, "recordings/shutdown/v0.13.0.json"), "utf8")) as Record<
    string,
    Recording
>;

interface Client {
    seen(): Seen;
    tokens(): number;
    leave(): void;
    done: Promise<void>;
}

/** A client that keeps all that it is sent. */
function chat({ url }: TestReplica, stream: boolean): Client {
    let answer: IncomingMessage | undefined;
    let text = "";
    let connection = "open";
    const body = { messages: [{ role: "user", content: "hello" }], stream, max_tokens: 1900, ignore_eos: true };
    const call = request(`${url}/v1/chat/completions`, {
        method: "POST",
        agent: false,
        headers: { "content-type": "application/json" },
    });
    const done = new Promise<void>((resolve) => {
        const ended = (how: string): void => {
            connection = how;
            resolve();
        };
        call.on("error", () => ended("error"));
        call.on("response", (incoming) => {
            answer = incoming;
            incoming.setEncoding("utf8").on("data", (part: string) => (text += part));
            incoming.on("end", () => ended("end")).on("error", () => ended("error"));
        });
    });
    call.end(JSON.stringify(body));
    const parts = (): string[] => text.split("\n").filter((part) => part !== "");
    return {
        seen: () => ({
            status: answer?.statusCode ?? null,
            connection,
            last: parts()
                .slice(-2)
                .map((part) => (part.includes('"delta"') ? "a token" : plain(part))),
            ended: stream && connection === "end" && answer?.complete === true,
        }),
        tokens: () => text.split('"delta"').length - 1,
        leave: () => call.destroy(),
        done,
    };
}

/** Two streams and a request without, of which the streams have had tokens. */
async function underWay(server: TestReplica): Promise<Record<string, Client>> {
    const clients = {
        stream: chat(server, true),
        "another stream": chat(server, true),
        "no stream": chat(server, false),
    };
    await until(() => clients["another stream"].tokens() > 5 && clients.stream.tokens() > 5);
    return clients;
}
const views = (clients: Record<string, Client>): Record<string, Seen> =>
    Object.fromEntries(Object.entries(clients).map(([name, client]) => [name, client.seen()]));
/** An event or a body, without the spaces that Python puts into JSON. */
function plain(part: string): string {
    const [, before, json] = /^(data: )?(\{.*\})$/.exec(part) ?? [];
    return json === undefined ? part : (before ?? "") + JSON.stringify(JSON.parse(json));
}
/** Without what only the recording has: whether tokens came later. */
const asSeen = (clients: Record<string, Seen & { moreTokens?: boolean }>): Record<string, Seen> =>
    Object.fromEntries(
        Object.entries(clients).map(([name, { status, connection, last, ended }]) => [
            name,
            { status, connection, last: last.map(plain), ended },
        ]),
    );
/** Long answers that take a while. */
const slowSteps = { profiles: [] };

describe("SIGTERM", () => {
    it("ends the engine and the port at once; clients hear no more, and the process waits for them to leave", async () => {
        const real = recorded["SIGTERM, clients leave after 8 s"];
        expect(real["connect after 8 s"]).toBe("refused");
        const own = await readyReplica([], slowSteps);
        const clients = await underWay(own);
        const ended = own.replica.stop(60);
        await until(() => own.replica.port === 0);
        await expect(own.get("/health")).rejects.toThrow();
        const before = clients.stream.tokens();
        await new Promise((resolve) => setTimeout(resolve, 300));
        expect(clients.stream.tokens()).toBe(before);
        expect(views(clients)).toEqual(asSeen(real["clients after 8 s"]!));
        expect(own.replica.phase).toBe("draining");
        for (const client of Object.values(clients)) client.leave();
        await ended;
        expect(await own.replica.exited).toEqual({ code: real["exit code after the clients left"] });
        const said = "Shutting down FastAPI HTTP server.";
        expect(real.log.join("\n")).toContain(said);
        expect(own.log.join("\n")).toContain(said);
    });

    it("clients that stay are cut off when the platform kills the process", async () => {
        expect(recorded["SIGTERM, clients stay"]["exit code after 20 s more"]).toBeNull();
        const own = await readyReplica([], slowSteps);
        const clients = await underWay(own);
        await own.replica.stop(0.3);
        expect(await own.replica.exited).toEqual({ code: 137 });
        await Promise.all(Object.values(clients).map(({ done }) => done));
        expect(Object.values(views(clients)).map(({ connection }) => connection)).toEqual(["error", "error", "error"]);
    });

    it("without requests it ends by itself", async () => {
        const own = await readyReplica();
        await own.replica.stop(60);
        expect(await own.replica.exited).toEqual({ code: recorded["SIGTERM while idle"]["exit code"] });
    });

    it("from 0.18 on: an error at once, or requests go on for --shutdown-timeout", async () => {
        const own = await readyReplica([], { ...slowSteps, minor: 18 });
        const clients = await underWay(own);
        await own.replica.stop(60);
        expect(await own.replica.exited).toEqual({ code: 0 });
        await Promise.all(Object.values(clients).map(({ done }) => done));
        expect(clients.stream.seen().last.at(-1)).toBe("data: [DONE]");
        expect(clients["no stream"].seen().status).toBe(500);

        const patient = await readyReplica(["--shutdown-timeout", "50"], { minor: 18 });
        const client = chat(patient, true);
        await until(() => client.tokens() > 5);
        await patient.replica.stop(60);
        await client.done;
        expect(client.seen().last).toEqual(["a token", "data: [DONE]"]);
    });
});

describe("SIGTERM with the drain before the server", () => {
    const command = ["vllm", "serve", model];
    const port = 8000;

    it("requests under way and those that still come are answered whole, then the server ends", async () => {
        const own = await readyReplica([], { command: drained({ seconds: 60, port, command }) });
        const clients = await underWay(own);
        const ended = own.replica.stop(90);
        const late = chat(own, true);
        await until(() => own.replica.phase === "draining");
        expect(own.replica.port).not.toBe(0);
        await ended;
        await Promise.all([...Object.values(clients), late].map(({ done }) => done));
        for (const client of [clients.stream, clients["another stream"], late]) {
            expect(client.seen()).toMatchObject({ status: 200, ended: true, last: ["a token", "data: [DONE]"] });
        }
        expect(clients["no stream"].seen()).toMatchObject({ status: 200, connection: "end" });
        expect(await own.replica.exited).toEqual({ code: 0 });
        expect(own.log.join("\n")).toContain("[drain] SIGTERM");
    });

    it("what lasts longer is cut off", async () => {
        const own = await readyReplica([], { ...slowSteps, command: drained({ seconds: 0.3, port, command }) });
        const clients = await underWay(own);
        await own.replica.stop(0.6);
        expect(await own.replica.exited).toEqual({ code: 137 });
        await Promise.all(Object.values(clients).map(({ done }) => done));
        expect(Object.values(views(clients)).map(({ connection }) => connection)).toEqual(["error", "error", "error"]);
    });

    it("is over at once while the model loads", async () => {
        const replica = startReplica({
            command: drained({ seconds: 60, port, command }),
            ...{ env: {}, port: 0, speed: 1, log: () => undefined },
        });
        await until(() => replica.phase === "downloading" || replica.phase === "starting");
        await replica.stop(90);
        expect(await replica.exited).toEqual({ code: 0 });
    });
});

describe("death of the engine", () => {
    it("ends requests with an error, then the server, whose exit code is 0", async () => {
        const real = recorded["engine killed"];
        const own = await readyReplica([], slowSteps);
        const clients = await underWay(own);
        own.replica.outOfMemory();
        await Promise.all(Object.values(clients).map(({ done }) => done));
        expect((await own.get("/health")).status).toBe(503);
        expect(views(clients)).toEqual(asSeen(real.clients!));
        expect(await own.replica.exited).toEqual({ code: real["exit code"] });
        await expect(own.get("/health")).rejects.toThrow();
    });
});
