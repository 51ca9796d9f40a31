import { describe, expect, it } from "vitest";
import { settingsWarnings } from "../../src/settings";
import { advisories, advisoriesOf, advisoriesRead, advisoryWarning, type Advisory } from "../../src/vllm/advisories";
import { vllmVersions } from "../../src/vllm/versions";
import { faultsOf, parse, toSet } from "../settings/config";
import { configSet } from "../settings/pulumi-config";

const idsOf = (version: string) => advisoriesOf(`vllm/vllm-openai:v${version}`).map(({ id }) => id);

describe("advisories of an image", () => {
    it("are those of its version, from the first that has them to the first without", () => {
        expect(idsOf("0.13.0")).toEqual(advisories.map(({ id }) => id));
        expect(idsOf("0.10.0")).not.toContain("GHSA-2pc9-4j83-qjmr");
        expect(idsOf("0.9.9")).toContain("GHSA-3mwp-wvh9-7528");
        expect(idsOf("0.18.1")).toContain("GHSA-3mwp-wvh9-7528");
        expect(idsOf("0.19.0")).not.toContain("GHSA-3mwp-wvh9-7528");
        expect(idsOf("0.31.0")).toEqual([]);
        expect(idsOf("1.0.0")).toEqual([]);
    });

    it("of a tag that names no version none are known", () => {
        expect(advisoriesOf("registry.example.org:5000/mine:prod")).toEqual([]);
        expect(advisoriesOf(`vllm/vllm-openai@sha256:${"0".repeat(64)}`)).toEqual([]);
        expect(advisoriesOf(`vllm/vllm-openai:v0.13.0@sha256:${"0".repeat(64)}`)).toHaveLength(advisories.length);
    });

    it("each is named by its id once, with a day on which it was read", () => {
        const ids = advisories.map(({ id }) => id);
        expect(new Set(ids).size).toBe(ids.length);
        for (const id of ids) expect(id).toMatch(/^GHSA(-[0-9a-z]{4}){3}$/);
        expect(Date.parse(advisoriesRead)).toBeLessThan(Date.now() + 86_400_000);
    });
});

describe("preview warns once for each model", () => {
    const warnings = (config: Record<string, unknown>) =>
        settingsWarnings(parse(config)).filter((text) => text.includes("security holes"));

    it("of the default image too, with a command that mends it", () => {
        const [warning, ...others] = warnings({});
        expect(others).toEqual([]);
        expect(warning).toMatch(/^models\.ministral\.image: .*huge n ends the server \(GHSA-3mwp-wvh9-7528\)/);
        const command = /pulumi config set --path \S+ \S+$/.exec(warning)![0];
        const mended = configSet(toSet, command);
        expect(faultsOf(mended)).toEqual([]);
        expect(warnings(mended)).toEqual([]);
    });

    it("and of none that has none", () => {
        const models = {
            ministral: { image: `vllm/vllm-openai:v${vllmVersions.at(-1)}` },
            qwen: { model: "Qwen/Qwen3-8B" },
        };
        expect(warnings({ models })).toEqual([expect.stringMatching(/^models\.qwen\.image: /)]);
    });

    it("of a hole that no version mends says so, and names no command that would not help", () => {
        const open = { id: "GHSA-aaaa-aaaa-aaaa", what: "made up" };
        const later = { id: "GHSA-bbbb-bbbb-bbbb", fixed: "99.0.0", what: "made up" };
        const table = advisories as Advisory[];
        table.push(open);
        try {
            expect(advisoryWarning("x", "vllm/vllm-openai:v1.0.0")).toMatch(
                /GHSA-aaaa-aaaa-aaaa is in every version: watch/,
            );
            expect(advisoryWarning("x", "vllm/vllm-openai:v0.13.0")).toMatch(/for the others pulumi config set --path/);
            table.push(later);
            expect(advisoryWarning("x", "vllm/vllm-openai:v1.0.0")).toMatch(/give an image of vLLM 99\.0\.0 or newer$/);
        } finally {
            table.splice(table.indexOf(open));
        }
    });

    it("of another repository by the version that it needs", () => {
        expect(advisoryWarning("x", "registry.example.org/vllm:v0.13.0")).toMatch(
            /give an image of vLLM 0\.31\.0 or newer$/,
        );
    });
});
