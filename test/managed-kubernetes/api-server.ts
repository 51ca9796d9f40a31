import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { stringify } from "yaml";
import { makeCertificates } from "../../sandbox/ovhcloud/certificates";

export interface ApiServer {
    kubeconfig: string;
    /** Requests so far, such as `DELETE /api/v1/namespaces/monitoring`. */
    requests: string[];
    close(): Promise<void>;
}

/** An API server that answers as `answer` says: a status and a body for method, path and body of a request. */
export async function startApiServer(
    answer: (method: string, path: string, body: any) => { status?: number; body?: unknown } | "hang",
): Promise<ApiServer> {
    const { ca, certificate, key } = await makeCertificates();
    const requests: string[] = [];
    const server = createServer({ cert: certificate, key }, (request, response) => {
        const chunks: Buffer[] = [];
        request.on("data", (chunk: Buffer) => chunks.push(chunk));
        request.on("end", () => {
            const path = decodeURIComponent(request.url!);
            requests.push(`${request.method} ${path}`);
            const text = Buffer.concat(chunks).toString();
            const given = answer(request.method!, path, text === "" ? undefined : JSON.parse(text));
            if (given === "hang") return;
            response.writeHead(given.status ?? 200, { "Content-Type": "application/json" });
            response.end(JSON.stringify(given.body ?? {}));
        });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    const kubeconfig = stringify({
        "current-context": "test",
        contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
        clusters: [
            {
                name: "test",
                cluster: { server: `https://127.0.0.1:${port}`, "certificate-authority-data": base64(ca) },
            },
        ],
        users: [{ name: "test", user: { token: "made-up-token" } }],
    });
    return {
        kubeconfig,
        requests,
        close: () =>
            new Promise((resolve) => {
                server.close(() => resolve());
                server.closeAllConnections();
            }),
    };
}
