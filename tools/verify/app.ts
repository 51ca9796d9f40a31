import { createHash } from "node:crypto";
import type { OvhClient } from "../../packages/ai-deploy/src/api/client";
import { comparableInputs, comparableLive, isAsWanted, type Field } from "../../packages/ai-deploy/src/app/comparable";
import { adoptionLabelName, type LiveApp } from "../../packages/ai-deploy/src/app/live";
import type { AppInputs } from "../../packages/ai-deploy/src/app/args";
import { appArgs } from "../../src/inference/app-args";
import { maySleep, type ModelSettings } from "../../src/settings";
import { advisoriesRead, imageHoles } from "../../src/vllm/advisories";
import type { ModelOutput } from "../stack";
import { caution, eventually, expect, unseen, type Check } from "./check";

/** A model of the stack: as it is configured, and as the stack tells of it. */
export interface VerifiedModel {
    /** Name in the stack config. */
    name: string;
    settings: ModelSettings;
    output: ModelOutput;
}

/** AI Deploy as OVHcloud's API shows it; only read. */
export interface AiDeploy {
    client: Pick<OvhClient, "get">;
    projectId: string;
}

/** How to wake a model, in the words of a fix. */
export const wakeCommand = "npm run chat -- --wake hello";

/** The path of an app in OVHcloud's API. */
export function appPath(projectId: string, appId: string): string {
    return `/cloud/project/${encodeURIComponent(projectId)}/ai/app/${encodeURIComponent(appId)}`;
}

export function readApp({ client, projectId }: AiDeploy, appId: string): Promise<LiveApp> {
    return client.get<LiveApp>(appPath(projectId, appId));
}

/** States in which an app answers: one that adds or removes replicas goes on serving. */
const servingStates = ["RUNNING", "SCALING"];

/**
 * Whether the app does what it is configured to: it runs, or is stopped on purpose.
 * @param patienceSeconds how long it may take, for one that is known to boot
 */
export async function checkRunning(
    check: Check,
    { name, settings, output }: VerifiedModel,
    api: AiDeploy,
    patienceSeconds = 0,
): Promise<void> {
    const stopped = settings.desiredState === "STOPPED";
    await check(
        runs(name, settings),
        () =>
            eventually(async () => {
                const { spec, status } = await readApp(api, output.appId);
                const fine = stopped ? status.state === "STOPPED" : servingStates.includes(status.state);
                if (status.state === "STANDBY" && maySleep(settings)) {
                    unseen("it is asleep, as it may be, and is not woken to be looked at", wakeCommand);
                }
                const message = status.info?.message ? `: ${status.info.message}` : "";
                expect(fine, `app ${output.appId} is ${status.state}${message}`, wayOut(status.state, name));
                const { availableReplicas = 0 } = status;
                expect(
                    stopped || availableReplicas > 0,
                    `app ${output.appId} is ${status.state}, and no replica is ready`,
                );
                return `${spec.name} ${output.appId}, ${availableReplicas} replica(s)`;
            }, patienceSeconds),
        { needs: [apiAnswers] },
    );
}

/** The first promise of all that OVHcloud's API is asked for. */
export const apiAnswers = "OVHcloud's API answers these credentials";

/** What a model promises of its state. */
export function runs(name: string, { desiredState }: Pick<ModelSettings, "desiredState">): string {
    return desiredState === "STOPPED" ? `${name}: app is stopped, as configured` : `${name}: app is RUNNING`;
}

function wayOut(state: string, name: string): string {
    if (state === "STOPPED") return "start it: pulumi up";
    if (state === "STANDBY") return `set replicas.min back, or wake it: ${wakeCommand}`;
    if (state === "QUEUED") return "it waits for a GPU: try another region or flavor, or wait";
    return `look at its log: ovhai app logs, or models.${name} in the control panel; then pulumi up`;
}

