import { KubernetesApi } from "pulumi-ovh-managed-kubernetes";
import { afterEach, expect, it } from "vitest";
import { chartValues } from "../../src/monitoring/chart-values";
import { planVolumes, resizeVolumes, wantedVolumes, type Claim } from "../../src/monitoring/volumes";
import { defaultAlerting, defaultMonitoring, overlay } from "../../src/settings/defaults";
import { alertingSchema, monitoringSchema } from "../../src/settings/schema";
import { startApiServer, type ApiServer } from "../managed-kubernetes/api-server";

const names = {
    prometheus: "prometheus-monitoring-prometheus-db-prometheus-monitoring-prometheus-0",
    alertmanager: "alertmanager-monitoring-alertmanager-db-alertmanager-monitoring-alertmanager-0",
    grafana: "monitoring-grafana",
};
const highSpeed = "csi-cinder-high-speed";
const classes = [
    { metadata: { name: highSpeed }, allowVolumeExpansion: true },
    { metadata: { name: "fixed" }, allowVolumeExpansion: false },
];

const claim = (name: string, storage: string, storageClassName = highSpeed): Claim => ({
    metadata: { name },
    spec: { storageClassName, resources: { requests: { storage } } },
});
const standing = [
    claim(names.prometheus, "50Gi"),
    claim(names.alertmanager, "10Gi"),
    claim(names.grafana, "10Gi"),
    claim("somebody-elses", "1Gi", "other"),
];

/** The chart's values with these settings of `monitoring`. */
function values(over: object): Record<string, unknown> {
    const settings = monitoringSchema.parse(overlay(defaultMonitoring, over));
    return chartValues(settings, alertingSchema.parse(defaultAlerting));
}
const plan = (over: object, claims = standing) => planVolumes(wantedVolumes(values(over)), claims, classes);

it("without a change there is nothing to do, however the size is written", () => {
    expect(plan({})).toEqual({ faults: [], grow: [] });
    const other = [claim(names.prometheus, "53687091200"), claim(names.grafana, "10240Mi")];
    expect(plan({}, other)).toEqual({ faults: [], grow: [] });
});

it("a larger one grows; only Grafana's is Helm's own", () => {
    const { faults, grow } = plan({ storage: { prometheus: "60Gi", alertmanager: "1Ti", grafana: "20Gi" } });
    expect(faults).toEqual([]);
    expect(grow).toEqual([
        { claim: names.prometheus, from: "50Gi", to: "60Gi", ofHelm: false },
        { claim: names.alertmanager, from: "10Gi", to: "1Ti", ofHelm: false },
        { claim: names.grafana, from: "10Gi", to: "20Gi", ofHelm: true },
    ]);
});

it("each replica of a user's own values has a volume", () => {
    const second = names.prometheus.replace(/0$/, "1");
    const { grow } = plan({ storage: { prometheus: "60Gi" } }, [...standing, claim(second, "50Gi")]);
    expect(grow.map((one) => one.claim)).toEqual([names.prometheus, second]);
});

it.each(["prometheus", "alertmanager", "grafana"] as const)(
    "a smaller one for %s is refused, with what it has",
    (part) => {
        const { faults, grow } = plan({ storage: { [part]: "5Gi" } });
        const has = part === "prometheus" ? "50Gi" : "10Gi";
        expect(grow).toEqual([]);
        expect(faults).toEqual([
            `monitoring.storage.${part}: "5Gi"; the volume ${names[part]} has ${has}, and no volume shrinks. Keep it: ` +
                `pulumi config set --path monitoring.storage.${part} ${has}; to begin with an empty one, see docs/upgrading.md#volumes`,
        ]);
    },
);

it("another class is refused for each volume, whatever the size", () => {
    const { faults, grow } = plan({ storage: { class: "csi-cinder-high-speed-gen2", prometheus: "60Gi" } });
    expect(grow).toEqual([]);
    expect(faults).toHaveLength(3);
    expect(faults[0]).toContain(`pulumi config set --path monitoring.storage.class ${highSpeed};`);
});

it("a class that lets none grow is told", () => {
    const fixed = [claim(names.prometheus, "50Gi", "fixed")];
    expect(plan({ storage: { class: "fixed", prometheus: "60Gi" } }, fixed).faults.join()).toMatch(
        /its class fixed lets none grow. Keep it: pulumi config set --path monitoring.storage.prometheus 50Gi/,
    );
});

it("one on its way out stands in nobody's way", () => {
    const going = standing.map((one) => ({
        ...one,
        metadata: { ...one.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" },
    }));
    expect(plan({ storage: { class: "fixed", prometheus: "5Gi" } }, going)).toEqual({ faults: [], grow: [] });
});

it("what a user's own values take away is not judged", () => {
    const own = { prometheus: { prometheusSpec: { storageSpec: null } }, grafana: { persistence: { enabled: false } } };
    expect(wantedVolumes(values({ chart: { values: own } })).map(({ setting }) => setting)).toEqual(["alertmanager"]);
});

let server: ApiServer | undefined;
afterEach(() => server?.close());

async function resize(over: object, onlyLook: boolean) {
    const patches: object[] = [];
    server = await startApiServer((method, path, body: object) => {
        if (method === "PATCH") patches.push({ path, body });
        return { body: { items: path.endsWith("storageclasses") ? classes : standing } };
    });
    const told = await resizeVolumes(new KubernetesApi(server.kubeconfig), "monitoring", values(over), onlyLook);
    return { told, patches };
}

it("a preview only looks", async () => {
    const { told, patches } = await resize({ storage: { prometheus: "60Gi" } }, true);
    expect(told).toEqual([`volume ${names.prometheus} grows from 50Gi to 60Gi, and its pod restarts`]);
    expect(patches).toEqual([]);
});

it("claims grow that Helm does not know", async () => {
    const { told, patches } = await resize({ storage: { prometheus: "60Gi", grafana: "11Gi" } }, false);
    expect(told).toHaveLength(2);
    expect(patches).toEqual([
        {
            path: `/api/v1/namespaces/monitoring/persistentvolumeclaims/${names.prometheus}`,
            body: { spec: { resources: { requests: { storage: "60Gi" } } } },
        },
    ]);
});

it("of two changes, one of which cannot be, none is made", async () => {
    const both = resize({ storage: { prometheus: "60Gi", grafana: "5Gi" } }, false);
    await expect(both).rejects.toThrow(/monitoring.storage.grafana/);
    expect(server!.requests.map((request) => request.split(" ")[0])).toEqual(["GET", "GET"]);
});
