import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { deploy, type Deployment } from "./deploy";

const toSet = { projectId: "0123456789abcdef0123456789abcdef", huggingFaceToken: "hf_test" };
const monitoring = { grafana: { allowedSources: ["198.51.100.7/32"] } };
const office = { days: "mon-fri", from: "08:00", to: "19:00", timeZone: "Europe/Paris", min: 2, max: 6 };
const base = { stack: "dev", secretKeys: ["huggingFaceToken", "controllerClientSecret"] };
const withModel = (model: object, more: object = {}) => ({
    ...base,
    config: { ...toSet, monitoring, models: { ministral: model }, ...more },
});

const limitsOf = ({ automatic }: any): number[] => [automatic.replicasMin as number, automatic.replicasMax as number];
const types = ({ resources }: Deployment) => resources.map(({ type }) => type);
const configOf = (stack: Deployment): any =>
    JSON.parse(stack.find("ConfigMap", "controller").inputs.data["config.json"] as string);

describe("without schedule, lease or limit", () => {
    it("there is no controller, and the app is as it was", async () => {
        const stack = await deploy(withModel({}));
        expect(types(stack).filter((type) => /Controller|OAuth2|Policy/.test(type))).toEqual([]);
        for (const input of ["otherScalings", "mayBeStoppedBy"]) {
            expect(stack.find("App").inputs).not.toHaveProperty(input);
        }
        expect(Object.keys(stack.find("App").inputs.labels as object)).toEqual(["ai_deploy_token"]);
    });
});

describe("a schedule", () => {
    it("gives the app every strategy, and the controller the same, under one mark", async () => {
        const stack = await deploy(withModel({ schedule: [office] }));
        const { inputs } = stack.find("App");
        const all = [inputs.scalingStrategy, ...(inputs.otherScalings as object[])];
        expect(all.map(limitsOf).sort()).toEqual([
            [1, 3],
            [2, 6],
        ]);
        const [model] = configOf(stack).models as any[];
        expect(model.scalings.map(({ strategy }: any) => limitsOf(strategy)).sort()).toEqual(all.map(limitsOf).sort());
        expect(model).toMatchObject({ name: "ministral", schedule: [office], mark: inputs.labels["pulumi-hours"] });
        expect(model.appId).toMatch(/^11111111-/);
    });

    it("the mark changes with the hours, and with the target that every strategy holds", async () => {
        const mark = async (model: object): Promise<unknown> =>
            (await deploy(withModel(model))).find("App").inputs.labels["pulumi-hours"];
        // One after the other: Pulumi's mocks are the process's.
        const first = await mark({ schedule: [office] });
        const longer = await mark({ schedule: [{ ...office, to: "20:00" }] });
        const sooner = await mark({ schedule: [office], scaling: { target: 40 } });
        expect(new Set([first, longer, sooner]).size).toBe(3);
    });

    it("has apps that belong to no stack told of, at what a GPU costs", async () => {
        const stack = await deploy(withModel({ schedule: [office], gpus: 2 }));
        // The emulated list has 0.0333 a minute.
        expect(configOf(stack).unitPrices).toEqual([{ flavor: "h100-1-gpu", region: "GRA", eurosPerHour: 1.998 }]);
        const { groups } = stack.find("PrometheusRule", "controller-rules").inputs.spec;
        expect(groups[0].rules.map(({ alert }: any) => alert)).toEqual(["VllmAppOfNoStack"]);
    });

    it("the relay and the rules know of the most replicas at any hour", async () => {
        const stack = await deploy(withModel({ schedule: [office] }));
        const relay = JSON.parse(stack.find("ConfigMap", "ministral-relay").inputs.data["config.json"] as string);
        expect(relay.replicas).toEqual({ min: 1, max: 6 });
    });

    it("the stack makes a client that may read and scale this project's apps, and nothing else", async () => {
        const stack = await deploy(withModel({ schedule: [office] }));
        expect(stack.find("APIOAuth2Client").inputs).toMatchObject({ flow: "CLIENT_CREDENTIALS" });
        expect(stack.find("Policy", "controller").inputs).toMatchObject({
            resources: [`urn:v1:eu:resource:publicCloudProject:${toSet.projectId}`],
            allows: ["publicCloudProject:apiovh:ai/app/get", "publicCloudProject:apiovh:ai/app/scalingstrategy/edit"],
        });
    });

    it("one that is given is used, and is secret wherever it goes", async () => {
        const given = { controllerClientId: "EU.0123456789abcdef", controllerClientSecret: "canary-client-secret" };
        const stack = await deploy(withModel({ schedule: [office] }, given));
        expect(types(stack).filter((type) => /OAuth2|Policy/.test(type))).toEqual([]);
        const secret = stack.find("Secret", "controller");
        expect(JSON.parse(secret.inputs.stringData.credential as string)).toEqual({
            clientId: given.controllerClientId,
            clientSecret: given.controllerClientSecret,
        });
        expect(secret.secrets.join()).toContain("stringData");
        const others = stack.resources.filter((one) => one !== secret);
        expect(JSON.stringify(others)).not.toContain(given.controllerClientSecret);
    });

    it("its program is one file that Node runs, and says what is wrong with its config", async () => {
        const stack = await deploy(withModel({ schedule: [office] }));
        const { data } = stack.find("ConfigMap", "controller").inputs;
        const folder = mkdtempSync(join(tmpdir(), "controller-"));
        try {
            writeFileSync(join(folder, "controller.cjs"), data["controller.cjs"] as string);
            writeFileSync(join(folder, "config.json"), "{");
            const run = () =>
                execFileSync(process.execPath, [join(folder, "controller.cjs"), `--config=${folder}/config.json`], {
                    stdio: "pipe",
                });
            expect(run).toThrow(/vllm-controller does not start: --config/);
        } finally {
            rmSync(folder, { recursive: true });
        }
        expect((data["controller.cjs"] as string).length).toBeLessThan(100_000);
    });
});

