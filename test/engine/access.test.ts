import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { actors, type Actor } from "../../access/actors";
import { OvhClient } from "../../packages/ai-deploy/src/api/client";
import { resolveCredentials } from "../../packages/ai-deploy/src/api/credentials";
import { sandboxProjectId } from "../../sandbox/credentials";
import { checkout } from "../../sandbox/layout";
import { followRunbook } from "./runbook";
import { openStage, type Stage } from "./stage";

type Pair = Record<"OVH_CLIENT_ID" | "OVH_CLIENT_SECRET", string>;

let stage: Stage;
const project = `/cloud/project/${sandboxProjectId}`;

const noClusters = (): never => {
    throw new Error("this cloud has no clusters");
};

beforeAll(async () => {
    const mks = {
        ...{ create: noClusters, kubeconfig: noClusters, resetKubeconfig: noClusters },
        ...{ scale: noClusters, resume: noClusters, delete: noClusters },
    };
    stage = await openStage({ program: join(checkout, "access"), config: {}, mks });
    stage.configure({ projectId: sandboxProjectId });
    // Where the runbook goes by `cd`.
    mkdirSync(join(stage.layout.dir, "access"));
});
afterAll(() => stage.close());

async function succeed(run: ReturnType<Stage["up"]>): Promise<string> {
    const { code, stdout, stderr } = await run;
    expect(code, stdout + stderr).toBe(0);
    return stdout + stderr;
}

/** OVHcloud as a job asks it that holds this pair and nothing else. Rejects where the pair opens nothing. */
async function as({ OVH_CLIENT_ID, OVH_CLIENT_SECRET }: Pair): Promise<OvhClient> {
    const { url } = stage.cloud.api;
    // By the token that the pair is good for: where the token of another endpoint than OVHcloud's is had, no client knows.
    const asked = { grant_type: "client_credentials", client_id: OVH_CLIENT_ID, client_secret: OVH_CLIENT_SECRET };
    const answer = await fetch(`${new URL(url).origin}/auth/oauth2/token`, {
        method: "POST",
        body: new URLSearchParams(asked),
    });
    if (!answer.ok) throw new Error(`no token: ${answer.status}`);
    const { access_token: token } = (await answer.json()) as { access_token: string };
    const env = { OVH_ENDPOINT: url, OVH_ACCESS_TOKEN: token };
    return new OvhClient(resolveCredentials({ config: () => undefined, env, files: [] }), {
        requestsPerMinute: 60_000,
    });
}

const accounts = async () => (await stage.outputs()).accounts as Record<Actor, Pair>;
const apps = async (pair: Pair): Promise<unknown> => (await as(pair)).get(`${project}/ai/app`);
const createToken = async (pair: Pair): Promise<unknown> =>
    (await as(pair)).post(`${project}/ai/token`, {
        ...{ name: "made-up", region: "GRA", role: "ai_training_read", labelSelector: "group=made-up" },
    });

describe.sequential("the stack of the accounts, real engine", () => {
    it("makes an account for each actor, which may do what the actor does and nothing else", async () => {
        await succeed(stage.up());
        const made = await accounts();
        expect(Object.keys(made).sort()).toEqual([...actors].sort());
        for (const actor of actors) expect(await apps(made[actor]), actor).toEqual([]);
        for (const actor of ["preview", "drift", "schedule"] as const) {
            await expect(createToken(made[actor]), actor).rejects.toThrow(/403.*ai\/token\/create/);
        }
        await createToken(made.deploy);
        expect(stage.cloud.api.tokens()).toHaveLength(1);
        for (const { OVH_CLIENT_SECRET } of Object.values(made)) {
            expect(stage.stateText()).not.toContain(OVH_CLIENT_SECRET);
        }
        await succeed(stage.previewNothing());
    });

    it("a rotation gives one of them another pair that may do the same, and ends the old one", async () => {
        const before = await accounts();
        const said = await succeed(followRunbook(stage, "Rotate OVHcloud's credentials"));
        const after = await accounts();
        expect(said).toContain(after.deploy.OVH_CLIENT_SECRET);
        expect(after.deploy.OVH_CLIENT_SECRET).not.toBe(before.deploy.OVH_CLIENT_SECRET);
        expect({ ...after, deploy: undefined }).toEqual({ ...before, deploy: undefined });
        await createToken(after.deploy);
        await expect(createToken(before.deploy)).rejects.toThrow("no token: 401");
        expect(stage.cloud.api.tokens()).toHaveLength(2);
        await succeed(stage.previewNothing());
    });

    it("destroy ends them all", async () => {
        const before = await accounts();
        await succeed(stage.destroy());
        for (const actor of actors) await expect(apps(before[actor]), actor).rejects.toThrow("no token: 401");
    });
});
