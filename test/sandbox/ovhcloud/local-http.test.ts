import { afterEach, expect, it } from "vitest";
import { close, createHttpServer, listen } from "../../../sandbox/http-server";
import { fetchText } from "../../../sandbox/ovhcloud/local-http";

/** What reads the probes and metrics of replicas, or of anything that a metric's URL names on this machine. */

const server = createHttpServer({ bodyBytes: 0, log: () => undefined }, ({ url }, answer) => {
    if (url.pathname === "/hangs") return;
    if (url.pathname === "/stops") return void answer.writeHead(200).write("begun");
    if (url.pathname === "/goes-on") {
        const more = (): void => {
            if (!answer.destroyed) answer.write("x".repeat(1024 ** 2), more);
        };
        return more();
    }
    answer.writeHead(url.pathname === "/fails" ? 503 : 200).end("text");
});
afterEach(() => close(server));

it("gives a text, or rejects in time and size with what was wrong", async () => {
    const port = await listen(server, 0);
    const failure = (path: string, timeoutMs: number, at = port): Promise<string> =>
        fetchText(at, path, timeoutMs).catch(({ message }: Error) => message);
    expect(await fetchText(port, "/", 10_000)).toBe("text");
    expect(await failure("/", 10_000, 0)).toBe("does not listen");
    expect(await failure("/fails", 10_000)).toBe("status 503");
    expect(await failure("/hangs", 50)).toBe("no answer within 0.05 s");
    expect(await failure("/stops", 500)).toBe("no answer within 0.5 s");
    expect(await failure("/goes-on", 60_000)).toContain("the answer is longer than");
});
