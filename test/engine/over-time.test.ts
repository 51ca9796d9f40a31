import { ApiextensionsV1Api, CoreV1Api, CustomObjectsApi, KubeConfig } from "@kubernetes/client-node";
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { checkout } from "../../sandbox/layout";
import type { PulumiRun } from "../../sandbox/pulumi-cli";
import { defaultMonitoring } from "../../src/settings/defaults";
import { serveCharts, type ChartRepository } from "./chart-repository";
import { followRunbook, prepareByRunbook } from "./runbook";
import { openSandboxStage, type Stage } from "./stage";

let stage: Stage;
let charts: ChartRepository;
const annotation = "operator.prometheus.io/version";
const olderVersion = "87.21.0";

/** The committed sandbox stack, with a chart before that of the sandbox to begin with, from a repository that has both. */
beforeAll(async () => {
    stage = await openSandboxStage();
    const older = join(stage.layout.dir, "older-chart");
    makeOlder(stage.layout.chart, older);
    const newer = defaultMonitoring.chart.version;
    charts = await serveCharts(join(stage.layout.dir, "charts"), {
        [olderVersion]: older,
        [newer]: stage.layout.chart,
    });
    Object.assign(stage.env, charts.env);
    stage.configure({
        "monitoring.chart.path": undefined,
        "monitoring.chart.repository": charts.url,
        "monitoring.chart.version": olderVersion,
        "cluster.version": "1.33",
    });
});
afterAll(async () => {
    await stage.close();
    await charts.close();
});

/** A custom resource definition, in part. */
interface Crd {
    metadata: { annotations: Record<string, string> };
    spec: {
        versions: { schema: { openAPIV3Schema: { properties: { spec: { properties: Record<string, object> } } } } }[];
    };
}

/** What a definition knows of an object's `spec`. */
function specProperties(crd: Crd): Record<string, object> {
    return crd.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties;
}

/** A chart of the major version before, with definitions that lack a field and a kind. */
function makeOlder(chart: string, folder: string): void {
    cpSync(chart, folder, { recursive: true });
    const crds = join(folder, "charts/crds/crds");
    for (const name of readdirSync(crds)) {
        const crd = parse(readFileSync(join(crds, name), "utf8")) as Crd;
        crd.metadata.annotations[annotation] = "0.1.0";
        if (name.endsWith("_prometheuses.yaml")) {
            expect(specProperties(crd)).toHaveProperty("nameValidationScheme");
            delete specProperties(crd).nameValidationScheme;
        }
        writeFileSync(join(crds, name), stringify(crd, { aliasDuplicateObjects: false }));
    }
    rmSync(
        join(
            crds,
            readdirSync(crds).find((name) => name.endsWith("_thanosrulers.yaml"))!,
        ),
    );
}

async function succeed(run: Promise<PulumiRun>): Promise<string> {
    const { code, stdout, stderr } = await run;
    expect(code, stdout + stderr).toBe(0);
    return stdout + stderr;
}

async function fail(run: Promise<PulumiRun>): Promise<string> {
    const { code, stdout, stderr } = await run;
    expect(code, stdout + stderr).not.toBe(0);
    return stdout + stderr;
}

/** What the preview announced is what the up did; gives it, and what each said. */
async function upAsAnnounced(): Promise<{ steps: string[]; announced: string; said: string }> {
    const preview = await stage.steps("preview");
    const up = await stage.steps("up");
    expect(up.steps, "done, and announced").toEqual(preview.steps);
    return { steps: up.steps, announced: preview.said, said: up.said };
}

function cluster(): KubeConfig {
    const config = new KubeConfig();
    config.loadFromFile(stage.layout.kubeconfig);
    return config;
}

/** Version of each of the operator's definitions, by name. */
async function crdVersions(): Promise<Record<string, string | undefined>> {
    const { items } = await cluster().makeApiClient(ApiextensionsV1Api).listCustomResourceDefinition();
    return Object.fromEntries(items.map(({ metadata }) => [metadata!.name!, metadata!.annotations?.[annotation]]));
}

async function prometheusUid(): Promise<string> {
    const found = (await cluster().makeApiClient(CustomObjectsApi).getNamespacedCustomObject({
        group: "monitoring.coreos.com",
        version: "v1",
        namespace: "monitoring",
        plural: "prometheuses",
        name: "monitoring-prometheus",
    })) as { metadata: { uid: string } };
    return found.metadata.uid;
}

async function claims(): Promise<Record<string, { uid: string; capacity: string }>> {
    const { items } = await cluster()
        .makeApiClient(CoreV1Api)
        .listNamespacedPersistentVolumeClaim({ namespace: "monitoring" });
    return Object.fromEntries(
        items.map(({ metadata, status }) => [
            metadata!.name!,
            { uid: metadata!.uid!, capacity: status!.capacity!.storage },
        ]),
    );
}

const prometheusClaim = "prometheus-monitoring-prometheus-db-prometheus-monitoring-prometheus-0";
const release = () =>
    cluster()
        .makeApiClient(CoreV1Api)
        .listNamespacedSecret({ namespace: "monitoring", labelSelector: "owner=helm,name=monitoring" })
        .then(({ items }) => items.map(({ metadata }) => metadata!.name));

