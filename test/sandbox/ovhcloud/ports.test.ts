import { mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { appBody, startTestCloud, type TestCloud } from "./cloud";

/** Ports that another program has taken while the sandbox was stopped. */

let stateDir: string;
let cloud: TestCloud;
let taken: Server[] = [];

beforeEach(async () => {
    stateDir = mkdtempSync(join(tmpdir(), "ports-"));
    cloud = await startTestCloud({ stateDir });
});
afterEach(async () => {
    await cloud.close();
    for (const server of taken) server.close();
    taken = [];
    rmSync(stateDir, { recursive: true, force: true });
});

async function take(url: string): Promise<number> {
    const { port } = new URL(url);
    const server = createServer().listen(Number(port), "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    taken.push(server);
    return Number(port);
}

it("stay over a restart", async () => {
    const { id } = await cloud.api("POST", "/ai/app", appBody());
    const before = [cloud.cloud.url, cloud.app(id).url];
    await cloud.close();
    cloud = await startTestCloud({ stateDir });
    expect([cloud.cloud.url, cloud.app(id).url]).toEqual(before);
    expect(statSync(join(stateDir, "state.json")).mode & 0o777).toBe(0o600);
});

it("are replaced, those of the API and of an app, and the app says where it is", async () => {
    const { id } = await cloud.api("POST", "/ai/app", appBody());
    const before = { api: cloud.cloud.url, app: cloud.app(id).url };
    await cloud.close();
    await take(before.api);
    const port = await take(before.app);
    cloud = await startTestCloud({ stateDir });
    expect(cloud.cloud.url).not.toBe(before.api);
    expect(cloud.app(id).url).not.toBe(before.app);
    expect((await cloud.api("GET", `/ai/app/${id}`)).status.url).toBe(cloud.app(id).url);
    expect(cloud.lines.join("\n")).toContain(`port ${port} of app test-app is taken by another program`);
    expect((await cloud.ask(cloud.app(id), "/health")).status).toBe(401);
});
