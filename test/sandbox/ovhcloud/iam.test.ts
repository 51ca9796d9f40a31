import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { OvhClient } from "../../../packages/ai-deploy/src/api/client";
import { resolveCredentials } from "../../../packages/ai-deploy/src/api/credentials";
import { explain } from "../../../packages/ai-deploy/src/errors/explain";
import type { Actor } from "../../../access/actors";
import { sandboxCredentials, sandboxProjectId, tokenOf } from "../../../sandbox/credentials";
import { startOvhCloud, type OvhCloud } from "../../../sandbox/ovhcloud/server";
import { OvhApi } from "../../../sandbox/plugins/ovh-api";

let folder: string;
let cloud: OvhCloud;
const project = `/cloud/project/${sandboxProjectId}`;
const token = { name: "made-up", region: "GRA", role: "ai_training_read", labelSelector: "group=made-up" };

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "iam-"));
    const none = () => Promise.resolve();
    cloud = await startOvhCloud({
        stateDir: folder,
        credentials: sandboxCredentials,
        projectId: sandboxProjectId,
        callsPerMinute: Infinity,
        mks: {
            create: none,
            kubeconfig: async () => "",
            resetKubeconfig: none,
            scale: none,
            resume: none,
            delete: none,
        },
    });
});
afterAll(async () => {
    await cloud.close();
    rmSync(folder, { recursive: true });
});

function credentialsOf(actor: Actor) {
    const env = { OVH_ENDPOINT: cloud.url, OVH_ACCESS_TOKEN: tokenOf(actor) };
    return resolveCredentials({ config: () => undefined, env, files: [] });
}
const clientOf = (actor: Actor): OvhClient => new OvhClient(credentialsOf(actor), { requestsPerMinute: 60_000 });

it("an account that may only look is refused to write, in the form of the real API", async () => {
    const answer = await fetch(`${cloud.url}${project}/ai/token`, {
        method: "POST",
        headers: { authorization: `Bearer ${tokenOf("preview")}`, "content-type": "application/json" },
        body: JSON.stringify(token),
    });
    expect(answer.status).toBe(403);
    expect(answer.headers.get("x-ovh-queryid")).toBeTruthy();
    expect(await answer.json()).toEqual({
        class: "Client::Forbidden",
        message: "User not granted for this request",
        details: {
            unauthorizedActionsByAuthentication: "",
            unauthorizedActionsByIAM: "publicCloudProject:apiovh:ai/token/create",
        },
    });
    expect(cloud.tokens()).toEqual([]);
});

it("it may look, and is logged by name with the action that it used", async () => {
    expect(await clientOf("preview").get(`${project}/ai/app`)).toEqual([]);
    expect(cloud.requests().at(-1)).toMatchObject({
        account: "preview",
        actions: ["publicCloudProject:apiovh:ai/app/get"],
        status: 200,
    });
});

it("one that may write, does", async () => {
    await clientOf("deploy").post(`${project}/ai/token`, token);
    expect(cloud.tokens()).toHaveLength(1);
});

it("the schedule reads no token", async () => {
    await expect(clientOf("schedule").get(`${project}/ai/token`)).rejects.toThrow(/403.*ai\/token\/get/);
});

it("the owner's keys may do everything, as before", async () => {
    const { applicationKey, applicationSecret, consumerKey } = sandboxCredentials;
    const env = {
        OVH_ENDPOINT: cloud.url,
        OVH_APPLICATION_KEY: applicationKey,
        OVH_APPLICATION_SECRET: applicationSecret,
        OVH_CONSUMER_KEY: consumerKey,
    };
    const owner = new OvhClient(resolveCredentials({ config: () => undefined, env, files: [] }));
    await owner.post(`${project}/ai/token`, { ...token, name: "another" });
    expect(cloud.requests().at(-1)).not.toHaveProperty("account", expect.anything());
});

it("both providers name the action that is missing, and ours what to do", async () => {
    const refused: unknown = await clientOf("preview")
        .post(`${project}/ai/token`, token)
        .catch((error: unknown) => error);
    const said = explain(refused, "making a token", []).message;
    expect(said).toMatch(/\(missing IAM permissions: publicCloudProject:apiovh:ai\/token\/create\)/);
    expect(said).toMatch(/Add what is missing to the policy of the service account/);
    await expect(new OvhApi(credentialsOf("preview")).post(`${project}/kube`, { region: "GRA11" })).rejects.toThrow(
        'OVHcloud API error (status code 403): Client::Forbidden: "User not granted for this request (missing IAM ' +
            'permissions: publicCloudProject:apiovh:kube/create)"',
    );
});

it("a token of nobody is no account", async () => {
    const answer = await fetch(`${cloud.url}${project}/ai/app`, { headers: { authorization: "Bearer made-up" } });
    expect(answer.status).toBe(401);
});
