import * as pulumi from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { preflightFaults, preflightWarnings, type ProjectLimits } from "../../src/inference/preflight";
import { refuseImpossible } from "../../src/inference/refuse-impossible";
import { findProjectLimits, gpusOf } from "../../src/inference/project-limits";
import { startTestCloud, type TestCloud } from "../ai-deploy/cloud";
import { faultsOf, ministral, parse } from "../settings/config";
import { configSet } from "../settings/pulumi-config";

type Config = Record<string, unknown>;
const limits = (known: { gpus?: number; stores?: Record<string, string[]> }): ProjectLimits => ({
    gpus: known.gpus,
    dataStores: () => known.stores && Object.keys(known.stores),
    containers: (_, alias) => known.stores?.[alias],
});
const faults = (config: Config, known: ProjectLimits) => preflightFaults(parse(config).models, known);
const pasted = (fix: string) => /pulumi config set --path \S+ [^\s,:]+/.exec(fix)?.[0];
const second = (more: object = {}) => ({ models: { ministral: {}, qwen: { model: "Qwen/Qwen3-8B", ...more } } });

describe("GPUs beyond the project's quota", () => {
    it.each<[string, Config, number, string, string, string | undefined]>([
        ["no replica fits", ministral({ gpus: 4 }), 2, "models.ministral.gpus", "4", "models.ministral.gpus 2"],
        ["no GPU at all", {}, 0, "models.ministral.gpus", "1", undefined],
        [
            "not as many as always run",
            ministral({ replicas: { min: 3 } }),
            2,
            "models.ministral.replicas.min",
            "3",
            "models.ministral.replicas.min 2",
        ],
        [
            "not as many as may run",
            ministral({ replicas: { max: 40 } }),
            4,
            "models.ministral.replicas.max",
            "40",
            "models.ministral.replicas.max 4",
        ],
        [
            "of several GPUs each",
            ministral({ gpus: 2, replicas: { max: 3 } }),
            4,
            "models.ministral.replicas.max",
            "3",
            "models.ministral.replicas.max 2",
        ],
        [
            "with what the others always use",
            second({ replicas: { min: 4, max: 4 } }),
            4,
            "models.qwen.replicas.min",
            "4",
            "models.qwen.replicas.min 3",
        ],
        [
            "with nothing left by them",
            { models: { ...second().models, ministral: { replicas: { min: 3 } } } },
            3,
            "models.qwen.desiredState",
            '"RUNNING"',
            "models.qwen.desiredState STOPPED",
        ],
    ])("%s", (_, config, gpus, key, found, command) => {
        const [fault, ...others] = faults(config, limits({ gpus }));
        expect(others).toEqual([]);
        expect(fault).toMatchObject({ key, found, fix: expect.stringMatching(/higher quota/) });
        expect(pasted(fault.fix)).toBe(command && `pulumi config set --path ${command}`);
        if (!command) return;
        const mended = configSet(config, pasted(fault.fix)!);
        expect(faultsOf(mended)).toEqual([]);
        expect(faults(mended, limits({ gpus })).map(({ key }) => key)).not.toContain(key);
    });

    it("the default stack fits what a new project has, and what cannot be learnt passes", () => {
        expect(faults({}, limits({ gpus: 4 }))).toEqual([]);
        expect(faults(ministral({ replicas: { max: 40 } }), limits({}))).toEqual([]);
        expect(faults(ministral({ desiredState: "STOPPED" }), limits({ gpus: 0 }))).toEqual([]);
    });

    it("models that fit one by one, and not all at their maximum, are warned of", () => {
        expect(preflightWarnings(parse(second()).models, limits({ gpus: 4 }))).toEqual([
            expect.stringMatching(/^models: .* 6 GPUs together, and the project may use 4: /),
        ]);
        expect(faults(second(), limits({ gpus: 4 }))).toEqual([]);
        expect(preflightWarnings(parse(second()).models, limits({ gpus: 6 }))).toEqual([]);
    });

    it.each<[Record<string, number>, number | undefined]>([
        [{ gpu: 4, cpu: 12 }, 4],
        [{ CPU: 12, GPU: 4 }, 4],
        [{ cpu: 12, "gpu-memory": 80 }, undefined],
        [{}, undefined],
    ])("the quota %j", (resources, gpus) => expect(gpusOf({ resources })).toBe(gpus));
});

