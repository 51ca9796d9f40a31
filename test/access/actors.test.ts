import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { actionPrefix, actions, actors, type Actor } from "../../access/actors";
import { rightsTable } from "../../access/rights-table";
import { checkout } from "../../sandbox/layout";
import structure from "../../sandbox/ovhcloud/ai-deploy.structure.json";
import calls from "./calls.json";

/** What the published API asks of each operation. */
const published = new Set(
    Object.values(structure.paths as Record<string, Record<string, { "x-iam-actions"?: { name: string }[] }>>)
        .flatMap((methods) => Object.values(methods))
        .flatMap((operation) => operation["x-iam-actions"] ?? [])
        .map(({ name }) => name),
);
const granted = (actor: Actor): string[] => actions[actor].map((action) => actionPrefix + action).sort();

describe.each(actors)("%s", (actor) => {
    it("names actions of the published API, each once", () => {
        expect(granted(actor).filter((action) => !published.has(action))).toEqual([]);
        expect(new Set(granted(actor)).size).toBe(granted(actor).length);
    });
});

/** By record.ts of the pipeline's tests, with the real engine; the schedule's calls: test/controller/controller.test.ts. */
describe.each(["preview", "drift", "deploy"] as const)("%s, beside the calls that it was seen to make", (actor) => {
    it("may do no more and no less", () => {
        // The nightly look is a preview after a refresh: what a preview may have to ask, it may have to ask as well.
        const seen = actor === "drift" ? { ...calls.preview, ...calls.drift } : calls[actor];
        expect(granted(actor)).toEqual(Object.keys(seen).sort());
    });
});

it("only deployments may make, change or delete", () => {
    const writes = (actor: Actor): string[] => actions[actor].filter((action) => !/\/get$/.test(action));
    expect(writes("preview")).toEqual(["kube/kubeconfig/create"]);
    expect(writes("drift")).toEqual(["kube/kubeconfig/create"]);
    expect(writes("schedule")).toEqual(["ai/app/scalingstrategy/edit", "ai/app/start", "ai/app/stop"]);
});

it("docs/deploying.md lists them", () => {
    const plain = (text: string): string => text.replace(/ +/g, " ").replace(/-{3,}/g, "---");
    expect(plain(readFileSync(join(checkout, "docs/deploying.md"), "utf8"))).toContain(plain(rightsTable()));
});
