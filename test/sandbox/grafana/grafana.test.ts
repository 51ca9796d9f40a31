import { KubeConfig } from "@kubernetes/client-node";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LocalGrafana } from "../../../sandbox/grafana/local-grafana";
import { findGrafana } from "../../../sandbox/grafana/program";
import { freePort } from "../../../sandbox/http-server";
import { Findings, type Finding } from "../../../tools/verify/check";
import { checkGrafana } from "../../../sandbox/proof/grafana-api";
import { dashboardFiles } from "../../../src/monitoring/dashboards/files";
import { startApiServer, type ApiServer } from "../../managed-kubernetes/api-server";
import { installFakeGrafana } from "./installed-grafana";

// Grafana itself cannot be had from package registries: a stand-in takes its place here (fake-grafana.mjs), on a cluster that
// holds what the chart makes. Not tried by this: that a real Grafana takes its configuration so, and how it draws.

let dir: string;
let bin: string;
beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "grafana-"));
    bin = installFakeGrafana(join(dir, "installed"));
});
afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(dir, { recursive: true, force: true });
});

describe("the grafana of this machine", () => {
    it("is the one on PATH, with its files", () => {
        const home = join(dir, "installed");
        expect(findGrafana(`/nowhere:${bin}`)).toEqual({ path: join(bin, "grafana"), version: "12.1.0", home });
        expect(findGrafana("/nowhere")).toBeUndefined();
    });

    it("is refused when it is too old, or not whole", () => {
        vi.stubEnv("FAKE_GRAFANA_VERSION", "11.6.3");
        expect(() => findGrafana(bin)).toThrow("is 11.6.3: 12 or newer is needed");
        vi.stubEnv("FAKE_GRAFANA_VERSION", "of today");
        expect(() => findGrafana(bin)).toThrow('says "grafana version of today", which names no version');
        vi.stubEnv("FAKE_GRAFANA_VERSION", "13.2.0");
        rmSync(join(dir, "installed/conf"), { recursive: true });
        expect(() => findGrafana(bin)).toThrow("no conf/defaults.ini in");
    });
});

const namespace = "monitoring";
const password = "made-up-password-of-an-administrator";

/** The objects that Grafana's pod would read, as the chart makes them. */
function chartObjects() {
    const sidecar = (name: string, label: string, folder: string) => ({
        name,
        env: Object.entries({
            ...{
                METHOD: "WATCH",
                LABEL: label,
                LABEL_VALUE: "1",
                FOLDER: folder,
                RESOURCE: "configmap",
                NAMESPACE: namespace,
            },
        }).map(([key, value]) => ({ name: key, value })),
    });
    const fromSecret = (key: string) => ({ valueFrom: { secretKeyRef: { name: "grafana-admin", key } } });
    const deployment = {
        metadata: { name: "monitoring-grafana", namespace },
        spec: {
            template: {
                spec: {
                    containers: [
                        sidecar("grafana-sc-dashboard", "grafana_dashboard", "/tmp/dashboards"),
                        sidecar(
                            "grafana-sc-datasources",
                            "grafana_datasource",
                            "/etc/grafana/provisioning/datasources",
                        ),
                        {
                            name: "grafana",
                            env: [
                                { name: "GF_SECURITY_ADMIN_USER", ...fromSecret("admin-user") },
                                { name: "GF_SECURITY_ADMIN_PASSWORD", ...fromSecret("admin-password") },
                            ],
                            volumeMounts: [
                                { name: "config", mountPath: "/etc/grafana/grafana.ini", subPath: "grafana.ini" },
                                { name: "sc-dashboard-volume", mountPath: "/tmp/dashboards" },
                                {
                                    name: "sc-dashboard-provider",
                                    mountPath: "/etc/grafana/provisioning/dashboards/sc-dashboardproviders.yaml",
                                    subPath: "provider.yaml",
                                },
                            ],
                        },
                    ],
                    volumes: [
                        { name: "config", configMap: { name: "monitoring-grafana" } },
                        { name: "sc-dashboard-volume", emptyDir: {} },
                        { name: "sc-dashboard-provider", configMap: { name: "monitoring-grafana-config-dashboards" } },
                    ],
                },
            },
        },
    };
    const provider = { name: "sidecarProvider", type: "file", options: { path: "/tmp/dashboards" } };
    const prometheus = {
        ...{ name: "Prometheus", type: "prometheus", uid: "prometheus", access: "proxy" },
        url: "http://monitoring-prometheus:9090",
    };
    const elsewhere = { name: "Other", type: "prometheus", uid: "other", url: "https://metrics.example.org" };
    return {
        deployments: [deployment],
        configMaps: {
            "monitoring-grafana": {
                "grafana.ini": "[paths]\ndata = /var/lib/grafana/\n[server]\nhttp_addr = 0.0.0.0\n",
            },
            "monitoring-grafana-config-dashboards": {
                "provider.yaml": JSON.stringify({ apiVersion: 1, providers: [provider] }),
            },
        } as Record<string, Record<string, string>>,
        labelled: {
            "grafana_dashboard=1": Object.entries(dashboardFiles(["ministral"])).map(([name, text]) => ({
                [name]: text,
            })),
            "grafana_datasource=1": [
                { "datasource.yaml": JSON.stringify({ apiVersion: 1, datasources: [prometheus, elsewhere] }) },
            ],
        } as Record<string, Record<string, string>[]>,
        secret: { "admin-user": "admin", "admin-password": password } as Record<string, string>,
    };
}

