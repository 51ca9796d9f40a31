import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canBecome, couldBecome } from "../../../packages/ai-deploy/src/app/made-as";
import { marksOf } from "../../../packages/ai-deploy/src/app/marks";
import {
    createBody,
    diffApp,
    driftedFields,
    inputsFromLive,
    planCalls,
} from "../../../packages/ai-deploy/src/app/plan";
import { madeAsLabelName, type LiveApp } from "../../../packages/ai-deploy/src/app/live";
import type { AppInputs } from "../../../packages/ai-deploy/src/app/args";
import structure from "../../../sandbox/ovhcloud/ai-deploy.structure.json";
import { appInputs } from "./inputs";

type Json = any;

const oneOf = fc.constantFrom;

const dataStore = fc.record(
    { alias: oneOf("GRA", "models"), container: oneOf("weights"), prefix: oneOf("v1/", "v2") },
    { requiredKeys: ["alias", "container"] },
);
const volume = fc.record(
    {
        permission: oneOf("RO", "RW", "RWD"),
        volumeSource: fc.oneof(
            fc.constant({}),
            fc.constant({ standalone: {} }),
            fc.constant({ standalone: { name: "weights" } }),
            dataStore.map((store) => ({ dataStore: store })),
            fc.constant({ publicGit: { url: "https://git.example.org/some/repository" } }),
        ),
        volumeTarget: dataStore.map((targetDataStore) => ({ targetDataStore })),
    },
    { requiredKeys: ["permission"] },
);
const volumes = fc
    .dictionary(oneOf("/hub", "/workspace", "/data/"), volume)
    .map((byPath) => Object.entries(byPath).map(([mountPath, rest]) => ({ mountPath, ...rest })));
const probe = fc.record(
    { path: oneOf("/health"), port: oneOf(8000, 9000), initialDelaySeconds: oneOf(300), periodSeconds: oneOf(5) },
    { requiredKeys: [] },
);
const customMetrics = {
    apiUrl: "http://<SELF>:8000/metrics",
    format: "PROMETHEUS" as const,
    valueLocation: "vllm:num_requests_running",
    targetValue: 50,
    aggregationType: "AVERAGE" as const,
};
const scaling = oneOf<AppInputs["scalingStrategy"][]>(
    { fixed: { replicas: 2 } },
    { automatic: { replicasMin: 1, replicasMax: 3, customMetrics } },
    { automatic: { replicasMin: 0, replicasMax: 3, customMetrics, cooldownPeriodSeconds: 60 } },
    { automatic: { replicasMin: 1, replicasMax: 3, resourceType: "CPU", averageUsageTarget: 75 } },
    { automatic: { replicasMin: 1, replicasMax: 3, customMetrics, scaleUpStabilizationWindowSeconds: 30 } },
);

/** What a program may ask for, every field of the API's AppSpecInput in it. */
const asked: fc.Arbitrary<AppInputs> = fc
    .record(
        {
            image: oneOf("vllm/vllm-openai:v0.13.0", "docker.io/vllm/vllm-openai:v0.13.0", "python:3.12"),
            command: oneOf([], ["bash", "-c", "vllm serve some/model"]),
            defaultHttpPort: oneOf(8000, 8080),
            grpcPort: oneOf(9000),
            labels: fc.dictionary(oneOf("group", "team"), oneOf("a", "b")),
            unsecureHttp: fc.boolean(),
            envVars: fc.dictionary(oneOf("A", "B"), oneOf("1", "2")),
            volumes,
            livenessProbe: probe,
            readinessProbe: probe,
            resources: oneOf<AppInputs["resources"][]>(
                { flavor: "h100-1-gpu" },
                { flavor: "h100-1-gpu", gpu: 2 },
                { flavor: "h100-1-gpu", flavorCount: 2 },
                { flavor: "ai1-1-cpu", cpu: 4 },
            ),
            scalingStrategy: scaling,
            deploymentStrategy: fc.record(
                { maxSurge: oneOf("25%"), terminationGracePeriodSeconds: oneOf(60) },
                { requiredKeys: [] },
            ),
            partnerId: oneOf("partner"),
        },
        { requiredKeys: [] },
    )
    .map((changes) => ({ ...appInputs({ serviceName: "p", volumes: undefined, ...changes }) }) as unknown as AppInputs);

