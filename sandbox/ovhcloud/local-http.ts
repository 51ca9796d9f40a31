import { get, type IncomingMessage } from "node:http";

const mostCharacters = 16 * 1024 ** 2;

/**
 * The body of a 2xx or 3xx answer on 127.0.0.1; anything else rejects. A replica shares this thread: when a burst of requests
 * has kept it busy for longer than the time-out, it gets some turns more, or a liveness probe would kill it for our slowness.
 * @param port 0: nothing listens
 */
export function fetchText(port: number, path: string, timeoutMs: number): Promise<string> {
    return new Promise((resolve, reject) => {
        if (port === 0) {
            reject(new Error("does not listen"));
            return;
        }
        const call = get({ host: "127.0.0.1", port, path, agent: false }, (answer: IncomingMessage) => {
            let text = "";
            answer.setEncoding("utf8").on("data", (part: string) => {
                text += part;
                if (text.length > mostCharacters) {
                    call.destroy(new Error(`the answer is longer than ${mostCharacters} characters`));
                }
            });
            // One that breaks off is an error of the answer, and none of the call.
            answer.on("error", reject);
            answer.on("end", () =>
                (answer.statusCode ?? 500) < 400 ? resolve(text) : reject(new Error(`status ${answer.statusCode}`)),
            );
        });
        const wait = (turns: number): void => {
            if (turns > 0) setImmediate(() => wait(turns - 1));
            else call.destroy(new Error(`no answer within ${timeoutMs / 1000} s`));
        };
        const timer = setTimeout(() => wait(20), timeoutMs);
        call.on("close", () => clearTimeout(timer));
        call.on("error", reject);
    });
}