describe("run for the pod of the cluster", () => {
    let objects: ReturnType<typeof chartObjects>;
    let cluster: ApiServer;
    let prometheus: Server;
    let asked: string[];
    let refuses: string | undefined;
    let grafana: LocalGrafana;
    let log: string[];

    beforeEach(async () => {
        objects = chartObjects();
        cluster = await startApiServer((_, path) => {
            const [, name] = /configmaps\/([\w-]+)$/.exec(path) ?? [];
            const [, label] = /labelSelector=(\w+=\w+)$/.exec(path) ?? [];
            if (path.includes("/deployments")) return { body: { items: objects.deployments } };
            if (path.endsWith("/secrets/grafana-admin")) {
                const data = Object.entries(objects.secret).map(([key, text]) => [
                    key,
                    Buffer.from(text).toString("base64"),
                ]);
                return { body: { data: Object.fromEntries(data) } };
            }
            if (name !== undefined && objects.configMaps[name]) return { body: { data: objects.configMaps[name] } };
            if (label !== undefined) {
                return { body: { items: (objects.labelled[label] ?? []).map((data) => ({ data })) } };
            }
            return { status: 404, body: { kind: "Status", code: 404 } };
        });
        asked = [];
        refuses = undefined;
        prometheus = createServer((incoming, answer) => {
            const expr = new URL(incoming.url!, "http://x").searchParams.get("query")!;
            asked.push(expr);
            const bad = refuses !== undefined && expr.includes(refuses);
            const result = [{ metric: {}, value: [1, "2"] }];
            answer.end(
                JSON.stringify(
                    bad ? { status: "error", error: "parse error" } : { status: "success", data: { result } },
                ),
            );
        });
        await new Promise<void>((resolve) => prometheus.listen(0, "127.0.0.1", resolve));
        const kubeconfig = new KubeConfig();
        kubeconfig.loadFromString(cluster.kubeconfig);
        log = [];
        grafana = new LocalGrafana(kubeconfig, {
            dir: join(dir, "grafana"),
            port: await freePort(),
            prometheus: `http://127.0.0.1:${(prometheus.address() as AddressInfo).port}`,
            alertmanager: "http://127.0.0.1:9",
            program: findGrafana(bin),
            log: (line) => log.push(line),
        });
    });
    afterEach(async () => {
        await grafana.stop();
        prometheus.close();
        await cluster.close();
    });

    /** A look now, without its pause; Grafana answers afterwards. */
    async function look(): Promise<void> {
        Object.assign(grafana, { notBefore: 0 });
        await grafana.look();
        if (!grafana.state.url) return;
        while (!(await fetch(`${grafana.url}/api/health`).catch(() => undefined))) await sleep(50);
    }

    async function proof(of = password): Promise<Finding[]> {
        const findings = new Findings();
        await checkGrafana(findings.group("Grafana"), {
            url: grafana.url,
            password: of,
            models: ["ministral"],
            patience: 0,
        });
        return findings.all;
    }

    it("has data source and dashboards, and the proof finds them", async () => {
        await look();
        const findings = await proof();
        expect(findings.map(({ ok, seen }) => [ok, seen])).toEqual([
            [true, "Successfully queried the Prometheus API."],
            [true, expect.stringContaining("Ministral 14B vLLM metrics monitoring")],
            [true, expect.stringMatching(/^\d\d panels, \d\d with data$/)],
        ]);
        // With the choices in, and the intervals left to Grafana.
        expect(asked.filter((expr) => expr.includes("$"))).toEqual([]);
        expect(asked.some((expr) => expr.includes('job=~"vllm-ministral"'))).toBe(true);
        expect(grafana.state).toEqual({ url: grafana.url, detail: "12.1.0" });
    });

    it("the proof names what is wrong: the data source, a dashboard, the panel of a query that is refused", async () => {
        objects.labelled["grafana_dashboard=1"].pop();
        refuses = "vllm:num_preemptions_total";
        await look();
        prometheus.closeAllConnections();
        const [, dashboards, panels] = await proof();
        expect(dashboards).toMatchObject({
            ok: false,
            seen: expect.stringContaining("answers 404 to /api/dashboards/uid/"),
        });
        expect(panels).toMatchObject({ ok: false, seen: expect.stringMatching(/, Preemptions: parse error$/) });
        const [wrong] = await proof("another-password");
        expect(wrong).toMatchObject({ ok: false, seen: expect.stringContaining("answers 401") });
        expect(JSON.stringify(await proof("another-password"))).not.toContain(password);
    });

    it("listens on this machine under one name, whatever the chart, the environment and a page say", async () => {
        vi.stubEnv("GF_SERVER_HTTP_ADDR", "0.0.0.0");
        vi.stubEnv("GF_SECURITY_ADMIN_PASSWORD", "of-another-grafana");
        await look();
        const { port } = new URL(grafana.url);
        const status = await new Promise((resolve) => {
            const headers = { host: `elsewhere.example:${port}` };
            request({ host: "127.0.0.1", port, path: "/api/health", headers }, ({ statusCode }) =>
                resolve(statusCode),
            ).end();
        });
        expect(status).toBe(301);
        expect((await proof())[0].ok).toBe(true);
        const ini = readFileSync(join(dir, "grafana/grafana.ini"), "utf8");
        expect(ini.lastIndexOf("http_addr = 127.0.0.1")).toBeGreaterThan(ini.lastIndexOf("http_addr = 0.0.0.0"));
        // The password is in a file that its owner alone may read, and nowhere else.
        expect(ini).not.toContain(password);
        expect(statSync(join(dir, "grafana/admin-password")).mode & 0o077).toBe(0);
        expect(log.join()).not.toContain(password);
        // A data source that is none of the cluster's stays what it is.
        expect(
            readFileSync(join(dir, "grafana/pod/etc/grafana/provisioning/datasources/datasource.yaml"), "utf8"),
        ).toContain("https://metrics.example.org");
    });

    it("is told of a change as the sidecars tell it, and replaced when the pod would be", async () => {
        await look();
        const uid = async (name: string): Promise<number> => {
            const authorization = `Basic ${Buffer.from(`admin:${password}`).toString("base64")}`;
            return (await fetch(`${grafana.url}/api/dashboards/uid/${name}`, { headers: { authorization } })).status;
        };
        expect(await uid("added")).toBe(404);
        objects.labelled["grafana_dashboard=1"].push({ "added.json": '{"uid": "added", "panels": []}' });
        await look();
        expect(await uid("added")).toBe(200);
        expect(log.filter((line) => line.includes("runs at"))).toHaveLength(1);
        objects.configMaps["monitoring-grafana"]["grafana.ini"] += "[users]\ndefault_theme = light\n";
        await look();
        expect(log.filter((line) => line.includes("runs at"))).toHaveLength(2);
        expect(await uid("added")).toBe(200);
    });

    it("ends with the chart, and is started again when it ends by itself", async () => {
        await look();
        expect(grafana.parts()).toMatchObject([{ name: "grafana", exit: undefined }]);
        objects.deployments = [];
        await look();
        expect(grafana.parts()).toEqual([]);
        expect(grafana.state.url).toBeUndefined();
        objects = chartObjects();
        objects.configMaps["monitoring-grafana-config-dashboards"]["provider.yaml"] =
            "providers: [{options: {path: /none}}]";
        Object.assign(grafana, { notBefore: 0 });
        await grafana.look();
        while (grafana.parts()[0].exit === undefined) await sleep(20);
        expect(grafana.state.detail).toMatch(/^has ended \(exit code 1\), see .*grafana\.log$/);
        objects = chartObjects();
        await look();
        expect(grafana.state.url).toBe(grafana.url);
    });
});