/** Draws once for each place at which the platform may write the same in one of several ways. */
type Draw = <T>(...forms: T[]) => T;

function writtenProbe(given: Json, port: number, draw: Draw): Json {
    if (!given) return draw<Json>(undefined, null);
    const defaults = {
        path: "/",
        port,
        initialDelaySeconds: 0,
        periodSeconds: 10,
        timeoutSeconds: 1,
        failureThreshold: 3,
        successThreshold: 1,
    };
    return draw({ ...defaults, ...given }, given, { successThreshold: null, timeoutSeconds: null, ...given });
}

function writtenStore(given: Json, draw: Draw): Json {
    return given && draw(given, { prefix: null, archive: null, internal: false, ...given }, { prefix: "", ...given });
}

function writtenVolume({ mountPath, permission, volumeSource = {}, volumeTarget }: Json, draw: Draw): Json {
    const plain = mountPath.replace(/\/$/, "");
    const store = writtenStore(volumeSource.dataStore, draw);
    let source = store ? { dataStore: store } : volumeSource;
    if (!store && !volumeSource.publicGit && !volumeSource.standalone?.name) {
        source = draw<Json>(
            { standalone: {} },
            { standalone: { name: null } },
            { standalone: { name: "volume-1" } },
            {},
        );
    }
    const nothing = { standalone: null, dataStore: null, publicGit: null, publicSwift: null };
    const full = { ...nothing, ...source };
    const sources = [{ volumeSource: source }, { volumeSource: full }, { volumeSource: null, ...source }];
    if (store?.alias) {
        sources.push({
            volumeSource: null,
            region: store.alias,
            ...store,
            alias: undefined,
            archive: undefined,
            internal: undefined,
        });
    }
    const target = writtenStore(volumeTarget?.targetDataStore, draw);
    const targets: Json[] = target
        ? [{ volumeTarget: { targetDataStore: target } }, { volumeTarget: null, targetDataStore: target }]
        : [{}, { volumeTarget: null }, { volumeTarget: { targetDataStore: null } }, { targetDataStore: store ?? null }];
    return JSON.parse(
        JSON.stringify({
            id: draw("00000000-0000-4000-8000-00000000000a", null),
            mountPath: draw(plain, `${plain}/`),
            permission,
            ...draw<Json>({}, { cache: false }),
            ...draw(...sources),
            ...draw(...targets),
        }),
    );
}

function writtenScaling(given: Json, draw: Draw): Json {
    if (!given) {
        return draw<Json>(undefined, null, { fixed: { replicas: 1 } }, { fixed: { replicas: 1 }, automatic: null });
    }
    if (given.fixed) return draw<Json>(given, { ...given, automatic: null });
    const empty = { averageUsageTarget: null, cooldownPeriodSeconds: null, customMetrics: null, resourceType: null };
    const windows = { scaleUpStabilizationWindowSeconds: 0, scaleDownStabilizationWindowSeconds: 300 };
    const other = given.automatic.customMetrics ? { resourceType: "CPU", averageUsageTarget: 75 } : {};
    const forms = [
        given.automatic,
        { ...empty, ...windows, ...given.automatic },
        { cooldownPeriodSeconds: 300, ...other, ...given.automatic },
    ];
    return { fixed: draw<Json>(null, undefined), automatic: draw(...forms) };
}

function shuffled<T>(list: T[], draw: Draw): T[] {
    return draw(list, [...list].reverse());
}

