import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
    existsSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    readFileSync,
    rmSync,
    statSync,
    writeFileSync,
} from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { prepareChart, type PreparedChart } from "../../../sandbox/chart/chart";
import { defaultMonitoring } from "../../../src/settings/defaults";

const pinned = defaultMonitoring.chart.version;
const subCharts = ["crds", "grafana", "kube-state-metrics", "prometheus-windows-exporter"];

let dir: string;
let target: string;
let log: string[];
let servers: Server[];

beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "chart-test-"));
    target = join(dir, "sandbox/kube-prometheus-stack");
    log = [];
    servers = [];
    write("crds/monitoring.coreos.com_prometheuses.yaml", "kind: CustomResourceDefinition\n");
});
afterEach(() => {
    for (const server of servers) {
        server.closeAllConnections();
        server.close();
    }
    rmSync(dir, { recursive: true, force: true });
});

function write(file: string, content: string | Buffer): string {
    mkdirSync(dirname(join(dir, file)), { recursive: true });
    writeFileSync(join(dir, file), content);
    return join(dir, file);
}

/** A folder as `helm pull --untar` leaves it. */
function chartFolder(
    where: string,
    { name = "kube-prometheus-stack", version = pinned, charts = subCharts } = {},
): string {
    const dependencies = subCharts.map((sub) => ({ name: sub, version: "1.0.0" }));
    write(`${where}/Chart.yaml`, stringify({ apiVersion: "v2", name, version, dependencies }));
    write(`${where}/templates/part.yaml`, `# ${version}\n`);
    for (const sub of charts) write(`${where}/charts/${sub}/Chart.yaml`, stringify({ name: sub, version: "1.0.0" }));
    return join(dir, where);
}

function archiveOf(folder: string): string {
    const archive = `${folder}.tgz`;
    expect(
        spawnSync("tar", ["-czf", archive, "-C", dirname(folder), folder.slice(dirname(folder).length + 1)]).status,
    ).toBe(0);
    return archive;
}

function prepare(options: { chart?: string; repository?: string } = {}): Promise<PreparedChart> {
    log = [];
    return prepareChart({
        target,
        crds: join(dir, "crds"),
        allowDownload: options.repository !== undefined,
        log: (line) => log.push(line),
        ...options,
    });
}

/** Everything about the chart's folder that a program could notice. */
function state(): string[] {
    return readdirSync(target, { recursive: true, encoding: "utf8" })
        .sort()
        .map((file) => {
            const { ino, mtimeMs } = statSync(join(target, file));
            return `${file} ${ino} ${mtimeMs}`;
        });
}

async function serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A chart repository; `answer` may take over the answer to a request for the archive. */
async function repository(
    archive: Buffer,
    options: { digest?: string; version?: string; answer?: RequestListener } = {},
) {
    const entry = (name: string, version: string, digest: string): string =>
        [
            `  - apiVersion: v2`,
            `    appVersion: v0.0.1`,
            `    dependencies:`,
            `    - name: grafana`,
            `      version: ${pinned}`,
            `    description: "of version: ${pinned}"`,
            `    digest: ${digest}`,
            `    name: ${name}`,
            `    urls:`,
            `    - archives/${name}-${version}.tgz`,
            `    version: ${version}`,
        ].join("\n");
    const digest = options.digest ?? createHash("sha256").update(archive).digest("hex");
    const index = [
        "apiVersion: v1",
        "entries:",
        "  alertmanager:",
        entry("alertmanager", pinned, "0000"),
        "  kube-prometheus-stack:",
        entry("kube-prometheus-stack", "99.0.0", "1111"),
        entry("kube-prometheus-stack", options.version ?? pinned, digest),
        entry("kube-prometheus-stack", "1.0.0", "2222"),
        "  prometheus:",
        entry("prometheus", pinned, "3333"),
        'generated: "2026-01-01T00:00:00Z"',
    ].join("\n");
    const requests: string[] = [];
    const url = await serve((request, response) => {
        requests.push(request.url!);
        if (request.url === "/charts/index.yaml") response.end(index);
        else if (options.answer) options.answer(request, response);
        else if (request.url === `/charts/archives/kube-prometheus-stack-${pinned}.tgz`) response.end(archive);
        else response.writeHead(404).end();
    });
    return { url: `${url}/charts`, requests };
}

