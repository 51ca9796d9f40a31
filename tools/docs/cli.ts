// `npm run docs`: writes docs/settings.md.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { settingsPage } from "./settings-page";

settingsPage().then(
    (page) => {
        writeFileSync(join(__dirname, "../../docs/settings.md"), page);
        console.log("wrote docs/settings.md");
    },
    (error: Error) => {
        console.error(error.message);
        process.exitCode = 1;
    },
);
