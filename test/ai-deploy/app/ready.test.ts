import { expect, it } from "vitest";
import { restartsReplicas } from "../../../packages/ai-deploy/src/app/plan";
import { diff } from "../../../packages/ai-deploy/src/app/ready";
import type { AppInputs, AppReadyInputs } from "../../../packages/ai-deploy/src/app/args";
import { unknownValue } from "../../../packages/ai-deploy/src/values/unknown";
import { appInputs } from "./inputs";

const before: AppReadyInputs = { serviceName: "project", appId: "one", revision: 2 };
const unknown = unknownValue as any;
const inPreview: AppReadyInputs = { ...before, appId: unknown, revision: unknown };
const planned = (restarts: boolean) => new Map([["one", restarts]]);

it.each([
    ["an app whose replicas go on is not waited for", planned(false), inPreview, { changes: false, replaces: [] }],
    ["one whose replicas restart is", planned(true), inPreview, { changes: true, replaces: [] }],
    ["one of which nothing is planned may be another", new Map(), inPreview, { changes: true, replaces: ["appId"] }],
    [
        "another project is another wait",
        planned(false),
        { ...inPreview, serviceName: "other" },
        { replaces: ["serviceName"] },
    ],
    ["what is known counts, whatever was planned", planned(false), { ...before, revision: 3 }, { changes: true }],
    ["another app is", planned(false), { ...before, appId: "two" }, { changes: true, replaces: ["appId"] }],
])("%s", (_, restarts, news, expected) => {
    expect(diff(before, news, restarts)).toMatchObject(expected);
});

it.each([
    ["a target", { scalingStrategy: { fixed: { replicas: 2 } } }, [], "RUNNING", false],
    ["a label", { labels: { a: "b" } }, [], "RUNNING", false],
    ["a command", { command: ["sleep"] }, [], "RUNNING", true],
    ["an unknown image", { image: unknownValue }, [], "RUNNING", true],
    ["nothing, for one that was stopped by hand", {}, [], "STOPPED", true],
    ["nothing, for one whose variables were changed by hand", {}, ["envVars" as const], "RUNNING", true],
    ["a stop", { desiredState: "STOPPED" as const }, [], "RUNNING", true],
])("replicas restart by %s: %#", (_, change, drifted, state, restarts) => {
    const olds = appInputs() as AppInputs;
    expect(restartsReplicas(olds, { ...olds, ...change }, drifted, state)).toBe(restarts);
});