describe("a chart given", () => {
    it("as a folder is copied", async () => {
        const chart = chartFolder("mine");
        write("mine/.git/config", "not part of it");
        expect(await prepare({ chart })).toEqual({ source: `given by --chart ${chart}`, version: pinned });
        expect(readFileSync(join(target, "templates/part.yaml"), "utf8")).toBe(`# ${pinned}\n`);
        expect(readdirSync(join(target, "charts")).sort()).toEqual(subCharts);
        expect(existsSync(join(target, ".git"))).toBe(false);
        expect(readdirSync(dirname(target)).sort()).toEqual(["kube-prometheus-stack", "kube-prometheus-stack.source"]);
        expect(log.join("\n")).not.toContain("warning");
    });

    it("as an archive is unpacked", async () => {
        const chart = archiveOf(chartFolder("kube-prometheus-stack"));
        expect(await prepare({ chart })).toEqual({ source: `given by --chart ${chart}`, version: pinned });
        expect(readdirSync(target).sort()).toEqual(["Chart.yaml", "charts", "templates"]);
    });

    it("may hold its sub-charts packed", async () => {
        const chart = chartFolder("mine", { charts: ["crds"] });
        for (const sub of subCharts.slice(1)) write(`mine/charts/${sub}-1.2.3.tgz`, "packed");
        expect((await prepare({ chart })).version).toBe(pinned);
    });

    it("of another version is taken with a warning", async () => {
        expect((await prepare({ chart: chartFolder("mine", { version: "80.1.0" }) })).version).toBe("80.1.0");
        expect(log).toContainEqual(expect.stringMatching(new RegExp(`warning: .* ${pinned.replace(/\./g, "\\.")}`)));
    });

    it.each([
        ["another chart", () => chartFolder("mine", { name: "grafana" }), /--chart .*mine is the chart grafana: give/],
        ["no chart", () => dirname(write("mine/values.yaml", "a: 1\n")), /--chart .*mine is no Helm chart/],
        ["a broken Chart.yaml", () => dirname(write("mine/Chart.yaml", "a: b: c\n")), /Chart\.yaml is not YAML/],
        ["nothing", () => join(dir, "nowhere"), /--chart .*nowhere: there is no such file or folder/],
        ["a file that is no archive", () => write("mine.tgz", "hello"), /--chart .*mine\.tgz: not a chart archive/],
        [
            "sub-charts missing, one with a longer name there",
            () => {
                const chart = chartFolder("mine", { charts: ["crds", "kube-state-metrics"] });
                write("mine/charts/grafana-agent-1.2.3.tgz", "packed");
                return chart;
            },
            /lacks the sub-charts grafana, prometheus-windows-exporter in charts\/: run "helm dependency build"/,
        ],
        [
            "an archive without sub-charts",
            () => archiveOf(chartFolder("kube-prometheus-stack", { charts: [] })),
            /lacks the sub-charts crds, grafana/,
        ],
    ])("%s is refused, and what was there stays", async (_, chart, message) => {
        await prepare();
        const before = state();
        await expect(prepare({ chart: chart() })).rejects.toThrow(message);
        expect(state()).toEqual(before);
        expect(readdirSync(dirname(target)).sort()).toEqual(["kube-prometheus-stack", "kube-prometheus-stack.source"]);
    });
});

