import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canBecome, couldBecome } from "../../../packages/ai-deploy/src/app/made-as";
import { createBody, diffApp, inputsFromLive, planCalls } from "../../../packages/ai-deploy/src/app/plan";
import type { LiveApp } from "../../../packages/ai-deploy/src/app/live";
import type { AppInputs } from "../../../packages/ai-deploy/src/app/args";
import { unknownValue } from "../../../packages/ai-deploy/src/values/unknown";
import { appInputs } from "./inputs";

const inputs = (changes: object = {}): AppInputs =>
    ({ serviceName: "p", ...appInputs(changes) }) as unknown as AppInputs;

/** The app that inputs make, as the platform shows it: defaults filled in, its own labels and resources added. */
function live(from: AppInputs): LiveApp {
    const body = JSON.parse(JSON.stringify(createBody(from))) as Record<string, any>;
    const probe = (p: object | undefined): object | null =>
        p
            ? {
                  path: "/",
                  port: body.defaultHttpPort ?? 8080,
                  initialDelaySeconds: 0,
                  periodSeconds: 10,
                  timeoutSeconds: 1,
                  failureThreshold: 3,
                  successThreshold: 1,
                  ...p,
              }
            : null;
    return {
        id: "app-1",
        spec: {
            ...body,
            defaultHttpPort: body.defaultHttpPort ?? 8080,
            labels: { ...body.labels, "ovh/id": "app-1", "ovh/type": "app" },
            volumes: ((body.volumes ?? []) as object[]).map((v, i) => ({ ...v, id: `v${i}`, cache: false })).reverse(),
            livenessProbe: probe(body.livenessProbe as object | undefined),
            probe: probe(body.probe as object | undefined),
            resources: { cpu: 30, memory: 1, flavorCount: null, ...body.resources },
            scalingStrategy: body.scalingStrategy ?? { fixed: { replicas: 1 }, automatic: null },
        } as unknown as LiveApp["spec"],
        status: { state: "RUNNING" },
    };
}

const full = inputs({ livenessProbe: { path: "/health" }, deploymentStrategy: { maxSurge: "1" }, grpcPort: 9000 });

describe("diff", () => {
    it.each<[string, object, string[]]>([
        ["name", { name: "other" }, ["name"]],
        ["region", { region: "BHS" }, ["region"]],
        ["volumes", { volumes: [] }, ["volumes"]],
        ["unsecureHttp", { unsecureHttp: true }, ["unsecureHttp"]],
        ["partnerId", { partnerId: "p" }, ["partnerId"]],
        ["flavorCount", { resources: { flavor: "h100-1-gpu", flavorCount: 2 } }, ["resources"]],
        ["serviceName", { serviceName: "q" }, ["serviceName"]],
        ["a probe that goes", { livenessProbe: undefined }, ["livenessProbe"]],
        ["a gRPC port that goes", { grpcPort: undefined }, ["grpcPort"]],
        ["image", { image: "i" }, []],
        ["command", { command: ["x"] }, []],
        ["variables", { envVars: {} }, []],
        ["labels", { labels: {} }, []],
        ["flavor and gpu", { resources: { flavor: "l4-1-gpu", gpu: 2 } }, []],
        ["a probe", { livenessProbe: { path: "/live" } }, []],
        ["scaling", { scalingStrategy: { fixed: { replicas: 2 } } }, []],
        ["adoptionLabel", { adoptionLabel: "other" }, []],
    ])("%s: replaces exactly what no call can change", (_what, changes, replaces) => {
        expect(diffApp(full, { ...full, ...changes })).toEqual({ changes: true, replaces });
    });

    it.each<[string, object]>([
        ["time-outs", { timeouts: { createSeconds: 5 } }],
        ["a default written out", { unsecureHttp: false, scalingStrategy: { fixed: { replicas: 1 } } }],
        ["a probe's defaults written out", { livenessProbe: { path: "/health", port: 8000, periodSeconds: 10 } }],
        ["the order of variables", { envVars: { HF_HOME: "/hub", HF_TOKEN: "hf_canary_of_the_tests" } }],
        ["the id of the app itself", { adopt: "app-1" }],
    ])("%s are no change", (_what, changes) => {
        expect(diffApp({ ...full, appId: "app-1" }, { ...full, ...changes })).toEqual({ changes: false, replaces: [] });
    });

    it("the replicas that run and the platform's labels never count", () => {
        expect(diffApp({ ...full, availableReplicas: 3, state: "RUNNING" } as never, full).changes).toBe(false);
    });

    it.each<[string, string | undefined, boolean]>([
        ["RUNNING", undefined, false],
        ["STANDBY", undefined, false],
        ["STOPPED", undefined, true],
        ["FAILED", undefined, true],
        ["RUNNING", "STOPPED", true],
        ["STOPPED", "STOPPED", false],
        ["FAILED", "STOPPED", false],
    ])("an app that is %s where %s is wanted: change %s", (state, desiredState, changes) => {
        const wanted = inputs({ desiredState });
        expect(diffApp({ ...wanted, state }, wanted).changes).toBe(changes);
    });

    it.each(Object.keys(appInputs()))("%s unknown in preview is a change, and no crash", (property) => {
        expect(diffApp(full, { ...full, [property]: unknownValue }).changes).toBe(true);
    });
});

