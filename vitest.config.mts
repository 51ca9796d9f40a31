import { resolve } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Each of these starts real processes (an engine, a control plane, a Prometheus, a browser), and waits a lot. */
const real = [
    "test/engine/**/*.test.ts",
    "test/front-door/*.test.ts",
    "test/sandbox/{kubernetes,prometheus,plugins,console}/**/*.test.ts",
    "test/tools/dashboards/render.test.ts",
    "test/plan/past-prometheus.test.ts",
];

/** Like unit tests, but they ask promtool, amtool or Alertmanager. */
const tools = ["alertmanager", "alerts", "alerts-in-time", "any-config", "chart-overrides", "panels"].map(
    (name) => `test/monitoring/${name}.test.ts`,
);

/**
 * Those of test/engine that take minutes, the longest first. Left to itself vitest begins with the largest files, and ends with
 * minutes of a small one that runs alone.
 */
const longest = ["stack", "halves", "cluster", "over-time", "kill", "first-minutes", "interrupted", "faults"];

class LongestFirst extends BaseSequencer {
    override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
        const place = ({ moduleId }: TestSpecification): number => {
            const found = longest.findIndex((name) => moduleId.endsWith(`/test/engine/${name}.test.ts`));
            return found === -1 ? longest.length : found;
        };
        return (await super.sort(files)).sort((left, right) => place(left) - place(right));
    }
}

const lazySdk = JSON.stringify(resolve("test/lazy-sdk.cjs"));

export default defineConfig({
    // Before .js: "../../index" is the program, not what compiles it for Pulumi.
    resolve: { extensions: [".ts", ".mts", ".js", ".mjs", ".json"] },
    test: {
        pool: "forks",
        // Of the tests themselves, and of all that they start.
        env: { NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ""} --require ${lazySdk}` },
        reporters: ["default"],
        sequence: { sequencer: LongestFirst },
        projects: [
            {
                extends: true,
                test: {
                    name: "unit",
                    include: ["test/**/*.test.ts"],
                    exclude: [...real, ...tools],
                    testTimeout: 60_000,
                    hookTimeout: 60_000,
                    maxWorkers: 2,
                },
            },
            {
                extends: true,
                test: {
                    name: "tools",
                    include: tools,
                    // Runs only where a file of this project does.
                    globalSetup: "test/toolchain-setup.ts",
                    testTimeout: 60_000,
                    hookTimeout: 60_000,
                    maxWorkers: 2,
                },
            },
            {
                extends: true,
                test: {
                    name: "real",
                    include: real,
                    globalSetup: "test/toolchain-setup.ts",
                    // Programs in Go, above all API servers: a quarter less CPU time for half as much memory again.
                    env: { GOGC: "400", GOMEMLIMIT: "768MiB" },
                    // They wait a lot: two leave a third of two cores idle. A fourth took a tenth more CPU time, and 38 s less of 24 min.
                    maxWorkers: 3,
                    sequence: { groupOrder: 1 },
                    testTimeout: 600_000,
                    hookTimeout: 600_000,
                },
            },
        ],
    },
});