describe("the chart repository", () => {
    it("gives the pinned version, once", async () => {
        const { url, requests } = await repository(readFileSync(archiveOf(chartFolder("kube-prometheus-stack"))));
        const downloaded = { source: "downloaded", version: pinned };
        expect(await prepare({ repository: url })).toEqual(downloaded);
        expect(requests).toEqual(["/charts/index.yaml", `/charts/archives/kube-prometheus-stack-${pinned}.tgz`]);
        const before = state();
        expect(await prepare({ repository: url })).toEqual(downloaded);
        expect(requests).toHaveLength(2);
        expect(state()).toEqual(before);
    });

    it("is asked again when the version wanted has changed", async () => {
        chartFolder("sandbox/kube-prometheus-stack", { version: "80.1.0" });
        write("sandbox/kube-prometheus-stack.source", "downloaded\n");
        const { url } = await repository(readFileSync(archiveOf(chartFolder("kube-prometheus-stack"))));
        expect(await prepare({ repository: url })).toEqual({ source: "downloaded", version: pinned });
    });

    const archive = (): Buffer => readFileSync(archiveOf(chartFolder("kube-prometheus-stack")));
    it.each([
        [
            "sends something else",
            () => repository(archive(), { digest: "abcd" }),
            /digest [0-9a-f]{64}, the index says abcd/,
        ],
        [
            "does not have the version",
            () => repository(archive(), { version: "12.3.4" }),
            /index has no kube-prometheus-stack/,
        ],
        [
            "breaks off half way",
            () =>
                repository(archive(), {
                    answer: (_, response) => {
                        response.writeHead(200, { "content-length": "100000" });
                        response.write("half", () => response.destroy());
                    },
                }),
            /kube-prometheus-stack-.*\.tgz: /,
        ],
        [
            "sends half of it as if it were all",
            () => {
                const whole = archive();
                return repository(whole, {
                    answer: (_, response) => response.end(whole.subarray(0, whole.length / 2)),
                });
            },
            /digest [0-9a-f]{64}, the index says [0-9a-f]{64}: not used/,
        ],
        [
            "has an index without the archive",
            () => repository(archive(), { answer: (_, response) => response.writeHead(404).end() }),
            /kube-prometheus-stack-.*\.tgz answers 404/,
        ],
        [
            "is no repository",
            async () => ({ url: await serve((_, response) => response.end("<html>")) }),
            /index has no/,
        ],
        [
            "is not there",
            async () => {
                const url = await serve(() => {});
                await new Promise((resolve) => servers.pop()!.close(resolve));
                return { url };
            },
            /^no chart from http:.*ECONNREFUSED/,
        ],
        ["never answers", async () => ({ url: await serve(() => {}) }), /no answer within 5 s/],
    ])("%s: one line says so, and the stand-in is used", async (_, open, message) => {
        const { url } = await open();
        expect((await prepare({ repository: url })).source).toBe("stand-in");
        expect(log.filter((line) => line.startsWith("no chart from"))).toEqual([expect.stringMatching(message)]);
        expect(readdirSync(dirname(target)).sort()).toEqual(["kube-prometheus-stack", "kube-prometheus-stack.source"]);
    });
});