describe("volumes", () => {
    const volume = (alias: string, container = "weights") =>
        ministral({
            volumes: [
                { path: "/hub", permission: "RW" },
                { path: "/data", permission: "RO", dataStore: { alias, container } },
            ],
        });
    const stores = { GRA: ["weights", "prompts"], mine: [] };

    it.each<[string, Config, Record<string, string[]>, string, RegExp]>([
        ["no such data store", volume("other"), stores, "alias", /^there are GRA, mine: /],
        ["a misspelt one", volume("GRB"), stores, "alias", /^did you mean /],
        ["none at all", volume("GRA"), {}, "alias", /no data store in GRA: make one/],
        ["no such container", volume("GRA", "models"), stores, "container", /^there are weights, prompts: /],
        ["an empty data store", volume("mine"), stores, "container", /"mine" is empty/],
    ])("%s", (_, config, there, part, fix) => {
        const [fault, ...others] = faults(config, limits({ stores: there }));
        expect(others).toEqual([]);
        expect(fault).toMatchObject({
            key: `models.ministral.volumes[1].dataStore.${part}`,
            fix: expect.stringMatching(fix),
        });
        const command = pasted(fault.fix);
        if (command) expect(faults(configSet(config, command), limits({ stores: there }))).toEqual([]);
    });

    it("of weights are looked for like others", () => {
        const weights = (dataStore: string, container: string) => ministral({ weights: { dataStore, container } });
        const found = (config: Config) => faults(config, limits({ stores })).map(({ key }) => key);
        expect(found(weights("other", "weights"))).toEqual(["models.ministral.weights.dataStore"]);
        expect(found(weights("GRA", "models"))).toEqual(["models.ministral.weights.container"]);
        expect(found(weights("GRA", "weights"))).toEqual([]);
    });

    it("that exist are taken, and so are those of which nothing is known", () => {
        expect(faults(volume("GRA"), limits({ stores }))).toEqual([]);
        expect(faults(volume("other"), limits({}))).toEqual([]);
    });
});

describe("what OVHcloud says", () => {
    let cloud: TestCloud;
    beforeAll(async () => {
        cloud = await startTestCloud({ gpuQuota: 7 });
        for (const [name, value] of Object.entries(cloud.env)) vi.stubEnv(name, value);
    });
    afterAll(async () => {
        vi.unstubAllEnvs();
        await cloud.close();
    });

    it("of the quota is asked once, and of volumes only where there are some", async () => {
        const project = cloud.env.OVH_CLOUD_PROJECT_SERVICE;
        const found = await findProjectLimits(project, parse({}).models);
        expect(found.gpus).toBe(7);
        expect(found.dataStores("GRA")).toBeUndefined();
        expect(cloud.api.violations()).toEqual([]);
    });

    it("of data stores and what is in them, each once", async () => {
        const asked: string[] = [];
        const answers: Record<string, unknown> = {
            "data/region/GRA/alias": [
                { alias: "GRA", type: "swift" },
                { alias: "mine", type: "s3" },
            ],
            "data/region/GRA/alias/mine/containers": { status: "ok", message: "", containers: ["weights"] },
            "data/region/BHS/alias": { message: "of another structure" },
        };
        const glance = (path: string) => {
            const below = path.replace("/cloud/project/p/ai/", "");
            asked.push(below);
            return below in answers ? Promise.resolve(answers[below]) : Promise.reject(new Error("403"));
        };
        vi.resetModules();
        vi.doMock("pulumi-ovh-ai-deploy", () => ({ connect: () => ({ client: { glance } }) }));
        const fresh = await import("../../src/inference/project-limits");
        const volumes = ["mine", "mine", "GRA"].map((alias, i) => ({
            path: `/${i}`,
            permission: "RO",
            dataStore: { alias, container: "weights" },
        }));
        const away = {
            ...{ model: "Qwen/Qwen3-8B", region: "BHS", volumes: [] },
            weights: { dataStore: "mine", container: "weights" },
        };
        const found = await fresh.findProjectLimits("p", parse({ models: { ministral: { volumes }, away } }).models);
        vi.doUnmock("pulumi-ovh-ai-deploy");
        expect(found.gpus).toBeUndefined();
        expect(found.dataStores("GRA")).toEqual(["GRA", "mine"]);
        expect(found.dataStores("BHS")).toBeUndefined();
        expect([found.containers("GRA", "mine"), found.containers("GRA", "GRA")]).toEqual([["weights"], undefined]);
        expect(asked).toEqual([...new Set(asked)]);
    });

    it("that does not do is refused with every fault, as those of the settings are", async () => {
        const models = second({ replicas: { max: 9 } });
        const projectId = cloud.env.OVH_CLOUD_PROJECT_SERVICE;
        const refused = refuseImpossible({ projectId, models: parse(models).models });
        await expect(refused).rejects.toThrow(
            /has 1 fault, so nothing was changed:\n {2}\S+:models\.qwen\.replicas\.max: 9; give at most 7: pulumi config set --path models\.qwen\.replicas\.max 7/,
        );
        await expect(refused).rejects.toSatisfy((error) => pulumi.RunError.isInstance(error));
        await expect(refuseImpossible({ projectId, models: parse({}).models })).resolves.toBeUndefined();
    });
});
