import { describe, expect, it } from "vitest";
import { allowedIn, exceptions, type Allowed } from "../../policies/allowed";
import { descriptions, openAdvisories, overspending, rules, type Resource } from "../../policies/rules";
import { formats } from "./programs";

const app = (props: Record<string, unknown> = {}, protect = false): Resource => ({
    type: "pulumi-nodejs:dynamic/ovh-ai-deploy:App",
    name: "chat",
    protect,
    props: {
        image: "vllm/vllm-openai:v0.33.0",
        region: "GRA",
        labels: { ai_deploy_token: "chat" },
        resources: { flavor: "h100-1-gpu", gpu: 1 },
        scalingStrategy: { automatic: { replicasMin: 1, replicasMax: 3 } },
        ...props,
    },
});
const other = (type: string, props: Record<string, unknown>): Resource => ({ type, name: "it", protect: false, props });
const digest = `sha256:${"0123456789abcdef".repeat(4)}`;

/** A resource that keeps each rule, and how each rule is broken. */
const cases: Record<keyof typeof rules, { stack?: string; kept: Resource[]; broken: [Resource, RegExp][] }> = {
    "pinned-image": {
        stack: "prod",
        kept: [
            app({ image: `vllm/vllm-openai:v0.33.0@${digest}` }),
            app({ image: `r.example:5000/vllm:v1@${digest}` }),
        ],
        broken: [
            [app({ image: "vllm/vllm-openai:v0.33.0" }), /no digest/],
            [app({ image: `vllm/vllm-openai@${digest}` }), /no version/],
            [app({ image: "vllm/vllm-openai:latest" }), /can become another one/],
            [app({ image: "vllm/vllm-openai" }), /can become another one/],
        ],
    },
    "pinned-chart": {
        kept: [
            other("kubernetes:helm.sh/v3:Release", { chart: "kube-prometheus-stack", version: "88.5.3" }),
            other("kubernetes:helm.sh/v3:Release", { chart: "/sandbox/chart" }),
        ],
        broken: [
            [other("kubernetes:helm.sh/v3:Release", { chart: "kube-prometheus-stack" }), /no version/],
            [other("kubernetes:helm.sh/v3:Release", { chart: "kube-prometheus-stack", version: "^88" }), /"\^88"/],
        ],
    },
    "secured-app": {
        kept: [app(), app({ unsecureHttp: false })],
        broken: [[app({ unsecureHttp: true }), /without a token/]],
    },
    "token-selector": {
        kept: [other("pulumi-nodejs:dynamic/ovh-ai-deploy:Token", { labelSelector: "a=b" })],
        broken: [
            [other("pulumi-nodejs:dynamic/ovh-ai-deploy:Token", {}), /every app of the project/],
            [other("pulumi-nodejs:dynamic/ovh-ai-deploy:Token", { labelSelector: " " }), /every app of the project/],
        ],
    },
    "private-grafana": {
        kept: [
            other("kubernetes:core/v1:Service", { spec: { type: "ClusterIP" } }),
            other("kubernetes:core/v1:Service", {
                spec: { type: "LoadBalancer", loadBalancerSourceRanges: ["203.0.113.0/24"] },
            }),
        ],
        broken: [
            [other("kubernetes:core/v1:Service", { spec: { type: "LoadBalancer" } }), /whole internet/],
            [
                other("kubernetes:core/v1:Service", {
                    spec: { type: "LoadBalancer", loadBalancerSourceRanges: ["203.0.113.0/24", "::/0"] },
                }),
                /whole internet/,
            ],
        ],
    },
    "allowed-region": {
        kept: [app(), other("ovh:CloudProject/kube:Kube", { region: "GRA11" })],
        broken: [
            [app({ region: "BHS" }), /"BHS" is not allowed/],
            [other("ovh:CloudProject/kube:Kube", { region: "SGP1" }), /"SGP1"/],
        ],
    },
    "app-labels": {
        kept: [app()],
        broken: [
            [app({ labels: {} }), /"ai_deploy_token" is not set/],
            [app({ labels: undefined }), /"ai_deploy_token" is not set/],
        ],
    },
    protected: {
        stack: "prod",
        kept: [app({}, true), other("kubernetes:core/v1:Secret", {})],
        broken: [
            [app(), /not protected/],
            [other("ovh:CloudProject/kube:Kube", {}), /not protected/],
        ],
    },
};

describe.each(Object.keys(cases) as (keyof typeof rules)[])("%s", (name) => {
    const { stack = "dev", kept, broken } = cases[name];
    it("is kept", () => expect(kept.flatMap((one) => rules[name](one, allowedIn(stack)))).toEqual([]));
    it("is broken, and says how", () => {
        for (const [resource, message] of broken) {
            expect(rules[name](resource, allowedIn(stack)), JSON.stringify(resource.props)).toEqual([
                expect.stringMatching(message),
            ]);
        }
    });
    it("is none of the business of anything else", () => {
        expect(rules[name](other("random:index/randomId:RandomId", {}), allowedIn("prod"))).toEqual([]);
    });
    it("has a description", () => expect(descriptions[name].length).toBeGreaterThan(20));
});

