// Takes the part of `grafana` where none is installed: its flags, its grafana.ini (what comes later wins, GF_* of the environment
// wins over it, $__file{} is read), its provisioning from files, and of its HTTP API what the sidecars and the proof ask.
// It knows no page, no user but the administrator, and takes a frame for good as soon as Prometheus answers.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parse } from "yaml";

if (process.argv[2] === "--version") {
    console.log(`grafana version ${process.env.FAKE_GRAFANA_VERSION ?? "12.1.0"}`);
    process.exit(0);
}

const options = { homepath: { type: "string" }, config: { type: "string" } };
const { values, positionals } = parseArgs({ args: process.argv.slice(2), options, allowPositionals: true });
if (positionals[0] !== "server") throw new Error(`grafana ${positionals.join(" ")}: not known here`);
if (!existsSync(join(values.homepath, "conf/defaults.ini"))) throw new Error("no conf/defaults.ini in the home path");

const settings = {};
let section = "";
for (const line of readFileSync(values.config, "utf8").split("\n")) {
    const [, name] = /^\[(.+)\]$/.exec(line.trim()) ?? [];
    if (name !== undefined) section = name;
    const [, key, value] = /^\s*(\w+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (key !== undefined) settings[`${section}.${key}`] = value;
}
for (const [name, value] of Object.entries(process.env)) {
    const [, of, key] = /^GF_([A-Z]+)_(\w+)$/.exec(name) ?? [];
    if (of !== undefined) settings[`${of.toLowerCase()}.${key.toLowerCase()}`] = value;
}
for (const [key, value] of Object.entries(settings)) {
    settings[key] = value.replace(/^\$__file\{(.+)\}$/, (_, path) => readFileSync(path, "utf8"));
}

// The administrator is made with the database, and stays as it was made.
const database = join(settings["paths.data"], "grafana.db");
mkdirSync(settings["paths.data"], { recursive: true });
if (!existsSync(database)) {
    const [user, password] = [settings["security.admin_user"], settings["security.admin_password"]];
    writeFileSync(database, `${user}:${password}`);
}
const administrator = `Basic ${Buffer.from(readFileSync(database, "utf8")).toString("base64")}`;

const provisioned = (kind) => {
    const folder = join(settings["paths.provisioning"], kind);
    if (!existsSync(folder)) return [];
    return readdirSync(folder).map((name) => parse(readFileSync(join(folder, name), "utf8")));
};
let datasources, dashboards;
const read = {
    datasources: () => (datasources = provisioned("datasources").flatMap((file) => file.datasources)),
    dashboards: () => {
        const folders = provisioned("dashboards").flatMap((file) =>
            file.providers.map(({ options: { path } }) => path),
        );
        dashboards = folders.flatMap((path) =>
            readdirSync(path).map((name) => JSON.parse(readFileSync(join(path, name), "utf8"))),
        );
    },
};
read.datasources();
read.dashboards();

async function query({ url }, expr) {
    const answer = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expr)}`);
    return await answer.json();
}

async function api(method, path, body) {
    const [, kind] = /^\/api\/admin\/provisioning\/(\w+)\/reload$/.exec(path) ?? [];
    if (method === "POST" && kind in read) {
        read[kind]();
        return { message: `${kind} config reloaded` };
    }
    const [, uid, health] = /^\/api\/datasources\/uid\/(\w+)(\/health)?$/.exec(path) ?? [];
    const datasource = datasources.find((one) => one.uid === (uid ?? body?.queries[0].datasource.uid));
    if (uid !== undefined && datasource) {
        if (!health) return datasource;
        await query(datasource, "1+1");
        return { status: "OK", message: "Successfully queried the Prometheus API." };
    }
    const [, dashboardUid] = /^\/api\/dashboards\/uid\/([\w-]+)$/.exec(path) ?? [];
    const dashboard = dashboards.find((one) => one.uid === dashboardUid);
    if (dashboard) return { dashboard, meta: { provisioned: true } };
    if (method === "POST" && path === "/api/ds/query") {
        const results = {};
        for (const { refId, expr } of body.queries) {
            const seconds = expr.replaceAll("$__rate_interval", "60s").replaceAll("$__range", "900s");
            const { error, data } = await query(datasource, seconds);
            const frames = data?.result.map(({ value }) => ({ data: { values: [[value[0]], [Number(value[1])]] } }));
            results[refId] = error === undefined ? { status: 200, frames } : { status: 400, error };
        }
        return { results };
    }
    return undefined;
}

const server = createServer((request, response) => {
    const end = (status, body, headers = {}) => response.writeHead(status, headers).end(JSON.stringify(body));
    const { domain, root } = { domain: settings["server.domain"], root: settings["server.root_url"] };
    if (settings["server.enforce_domain"] === "true" && request.headers.host.split(":")[0] !== domain) {
        return end(301, {}, { location: root });
    }
    if (request.url === "/api/health") return end(200, { database: "ok", version: "12.1.0" });
    if (request.headers.authorization !== administrator) return end(401, { message: "Invalid username or password" });
    let text = "";
    request.on("data", (chunk) => (text += chunk));
    request.on("end", () =>
        api(request.method, request.url, text === "" ? undefined : JSON.parse(text)).then(
            (body) => (body ? end(200, body) : end(404, { message: "Not found" })),
            (error) => end(500, { message: error.cause?.message ?? error.message }),
        ),
    );
    return undefined;
});
server.listen(Number(settings["server.http_port"]), settings["server.http_addr"]);
process.on("SIGTERM", () => process.exit(0));