/** An app as the platform might write it that was asked for with this body. */
function written(body: Json, draw: Draw, id = "00000000-0000-4000-8000-000000000001"): LiveApp {
    const port = body.defaultHttpPort ?? 8080;
    const { flavor, gpu, flavorCount, cpu } = body.resources;
    const units = gpu ?? flavorCount;
    const mounts = (body.volumes ?? []).map((volume: Json) => writtenVolume(volume, draw));
    const own = {
        id: null,
        mountPath: "/platform-cache",
        permission: "RO",
        cache: true,
        volumeSource: { standalone: {} },
    };
    const short = body.image.replace("docker.io/", "");
    const spec = {
        name: body.name,
        region: draw(body.region, body.region.toLowerCase()),
        image: draw(body.image, short, `docker.io/${short.includes("/") ? short : `library/${short}`}`),
        command: body.command?.length ? body.command : draw<Json>(undefined, null, []),
        defaultHttpPort: body.defaultHttpPort === undefined ? draw(8080, null, undefined) : port,
        grpcPort: body.grpcPort ?? draw<Json>(undefined, null, 0),
        labels: Object.fromEntries(shuffled(Object.entries({ ...body.labels, "ovh/id": id }), draw)),
        unsecureHttp: body.unsecureHttp || draw(false, null, undefined),
        envVars: shuffled(body.envVars as Json[], draw).map(({ name, value }) => ({
            name,
            value: draw<Json>(value, null, undefined, "", "******"),
        })),
        volumes:
            mounts.length === 0
                ? draw<Json>(undefined, null, [], [own])
                : shuffled(draw(mounts, [...mounts, own]), draw),
        livenessProbe: writtenProbe(body.livenessProbe, port, draw),
        probe: writtenProbe(body.probe, port, draw),
        resources: cpu
            ? { flavor, cpu: draw(cpu, cpu * 2), gpu: 0, memory: 1 }
            : {
                  flavor,
                  cpu: 30,
                  gpu: units ?? 1,
                  flavorCount: flavorCount ?? draw<Json>(null, undefined, units ?? 1),
                  memory: 1,
              },
        scalingStrategy: writtenScaling(body.scalingStrategy, draw),
        deploymentStrategy: body.deploymentStrategy
            ? draw(
                  { progressDeadlineSeconds: 600, maxUnavailable: "0", ...body.deploymentStrategy },
                  body.deploymentStrategy,
              )
            : draw<Json>(undefined, null, { maxSurge: "25%" }),
        partnerId: body.partnerId ?? draw<Json>(undefined, null, ""),
    };
    return { id, spec: JSON.parse(JSON.stringify(spec)) as LiveApp["spec"], status: { state: "RUNNING" } };
}

const body = (inputs: AppInputs): Json => JSON.parse(JSON.stringify(createBody(inputs)));
const json = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/** An app with the inputs it was made of, in one form, and in another that the same platform uses at another time. */
const world = asked.chain((inputs) =>
    fc.gen().map((gen) => {
        const draw: Draw = (...forms) => forms[gen(fc.nat, { max: forms.length - 1 })];
        return { inputs, live: written(body(inputs), draw), later: written(body(inputs), draw) };
    }),
);

