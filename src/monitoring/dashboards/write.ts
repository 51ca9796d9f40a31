// `npm run dashboards`: writes what the builders make into dashboards/, and removes what they no longer make.
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dashboardJson } from "./all";
import { dashboardsFolder } from "./files";

const files = dashboardJson();
for (const name of readdirSync(dashboardsFolder)) {
    if (name.endsWith(".json") && !(name in files)) rmSync(join(dashboardsFolder, name));
}
for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(dashboardsFolder, name), text);
    console.log(`wrote dashboards/${name}`);
}
