/**
 * Keystone over HTTP, and Neutron behind it, as far as the real openstack plugin asks them for a cluster's private network: tokens for a user's
 * password or an application credential, and in each region networks, subnets, routers with their interfaces, and floating IPs.
 * Answers as in OpenStack's API reference (Identity v3, Networking v2.0).
 */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Neutron, Refusal, type Fields } from "./neutron";

/** The one project there is, and who may work in it. */
export const tenantId = "0000cafe0000cafe0000cafe0000cafe";
export const user = { name: "user-made-up", password: "made-up-password" };
export const applicationCredential = { id: "made-up-credential", secret: "made-up-secret" };
const regions = ["GRA11", "SBG5"];

export interface OpenStackCloud {
    /** For `OS_AUTH_URL`. */
    authUrl: string;
    close(): Promise<void>;
}

export async function startOpenStack(): Promise<OpenStackCloud> {
    const neutrons = Object.fromEntries(regions.map((region) => [region, new Neutron(tenantId)]));
    const tokens = new Set<string>();
    const server = createServer((request, response) => {
        void answer(request, response).catch((error: unknown) => {
            const { status = 500, type = "Error", message } = error as Refusal;
            const body =
                type === "Unauthorized"
                    ? { error: { code: status, title: type, message } }
                    : { NeutronError: { type, message, detail: "" } };
            send(response, status, body);
        });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

    async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
        let text = "";
        for await (const part of request.setEncoding("utf8")) text += String(part);
        const body = (text === "" ? {} : JSON.parse(text)) as Fields;
        const { pathname, searchParams } = new URL(request.url!, url);
        const [service, ...path] = pathname.split("/").filter((part) => part !== "");
        if (request.method === "POST" && pathname === "/v3/auth/tokens") {
            const token = randomUUID();
            const known = tokenOf(body.auth as Fields);
            tokens.add(token);
            response.setHeader("X-Subject-Token", token);
            return send(response, 201, known);
        }
        if (!tokens.has(String(request.headers["x-auth-token"]))) throw unauthorized();
        const [region, version, ...rest] = path;
        if (service !== "network" || version !== "v2.0" || !Object.hasOwn(neutrons, region)) {
            throw new Refusal(404, "HTTPNotFound", "The resource could not be found.");
        }
        const { status, body: said } = neutrons[region].handle(request.method!, rest, searchParams, body);
        send(response, status, said);
    }

    function tokenOf({ identity, scope }: Fields): Fields {
        const { password, application_credential: credential } = identity as Fields;
        const isUser = password?.user.name === user.name && password.user.password === user.password;
        const isCredential =
            credential?.id === applicationCredential.id && credential.secret === applicationCredential.secret;
        // A credential is of one project; a user says in which he works.
        if (!isCredential && !(isUser && scope?.project.id === tenantId)) throw unauthorized();
        const endpoints = regions.map((region) => ({
            id: randomUUID(),
            interface: "public",
            region,
            region_id: region,
            url: `${url}/network/${region}/`,
        }));
        const project = { id: tenantId, name: "made-up", domain: { id: "default", name: "Default" } };
        return {
            token: {
                methods: identity.methods as unknown,
                issued_at: new Date().toISOString(),
                expires_at: new Date(Date.now() + 3_600_000).toISOString(),
                user: { id: "made-up", name: user.name, domain: project.domain },
                project,
                roles: [{ id: "made-up", name: "network_operator" }],
                catalog: [{ id: "made-up", type: "network", name: "neutron", endpoints }],
            },
        };
    }

    return {
        authUrl: `${url}/v3`,
        async close() {
            server.closeAllConnections();
            await new Promise((resolve) => server.close(resolve));
        },
    };
}

function unauthorized(): Refusal {
    return new Refusal(401, "Unauthorized", "The request you have made requires authentication.");
}

function send(response: ServerResponse, status: number, body?: Fields): void {
    response.writeHead(status, { "content-type": "application/json" }).end(body && JSON.stringify(body));
}
