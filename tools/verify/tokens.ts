import type { LiveApp } from "../../packages/ai-deploy/src/app/live";
import { tokenArgs } from "../../src/inference/app-args";
import { ask } from "../http";
import { apiAnswers, type AiDeploy, type VerifiedModel } from "./app";
import { caution, expect, unseen, type Check } from "./check";
import { opens } from "./serving";

/** An AI token as OVHcloud's API shows it: without its value. */
interface LiveToken {
    id: string;
    createdAt?: string;
    updatedAt?: string;
    spec: { name: string; role: string; labelSelector?: string | null };
}

/** A credential that has been in use for longer should be another one. */
const oldDays = 180;

/** Checks the tokens of each model, and that no other of the project's opens it. */
export async function checkTokens(check: Check, models: VerifiedModel[], api: AiDeploy, ca?: Buffer): Promise<void> {
    const needs = [apiAnswers];
    let tokens: LiveToken[] = [];
    const read = async (): Promise<LiveToken[]> =>
        (tokens = await api.client.get<LiveToken[]>(`/cloud/project/${encodeURIComponent(api.projectId)}/ai/token`));
    await check(
        "no token opens every app of the project",
        async () => {
            const open = (await read()).filter(({ spec }) => !spec.labelSelector);
            const names = open.map(({ id, spec }) => `"${spec.name}" (${id}, ${spec.role})`);
            const fix = `delete what nothing uses: ovhai token delete ${open[0]?.id}`;
            caution(open.length === 0, `without a label selector: ${names.join(", ")}`, fix);
            return `${tokens.length} tokens, each bound to a label`;
        },
        { needs },
    );
    for (const model of models) {
        for (const purpose of ["client", "scrape"] as const) {
            await checkToken(check, model, purpose, () => tokens);
        }
        await check(`${model.name}: the client token opens no other app`, () => tryOthers(model, api, ca), {
            needs: [apiAnswers, opens(model.name)],
        });
    }
}

async function checkToken(
    check: Check,
    { name, settings }: VerifiedModel,
    purpose: "client" | "scrape",
    tokens: () => LiveToken[],
): Promise<void> {
    const wanted = tokenArgs(settings, purpose, { name, projectId: "", adoptionLabel: "" }) as {
        name: string;
        role: string;
        labelSelector: string;
    };
    const title = `${name}: ${purpose} token can read, and is bound to this app`;
    const rotate = `pulumi config set --path models.${name}.tokens.${purpose}Rotation "$(date +%F)" && pulumi up`;
    const own = (): LiveToken[] => tokens().filter(({ spec }) => spec.name === wanted.name);
    await check(
        title,
        async () => {
            const found = own();
            expect(found.length > 0, `the project has no token "${wanted.name}"`, "pulumi refresh, then pulumi up");
            for (const { id, spec } of found) {
                const said = `token ${id} has role ${spec.role} and selector ${spec.labelSelector || "none"}`;
                const fits = spec.role === wanted.role && spec.labelSelector === wanted.labelSelector;
                expect(fits, `${said}, not ${wanted.role} and ${wanted.labelSelector}`, rotate);
            }
            const before = found.length > 1 ? `; ${found.length - 1} of before a rotation` : "";
            return `${wanted.role}, ${wanted.labelSelector}${before}`;
        },
        { needs: [apiAnswers] },
    );
    await check(
        `${name}: ${purpose} token is not old`,
        async () => {
            const made = own().map(({ createdAt, updatedAt }) => Date.parse(updatedAt ?? createdAt ?? ""));
            if (made.some(Number.isNaN)) unseen("the platform does not say when it was made");
            const days = Math.floor((Date.now() - Math.max(...made)) / 86_400_000);
            caution(days <= oldDays, `${days} days old`, rotate);
            return `${days} days`;
        },
        { needs: [title] },
    );
}

/** Asks every other app that could answer, with this model's token. */
async function tryOthers({ settings, output }: VerifiedModel, api: AiDeploy, ca?: Buffer): Promise<string> {
    // The first page of them: one that opens is enough to know.
    const apps = await api.client.get<LiveApp[]>(`/cloud/project/${encodeURIComponent(api.projectId)}/ai/app`);
    const others = apps.filter(
        ({ id, status }) => id !== output.appId && ["RUNNING", "SCALING"].includes(status.state),
    );
    const { label } = settings.tokens;
    for (const { id, spec, status } of others) {
        const { status: answer } = await ask(`${status.url}/v1/models`, { ca, token: output.clientToken });
        const fix = `give each model its own value of the label: models.*.labels.${label}`;
        expect([401, 403].includes(answer), `app ${spec.name} (${id}) answers it ${answer}`, fix);
    }
    if (others.length === 0) return "no other app runs in the project; its selector names this app's label";
    return `refused by ${others.map(({ spec }) => spec.name).join(", ")}`;
}