describe("whatever form the platform gives to what was asked for", () => {
    it("the forms cover every field that the API names", () => {
        const { properties } = (structure.components.schemas as Json)["cloud.project.ai.app.AppSpec"];
        const everything = {
            grpcPort: 9000,
            partnerId: "partner",
            livenessProbe: {},
            scalingStrategy: { fixed: { replicas: 1 } },
            deploymentStrategy: { maxSurge: "1" },
        };
        const { spec } = written(body(appInputs(everything) as unknown as AppInputs), (...forms) => forms[0]);
        expect(Object.keys(spec).sort()).toEqual(Object.keys(properties as object).sort());
    });

    it("a refresh finds no drift, nothing is replaced, no call is needed", () => {
        fc.assert(
            fc.property(world, ({ inputs, live, later }) => {
                for (const known of [{}, { marks: marksOf(live) }]) {
                    const seen = inputsFromLive(later, inputs, known);
                    expect(seen).toEqual(json(inputs));
                    expect(diffApp(seen, inputs)).toEqual({ changes: false, replaces: [] });
                    expect(driftedFields(later, inputs, known)).toEqual([]);
                    expect(planCalls(later, inputs, { ...inputs, ...known })).toEqual([]);
                }
                expect(planCalls(live, inputs)).toEqual([]);
            }),
            { numRuns: 500 },
        );
    });

    it("an interrupted creation finds its own app, and `adopt` takes it", () => {
        fc.assert(
            fc.property(world, ({ inputs, live }) => {
                expect(canBecome(live, inputs)).toBe(true);
                const { [madeAsLabelName]: _, ...labels } = live.spec.labels!;
                expect(couldBecome({ ...live, spec: { ...live.spec, labels } }, inputs)).toBe(true);
            }),
            { numRuns: 500 },
        );
    });
});

describe("even in forms that nobody knows", () => {
    /** Everything written as no rule expects. */
    function strange(live: LiveApp): LiveApp {
        const { spec } = live;
        return {
            ...live,
            spec: {
                ...spec,
                name: `ovh-${spec.name}`,
                region: "EU-WEST-GRA",
                image: `registry.example.org/mirror/${spec.image}@sha256:0123`,
                command: ["/entrypoint", ...(spec.command ?? [])],
                unsecureHttp: !spec.unsecureHttp,
                volumes: [{ mountPath: "/mnt", permission: "RWD", standalone: { name: "all-in-one" } }],
                livenessProbe: { path: "/rewritten", port: 1 },
                probe: { path: "/rewritten", port: 1 },
                grpcPort: 1,
                partnerId: "another",
                resources: { flavor: "H100", gpu: 8, flavorCount: 8 },
                scalingStrategy: { automatic: { replicasMin: 7, replicasMax: 7 } },
                deploymentStrategy: { maxSurge: "1" },
                labels: { ...spec.labels, managed: "yes" },
                envVars: [...(spec.envVars ?? []), { name: "PLATFORM", value: "1" }],
            },
        };
    }

    it("what was so from the beginning is no drift, and costs no call", () => {
        fc.assert(
            fc.property(world, ({ inputs, live }) => {
                const odd = strange(live);
                const known = { marks: marksOf(odd) };
                expect(inputsFromLive(odd, inputs, known)).toEqual(json(inputs));
                expect(planCalls(odd, inputs, { ...inputs, ...known })).toEqual([]);
                // A change is sent by itself, without what the platform only writes otherwise.
                const image = `${inputs.image}-next`;
                const calls = planCalls(odd, { ...inputs, image }, { ...inputs, ...known });
                expect(calls).toEqual([{ path: "", body: { url: image } }]);
                // What no call can change never shows, marks or not.
                const { replaces } = diffApp(inputsFromLive(odd, inputs), inputs);
                expect(replaces).toEqual([]);
            }),
        );
    });

    it("an interrupted creation finds its own app, and leaves one that was made as something else", () => {
        fc.assert(
            fc.property(
                world,
                oneOf({ region: "BHS" }, { name: "other" }, { unsecureHttp: "turned" }),
                (made, change) => {
                    const { inputs, live } = made;
                    expect(canBecome(strange(live), inputs)).toBe(true);
                    const turned = "unsecureHttp" in change ? { unsecureHttp: !inputs.unsecureHttp } : change;
                    expect(canBecome(strange(live), { ...inputs, ...turned })).toBe(false);
                },
            ),
        );
    });

    it("what somebody changes since is seen, and only that", () => {
        fc.assert(
            fc.property(world, ({ inputs, live }) => {
                const odd = strange(live);
                const changed = { ...odd, spec: { ...odd.spec, image: "by-hand:1" } };
                expect(driftedFields(changed, inputs, { marks: marksOf(odd) })).toEqual(["image"]);
            }),
        );
    });
});