describe.sequential("a stack over time, real engine, real Kubernetes API", () => {
    it("up, and neither a refresh nor a second one finds a change", async () => {
        await succeed(stage.up());
        expect(new Set(Object.values(await crdVersions()))).toEqual(new Set(["0.1.0"]));
        await succeed(stage.refreshNothing());
        await succeed(stage.refresh());
        await succeed(stage.refreshNothing());
        await succeed(stage.previewNothing());
    });

    it("a newer chart brings its definitions, and a larger volume grows; both are announced", async () => {
        const before = { prometheus: await prometheusUid(), claims: await claims() };
        await prepareByRunbook(stage, "Upgrade the chart");
        await prepareByRunbook(stage, "Grow a volume");
        const { steps, announced, said } = await upAsAnnounced();
        // A larger volume costs more, which the rules on spend count in.
        expect(steps).toEqual(["update PrometheusRule monitoring-spend-rules", "update Release monitoring"]);
        expect(announced).toMatch(/chart 87\.21\.0 -> 88\.5\.3, and with it the custom resource definit/);
        expect(announced).toContain(`volume ${prometheusClaim} grows from 50Gi to 60Gi`);
        expect(said).toMatch(/10 custom resource definitions: 0\.1\.0, none -> \d/);

        const versions = await crdVersions();
        expect(Object.keys(versions)).toContain("thanosrulers.monitoring.coreos.com");
        expect(Object.values(versions)).not.toContain("0.1.0");
        const prometheuses = await cluster()
            .makeApiClient(ApiextensionsV1Api)
            .readCustomResourceDefinition({ name: "prometheuses.monitoring.coreos.com" });
        const file = readdirSync(join(stage.layout.chart, "charts/crds/crds")).find((name) =>
            /_prometheuses/.test(name),
        )!;
        const ofChart = parse(readFileSync(join(stage.layout.chart, "charts/crds/crds", file), "utf8")) as Crd;
        const inCluster = prometheuses.spec.versions[0].schema!.openAPIV3Schema!.properties!.spec.properties!;
        expect(Object.keys(inCluster).sort()).toEqual(Object.keys(specProperties(ofChart)).sort());
        expect(inCluster).toHaveProperty("nameValidationScheme");
        // Nothing of theirs went meanwhile.
        expect(await prometheusUid()).toBe(before.prometheus);
        await expect
            .poll(async () => (await claims())[prometheusClaim], { timeout: 60_000 })
            .toEqual({
                uid: before.claims[prometheusClaim].uid,
                capacity: "60Gi",
            });
        await succeed(stage.previewNothing());
    });

    it("a cluster gets the next version of Kubernetes in place", async () => {
        const [id] = stage.cloud.api.clusters();
        const before = stage.writes().length;
        await succeed(followRunbook(stage, "Upgrade Kubernetes"));
        expect(stage.cloud.api.clusters()).toEqual([id]);
        const ofCluster = stage
            .writes()
            .slice(before)
            .filter((call) => !/^POST \/kube\/[^/]+\/kubeconfig/.test(call));
        expect(ofCluster).toEqual([`POST /kube/${id}/update`]);
        await succeed(stage.previewNothing());
    });

    it("a volume that cannot be as wanted is refused in preview, and by up before anything is touched", async () => {
        const before = await release();
        stage.configure({ "monitoring.storage.prometheus": "50Gi", "monitoring.storage.alertmanager": "20Gi" });
        for (const run of [() => stage.preview(), () => stage.up()]) {
            const said = await fail(run());
            expect(said).toContain(`the volume ${prometheusClaim} has 60Gi, and no volume shrinks`);
            expect(said).toContain("pulumi config set --path monitoring.storage.prometheus 60Gi");
            expect(said).not.toMatch(/^\s+at .*\.[tj]s:\d+/m);
        }
        expect(await release()).toEqual(before);
        // What the message says works.
        stage.configure({ "monitoring.storage.prometheus": "60Gi", "monitoring.storage.alertmanager": undefined });
        await succeed(stage.previewNothing());
    });

    it("a changed app is announced with what follows from it, and nothing else", async () => {
        stage.configure({
            "models.ministral.scaling.target": 40,
            "models.ministral.tokens.scrapeRotation": "2",
            "monitoring.retention": "14d",
        });
        expect((await upAsAnnounced()).steps).toEqual([
            "update App ministral",
            "update PrometheusRule ministral-rules",
            "update Release monitoring",
            "update Secret ministral-scrape-token",
            "update Token ministral-scrape",
        ]);
        stage.configure({ "models.ministral.vllm.extraArgs": ["--seed", "7"] });
        expect((await upAsAnnounced()).steps).toEqual(["update App ministral", "update AppReady ministral"]);
        await succeed(stage.previewNothing());
    });

    it("the policies are asked in a preview: they warn of advisories, and refuse what the stack's own prices make too dear", async () => {
        const preview = () => stage.preview("--policy-pack", join(checkout, "policies"));
        const words = (said: string): string => said.replace(/\s+/g, " ");
        expect(words(await succeed(preview()))).toMatch(/\[advisory\] +advisories-warned .*App: ministral/);

        const file = join(stage.layout.dir, "prices.yaml");
        writeFileSync(file, "currency: EUR\nprices:\n  ai-app.h100-1-gpu.minute.consumption: 0.2\n");
        stage.configure({ "prices.file": file, "limits.eurosPerMonth": 40_000 });
        const refused = words(await fail(preview()));
        expect(refused).toMatch(
            /\[mandatory\] +spend-limit .*the stack costs 3\d\.\d\d EUR an hour, and 30 are allowed/,
        );
        stage.configure({ "prices.file": undefined, "limits.eurosPerMonth": undefined });
    });
});
