// `npm run dashboards`: writes what the builders make into dashboards/.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { dashboardsFolder } from "./files";
import { dashboardFile, dashboardJson } from "./vllm";

writeFileSync(join(dashboardsFolder, dashboardFile), dashboardJson());
console.log(`wrote dashboards/${dashboardFile}`);