describe("plan", () => {
    it("nothing for an app that is as wanted, however the platform writes it", () => {
        expect(planCalls(live(full), full)).toEqual([]);
    });

    it("the deprecated flat form of a volume is the same volume", () => {
        const app = live(full);
        app.spec.volumes = [{ mountPath: "/hub", permission: "RW", standalone: {} }];
        expect([canBecome(app, full), couldBecome(app, full)]).toEqual([true, true]);
        expect(inputsFromLive(app, full)).toEqual(full);
    });

    it("one call for the fields, one for scaling, one per label; labels that go come last", () => {
        const news = inputs({
            image: "other",
            command: ["x"],
            envVars: { HF_HOME: "/hub", NEW: "1" },
            labels: { team: "ml" },
            scalingStrategy: { fixed: { replicas: 2 } },
        });
        expect(planCalls(live(inputs()), news)).toEqual([
            { path: "/label", body: { name: "team", value: "ml" } },
            {
                path: "",
                body: {
                    url: "other",
                    command: ["x"],
                    envVars: [
                        { name: "NEW", value: "1" },
                        { name: "HF_TOKEN", value: null },
                    ],
                },
            },
            { path: "/scalingstrategy", body: { fixed: { replicas: 2 } } },
            { path: "/label", body: { name: "group", value: null } },
        ]);
    });

    it("a flavor takes its number of units along", () => {
        const news = inputs({ resources: { flavor: "l4-1-gpu", gpu: 1 } });
        expect(planCalls(live(inputs()), news)).toEqual([{ path: "", body: { flavor: "l4-1-gpu", gpu: 1 } }]);
    });

    it("a look that is older than the last write does not hide a change", () => {
        const first = inputs({ envVars: { A: "1" } });
        const second = inputs({ envVars: { A: "2" } });
        // Back to 1, while the platform still shows the app of before 2.
        expect(planCalls(live(first), first, second)).toEqual([
            { path: "", body: { envVars: [{ name: "A", value: "1" }] } },
        ]);
    });

    const somewhat: fc.Arbitrary<AppInputs> = fc
        .record({
            image: fc.constantFrom("a", "b"),
            command: fc.constantFrom(undefined, ["x"], ["x", "y"]),
            envVars: fc.dictionary(fc.constantFrom("A", "B", "C"), fc.constantFrom("1", "2")),
            labels: fc.dictionary(fc.constantFrom("a", "b"), fc.constantFrom("1", "2")),
            readinessProbe: fc.record({ path: fc.constantFrom("/a", "/b"), periodSeconds: fc.constantFrom(5, 10) }),
            scalingStrategy: fc.constantFrom(undefined, { fixed: { replicas: 2 } }),
        })
        .map((changes) => inputs(changes));

    it("applied, it always leads to what is wanted, and never writes what is so already", () => {
        fc.assert(
            fc.property(somewhat, somewhat, (olds, news) => {
                const app = live(olds);
                for (const call of planCalls(app, news)) apply(app, call.path, call.body as Record<string, any>);
                expect(planCalls(app, news)).toEqual([]);
            }),
        );
    });
});

/** What the API's documentation says that each call does. */
function apply(app: LiveApp, path: string, body: Record<string, any>): void {
    const { spec } = app;
    if (path === "/scalingstrategy") spec.scalingStrategy = body;
    else if (path === "/label") {
        spec.labels = { ...spec.labels, [body.name as string]: body.value as string };
        if (body.value === null) delete spec.labels[body.name as string];
    } else {
        if (body.url) spec.image = body.url as string;
        if (body.command) spec.command = body.command as string[];
        if (body.probe) spec.probe = body.probe as object;
        for (const { name, value } of (body.envVars ?? []) as { name: string; value: string | null }[]) {
            spec.envVars = (spec.envVars ?? []).filter((variable) => variable.name !== name);
            if (value !== null) spec.envVars.push({ name, value });
        }
    }
}

describe("drift", () => {
    it("what is as wanted keeps the user's form; what drifted shows the platform's", () => {
        const app = live(full);
        app.spec.image = "by-hand";
        app.spec.labels = { ...app.spec.labels, extra: "x" };
        const seen = inputsFromLive(app, full);
        expect(seen).toEqual({ ...full, image: "by-hand", labels: { group: "test", extra: "x" } });
        expect(diffApp(seen, full)).toEqual({ changes: true, replaces: [] });
    });

    it("what the user leaves to the platform is no drift", () => {
        const bare = inputs({ readinessProbe: undefined });
        const app = live(bare);
        app.spec.probe = { path: "/", port: 8000 };
        app.spec.deploymentStrategy = { maxSurge: "25%" };
        expect(inputsFromLive(app, bare)).toEqual(JSON.parse(JSON.stringify(bare)));
    });

    it("a value that the platform does not show is unchanged", () => {
        const app = live(full);
        app.spec.envVars = app.spec.envVars!.map(({ name }) => ({ name }));
        expect(planCalls(app, full)).toEqual([]);
    });
});

it.each(["toString", "constructor", "__proto__"])("a label or variable named %s is one like any other", (name) => {
    const named = { labels: { [name]: "x" }, envVars: { [name]: "1" } };
    const given = inputs(named);
    const without = inputs({ labels: {}, envVars: {} });
    expect(planCalls(live(given), given, given)).toEqual([]);
    expect(inputsFromLive(live(given), given)).toEqual(given);
    expect(planCalls(live(without), given, without)).toEqual([
        { path: "/label", body: { name, value: "x" } },
        { path: "", body: { envVars: [{ name, value: "1" }] } },
    ]);
    expect(planCalls(live(given), without, given)).toEqual([
        { path: "", body: { envVars: [{ name, value: null }] } },
        { path: "/label", body: { name, value: null } },
    ]);
    // One of the platform's own, whose value it hides, is no drift of ours.
    const hidden = live(without);
    hidden.spec.envVars = [{ name, value: "******" }];
    expect(inputsFromLive(hidden, without).envVars).toEqual({ [name]: "" });
});