describe("by stack", () => {
    it("dev needs neither digest nor protection; prod both", () => {
        expect(rules["pinned-image"](app(), allowedIn("dev"))).toEqual([]);
        expect(rules.protected(app(), allowedIn("dev"))).toEqual([]);
        expect(allowedIn("prod")).toMatchObject({ digests: true, protect: true, advisories: "refuse" });
    });

    it("a stack that is called like a property of objects is as any other", () => {
        expect(allowedIn("constructor")).toEqual(allowedIn("dev"));
    });

    it("Grafana may be open where that is said", () => {
        const open = other("kubernetes:core/v1:Service", { spec: { type: "LoadBalancer" } });
        expect(rules["private-grafana"](open, { ...allowedIn("dev"), publicGrafana: true })).toEqual([]);
    });
});

describe("advisories", () => {
    const old = app({ image: "vllm/vllm-openai:v0.13.0" });
    const [first] = openAdvisories(old, [], "2026-11-26");
    const id = /GHSA-[\w-]+/.exec(first)![0];

    it("each of the image's, with the version that mends it", () => {
        expect(first.match(/GHSA-[\w-]+ \(mended in \d/g)!.length).toBeGreaterThan(3);
        expect(openAdvisories(app(), [], "2026-11-26")).toEqual([]);
    });

    it("an exception covers one of them until its last day", () => {
        const exception = { id, until: "2026-12-01", why: "text only" };
        const open = (today: string) => openAdvisories(old, [exception], today)[0];
        expect(open("2026-11-26")).not.toContain(id);
        expect(open("2026-12-01")).not.toContain(id);
        expect(open("2026-12-02")).toContain(`${id} (the exception ended on 2026-12-01, mended in`);
    });

    it("exceptions for all of them leave nothing to say", () => {
        const all = first.match(/GHSA-[\w-]+/g)!.map((one) => ({ id: one, until: "2027-01-31", why: "made up" }));
        expect(openAdvisories(old, all, "2026-11-26")).toEqual([]);
    });

    it("every exception has an end that is a day, and a reason", () => {
        for (const { until, why } of exceptions) {
            expect(until).toMatch(/^\d{4}-\d\d-\d\d$/);
            expect(why).not.toBe("");
        }
    });
});

describe("spend limit", () => {
    const allowed: Allowed = { ...allowedIn("dev"), mostGpus: 4 };
    const models = (...names: string[]) => names.map((name) => ({ ...app({ region: name }), name }));

    it("counts GPUs of all apps at their most replicas", () => {
        expect(overspending(models("a"), allowed)).toEqual([]);
        expect(overspending(models("a", "b"), allowed)).toEqual([expect.stringMatching(/6 GPUs.* 4 are allowed/)]);
    });

    it("a stopped app uses none, a fixed number counts as it is", () => {
        const stopped = app({ desiredState: "STOPPED", scalingStrategy: undefined });
        expect(overspending([stopped], allowed)).toEqual([]);
        const fixed = app({ scalingStrategy: { fixed: { replicas: 5 } } });
        expect(overspending([fixed], allowed)).toHaveLength(1);
    });

    it("holds the cost that the program gives out", () => {
        const costing = (max: number) => [
            ...models("a"),
            other("pulumi:pulumi:Stack", { cost: { currency: "EUR", perHour: { min: 2, max } } }),
        ];
        expect(overspending(costing(30), allowed)).toEqual([]);
        expect(overspending(costing(36), allowed)).toEqual([
            expect.stringMatching(/the stack costs 36\.00 EUR an hour, and 30 are allowed: lower a replicas\.max/),
        ]);
    });

    it("a stack without prices is held to its GPUs alone", () => {
        const unpriced = other("pulumi:pulumi:Stack", { cost: { items: [], notPriced: ["node b2-15"] } });
        expect(overspending([...models("a"), unpriced], allowed)).toEqual([]);
        expect(overspending([...models("a", "b"), unpriced], allowed)).toHaveLength(1);
    });

    it("counts what a schedule gives an app at another hour", () => {
        const byNight = { automatic: { replicasMin: 1, replicasMax: 1 } };
        const byDay = { automatic: { replicasMin: 2, replicasMax: 5 } };
        const scheduled = app({ scalingStrategy: byNight, otherScalings: [byDay] });
        expect(overspending([scheduled], allowed)).toEqual([expect.stringMatching(/5 GPUs/)]);
    });
});

describe("one definition with the program", () => {
    it("an image that the settings take keeps pinned-image in dev, one that they refuse breaks it", () => {
        for (const image of [
            "vllm/vllm-openai:v0.13.0",
            "vllm/vllm-openai:latest",
            "vllm/vllm-openai",
            `a@${digest}`,
        ]) {
            const kept = rules["pinned-image"](app({ image }), allowedIn("dev")).length === 0;
            expect(kept, image).toBe(formats.takesImage(image));
        }
    });
});
