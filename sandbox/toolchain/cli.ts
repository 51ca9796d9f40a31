// Finds, downloads or builds all tools of the sandbox and its tests: `npx tsx sandbox/toolchain/cli.ts [--json]`.
import { table } from "../../machine/terminal";
import { tools } from "./recipes";
import { ensureToolchain } from "./toolchain";

const json = process.argv.includes("--json");
ensureToolchain({ log: (line) => console.error(line) }).then(
    ({ bin, source }) => {
        if (json) {
            console.log(
                JSON.stringify(
                    Object.fromEntries(tools.map((tool) => [tool, { ...source[tool], path: bin[tool] }])),
                    null,
                    4,
                ),
            );
        } else console.log(table(tools.map((tool) => [tool, source[tool]!.version, source[tool]!.from, bin[tool]])));
    },
    (error: Error) => {
        console.error(`error: ${error.message}`);
        process.exitCode = 1;
    },
);