describe("from one run to the next", () => {
    it("an unchanged chart is not touched, whatever it is", async () => {
        for (const chart of [undefined, chartFolder("mine")]) {
            const first = await prepare({ chart });
            const before = state();
            expect(await prepare({ chart })).toEqual(first);
            expect(state()).toEqual(before);
        }
    });

    it("a chart given once stays without --chart, and it is said how to get rid of it", async () => {
        const given = await prepare({ chart: chartFolder("mine") });
        const before = state();
        rmSync(join(dir, "mine"), { recursive: true });
        const { url, requests } = await repository(Buffer.from(""));
        expect(await prepare({ repository: url })).toEqual(given);
        expect(state()).toEqual(before);
        expect(requests).toEqual([]);
        expect(log).toEqual([expect.stringContaining(`kept; to have it chosen anew, remove ${target}`)]);
        rmSync(target, { recursive: true });
        expect((await prepare()).source).toBe("stand-in");
    });

    it("a chart given again with changes is taken with its changes", async () => {
        const chart = chartFolder("mine");
        await prepare({ chart });
        write("mine/templates/new.yaml", "a: 1\n");
        rmSync(join(chart, "templates/part.yaml"));
        await prepare({ chart });
        expect(readdirSync(join(target, "templates"))).toEqual(["new.yaml"]);
        const unnoticed = expect.stringContaining("Pulumi deploys it with the next change of the values");
        expect(log).toContainEqual(unnoticed);
        await prepare({ chart: chartFolder("mine", { version: "80.1.0" }) });
        expect(log).not.toContainEqual(unnoticed);
    });

    it("a stand-in is not exchanged for the real chart unasked, but for the one given", async () => {
        await prepare();
        const { url, requests } = await repository(readFileSync(archiveOf(chartFolder("kube-prometheus-stack"))));
        expect((await prepare({ repository: url })).source).toBe("stand-in");
        expect(requests).toEqual([]);
        expect(log[0]).toContain(`for the real chart use --chart PATH, or remove ${target}`);
        expect((await prepare({ chart: join(dir, "kube-prometheus-stack") })).version).toBe(pinned);
        expect(existsSync(join(target, "values.yaml"))).toBe(false);
    });

    it("what an interrupted run left is no hindrance", async () => {
        write("sandbox/kube-prometheus-stack.new/unpacked/rest", "");
        write("sandbox/kube-prometheus-stack/templates/rest", "");
        expect((await prepare()).source).toBe("stand-in");
        expect(existsSync(join(target, "templates/rest"))).toBe(false);
        expect(readdirSync(dirname(target)).sort()).toEqual(["kube-prometheus-stack", "kube-prometheus-stack.source"]);
    });
});

describe("the stand-in", () => {
    const folder = join(__dirname, "../../../sandbox/chart/kube-prometheus-stack");
    const templates = readdirSync(join(folder, "templates"));

    it("says what it is and which version it follows", async () => {
        const { name, version, description } = parse(readFileSync(join(folder, "Chart.yaml"), "utf8")) as Record<
            string,
            string
        >;
        // A new pin asks for a look at what has changed in the real chart.
        expect({ name, version }).toEqual({ name: "kube-prometheus-stack", version: `${pinned}-sandbox` });
        expect(description).toContain("Stand-in");
        for (const file of ["README.md", "templates/NOTES.txt"]) {
            expect(readFileSync(join(folder, file), "utf8")).toMatch(
                new RegExp(`stand-in .*${pinned.replace(/\./g, "\\.")}`, "i"),
            );
        }
        expect(await prepare()).toEqual({ source: "stand-in", version });
    });

    it("brings the operator's CRDs", async () => {
        write("crds/README.md", "no CRD");
        await prepare();
        expect(readdirSync(join(target, "charts/crds/crds"))).toEqual(["monitoring.coreos.com_prometheuses.yaml"]);
        rmSync(join(dir, "crds"), { recursive: true });
        await expect(prepare()).rejects.toThrow(/crds holds no CRDs of prometheus-operator: run/);
    });

    it.each(templates)("%s reads no value of a parent that has no default: Helm would fail on it", (template) => {
        const values = parse(readFileSync(join(folder, "values.yaml"), "utf8")) as Record<string, unknown>;
        const text = readFileSync(join(folder, "templates", template), "utf8");
        const aliases = new Map([["Values", "Values"]]);
        for (const [, alias, path] of text.matchAll(/\$(\w+) := (?:\$\.|\.|\$)((?:\w+\.)+\w+)/g)) {
            const [root, ...rest] = path.split(".");
            if (aliases.has(root)) aliases.set(alias, [aliases.get(root), ...rest].join("."));
        }
        const parents = [...text.matchAll(/[$.](\w+)((?:\.\w+)+)/g)]
            .filter(([, root]) => aliases.has(root))
            .map(([, root, path]) => `${aliases.get(root)}${path}`.split(".").slice(1, -1));
        const found = (keys: string[]): unknown =>
            keys.reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], values);
        expect(parents.filter((keys) => typeof found(keys) !== "object").map((keys) => keys.join("."))).toEqual([]);
    });
});
