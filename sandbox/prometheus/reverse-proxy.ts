import { Agent } from "node:https";
import { join } from "node:path";
import { stringify } from "yaml";
import { writePrivate } from "../files";
import { forward } from "../http-forward";
import { close, createHttpServer, freePort, listenNear } from "../http-server";
import { makeAuthority } from "../ovhcloud/certificates";

export interface ReverseProxyOptions {
    /** Of the program, for errors. */
    name: string;
    /** Port on 127.0.0.1; a free one when it is 0 or taken. */
    port: number;
    log: (line: string) => void;
}

/**
 * The address of a program that would let everybody in, Prometheus or Alertmanager: any web page could end the one or send
 * the other an alert. Pages are refused here, and the program itself listens elsewhere and answers nobody but this proxy,
 * which in turn talks to no other: each has a certificate of an authority that exists in this process alone.
 */
export interface ReverseProxy {
    port: number;
    /** `http://127.0.0.1:PORT`; answers 502 while the program does not. */
    url: string;
    /** Flags for the next start of the program, and a port for it. What they name is written into this folder. */
    flags(dir: string): Promise<string[]>;
    close(): Promise<void>;
}

const bodyBytes = 10 * 1024 ** 2;
const silenceMs = 120_000;

/** Listens at once. */
export async function openReverseProxy({ name, port: wanted, log }: ReverseProxyOptions): Promise<ReverseProxy> {
    const authority = await makeAuthority(`CN=${name} of the sandbox on this machine`);
    const own = await authority.issue("CN=proxy", { client: true });
    const its = await authority.issue("CN=127.0.0.1", { names: ["127.0.0.1"] });
    const agent = new Agent({ keepAlive: true, ca: authority.certificate, cert: own.certificate, key: own.key });
    let target = 0;
    const server = createHttpServer({ bodyBytes, log }, ({ incoming }, answer) => {
        // Without a server name it would be that of the client's Host, such as localhost, which the certificate is not for.
        const to = { name, host: "127.0.0.1", port: target, servername: "", agent, ca: authority.certificate };
        return forward({ to, incoming, answer, bodyBytes, silenceMs });
    });
    const port = await listenNear(server, wanted);
    const url = `http://127.0.0.1:${port}`;
    return {
        port,
        url,
        async flags(dir) {
            const file = (part: string, text: string): string => {
                writePrivate(join(dir, part), text);
                return join(dir, part);
            };
            const tls = {
                cert_file: file("web.crt", its.certificate),
                key_file: file("web.key", its.key),
                client_ca_file: file("web-ca.crt", authority.certificate),
                client_auth_type: "RequireAndVerifyClientCert",
            };
            target = await freePort();
            return [
                `--web.listen-address=127.0.0.1:${target}`,
                `--web.config.file=${file("web.yaml", stringify({ tls_server_config: tls }))}`,
                `--web.external-url=${url}`,
            ];
        },
        async close() {
            agent.destroy();
            await close(server);
        },
    };
}
