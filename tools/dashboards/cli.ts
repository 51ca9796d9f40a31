// `npm run dashboards`: writes what the builders make into dashboards/, and removes what they no longer make.
// `npm run dashboards -- --render`: draws it from a live Prometheus. Exit code 1 when a panel fails or stays empty.
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dashboardJson } from "../../src/monitoring/dashboards/all";
import { dashboardsFolder } from "../../src/monitoring/dashboards/files";
import { durationSeconds } from "../../src/settings/formats";
import { commandLine } from "../command-line";
import { render } from "./render";

const usage = `npm run dashboards                 write dashboards/*.json
npm run dashboards -- --render     draw every panel from a live Prometheus, a picture of each dashboard
  --prometheus URL   default http://127.0.0.1:9090
  --out DIR          default .sandbox/dashboards
  --range DURATION   up to now, default 1h`;

async function main(): Promise<number> {
    const { values } = commandLine({
        options: {
            render: { type: "boolean", default: false },
            prometheus: { type: "string", default: "http://127.0.0.1:9090" },
            out: { type: "string", default: ".sandbox/dashboards" },
            range: { type: "string", default: "1h" },
            help: { type: "boolean", default: false },
        },
    });
    if (values.help) {
        console.log(usage);
        return 0;
    }
    if (!values.render) {
        writeDashboards();
        return 0;
    }
    const range = durationSeconds(values.range);
    if (!range) throw new Error(`--range ${values.range}: give a duration such as 1h or 15m`);
    const faults = await render({ ...values, range, log: (line) => console.log(line) });
    for (const fault of faults) console.error(`empty or failing: ${fault}`);
    return faults.length > 0 ? 1 : 0;
}

function writeDashboards(): void {
    const files = dashboardJson();
    for (const name of readdirSync(dashboardsFolder)) {
        if (name.endsWith(".json") && !(name in files)) rmSync(join(dashboardsFolder, name));
    }
    for (const [name, text] of Object.entries(files)) {
        writeFileSync(join(dashboardsFolder, name), text);
        console.log(`wrote dashboards/${name}`);
    }
}

main().then(
    (code) => process.exit(code),
    (error: Error) => {
        console.error(error.message);
        process.exit(2);
    },
);