describe("a lease", () => {
    it("before its end: the app runs, the controller may stop it", async () => {
        const stack = await deploy(withModel({ lease: { until: "2990-01-01T00:00:00Z" } }));
        expect(stack.find("App").inputs.desiredState).toBe("RUNNING");
        expect(stack.find("AppReady").type).toMatch(/AppReady/);
        expect(stack.find("Policy", "controller").inputs.allows).toContain("publicCloudProject:apiovh:ai/app/stop");
        expect(configOf(stack).models[0].lease).toEqual({ until: "2990-01-01T00:00:00Z" });
    });

    it("after its end up stops the app and waits for nothing, with or without a controller", async () => {
        const stack = await deploy(withModel({ lease: { until: "2020-01-01T00:00:00Z" } }));
        expect(stack.find("App").inputs.desiredState).toBe("STOPPED");
        expect(types(stack).filter((type) => /AppReady|Probe/.test(type))).toEqual([]);
    });
});

describe("a limit of spend", () => {
    const limits = (action: string) => ({ limits: { eurosPerMonth: 1000, action } });

    it.each([
        ["warn", [[1, 3]], false],
        [
            "scaleToMin",
            [
                [1, 1],
                [1, 3],
            ],
            false,
        ],
        ["stop", [[1, 3]], true],
    ])("%s", async (action, wanted, stops) => {
        const stack = await deploy(withModel({}, limits(action)));
        const { inputs } = stack.find("App");
        const all = [inputs.scalingStrategy, ...((inputs.otherScalings ?? []) as object[])];
        expect(all.map(limitsOf).sort()).toEqual(wanted);
        expect(inputs.mayBeStoppedBy).toBe(stops ? "limits.eurosPerMonth" : undefined);
        const { allows } = stack.find("Policy", "controller").inputs;
        expect(allows.filter((one: string) => /(start|stop)$/.test(one))).toHaveLength(stops ? 2 : 0);
        expect(configOf(stack)).toMatchObject({
            spend: { eurosPerMonth: 1000, action, prometheus: "http://monitoring-prometheus:9090" },
            models: [{ price: 1.998 }],
        });
    });

    it("that is acted on nowhere needs no controller", async () => {
        const stack = await deploy(withModel({}, { limits: { eurosPerMonth: 5000 } }));
        expect(types(stack).filter((type) => /Controller/.test(type))).toEqual([]);
    });
});