/** A line of the reference architecture's list, and what of an app it is made of. */
const parts: { what: string; fields: Field[] }[] = [
    {
        what: "name, image, region, flavor, port and labels as configured",
        fields: ["name", "image", "region", "flavor", "gpu", "defaultHttpPort", "labels"],
    },
    { what: "environment as configured", fields: ["envVars"] },
    { what: "volumes as configured", fields: ["volumes"] },
    { what: "probes as configured", fields: ["livenessProbe", "readinessProbe"] },
    { what: "autoscaling as configured", fields: ["scalingStrategy", "deploymentStrategy"] },
    { what: "command as configured", fields: ["command"] },
    { what: "the platform asks for a token", fields: ["unsecureHttp"] },
];

/** A part of an app for people. */
function shown(field: Field, value: unknown): string {
    // Names alone: values of variables may be secrets.
    if (field === "envVars") return Object.keys(value as object).join(", ");
    return JSON.stringify(field === "command" ? (value as string[]).map(shownWord) : value);
}

/** A word of a command; of a program in it, such as the one that drains, only whether it is the same. */
function shownWord(word: string): string {
    if (!word.includes("\n")) return word;
    const digest = createHash("sha256").update(word).digest("hex").slice(0, 8);
    return `(program of ${word.trimEnd().split("\n").length} lines, sha256 ${digest})`;
}

/** Whether the platform holds the app that is configured, a line for each part of it. */
export async function checkConfigured(
    check: Check,
    { name, settings, output }: VerifiedModel,
    api: AiDeploy,
    huggingFaceToken: string,
): Promise<void> {
    let live: LiveApp | undefined;
    const inputs = (found: LiveApp) =>
        appArgs(settings, {
            name,
            projectId: api.projectId,
            huggingFaceToken,
            // A random one, which the state alone knows.
            adoptionLabel: found.spec.labels?.[adoptionLabelName] ?? "",
        }) as AppInputs;
    for (const { what, fields } of parts) {
        await check(
            `${name}: ${what}`,
            async () => {
                live ??= await readApp(api, output.appId);
                const wanted = comparableInputs(inputs(live));
                const is = comparableLive(live, inputs(live));
                const wrong = fields.filter((field) => !isAsWanted(field, is, wanted));
                const said = wrong.map(
                    (field) => `${field} is ${shown(field, is[field])}, configured is ${shown(field, wanted[field])}`,
                );
                expect(wrong.length === 0, said.join("; "), "pulumi refresh, then pulumi up, brings it back");
                return fields
                    .filter((field) => wanted[field] !== undefined)
                    .map((field) => `${field} ${shown(field, is[field])}`)
                    .join(", ");
            },
            { needs: [apiAnswers] },
        );
    }
}

/** Whether something is known against the image. */
export async function checkImage(check: Check, { name, settings }: VerifiedModel): Promise<void> {
    await check(`${name}: no security hole is known of the image`, async () => {
        const holes = imageHoles(name, settings.image);
        caution(holes === undefined, holes?.what ?? "", holes?.fix);
        return `${settings.image}, as of ${advisoriesRead}`;
    });
}

/** Whether the log shows that the server started. */
export async function checkLog(check: Check, { name, settings, output }: VerifiedModel, api: AiDeploy): Promise<void> {
    if (settings.desiredState === "STOPPED") return;
    await check(
        `${name}: its log shows that the server started`,
        async () => {
            const path = `${appPath(api.projectId, output.appId)}/log?size=1000`;
            const { logs } = await api.client.get<{ logs: { content: string; timestamp: string }[] }>(path);
            const said = logs.findLast(({ content }) => /startup complete|Uvicorn running|" 200/.test(content));
            if (!said) unseen(`the last ${logs.length} lines do not say so, nor that it answers`);
            return `${said.timestamp} ${said.content.trim().slice(0, 80)}`;
        },
        { needs: [runs(name, settings)] },
    );
}
