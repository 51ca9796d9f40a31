import { defineConfig } from "vitest/config";

export default defineConfig({
    // Before .js: "../../index" is the program, not what compiles it for Pulumi.
    resolve: { extensions: [".ts", ".mts", ".js", ".mjs", ".json"] },
    test: {
        pool: "forks",
        reporters: ["default"],
        projects: [
            {
                extends: true,
                test: {
                    name: "unit",
                    include: ["test/**/*.test.ts"],
                    exclude: [
                        "test/engine/**",
                        "test/sandbox/{kubernetes,prometheus,plugins,console}/**",
                        "test/tools/dashboards/render.test.ts",
                    ],
                    testTimeout: 60_000,
                    hookTimeout: 60_000,
                    maxWorkers: 2,
                },
            },
            {
                // Each of these starts real processes (an engine, a control plane, a Prometheus, a browser), and waits a lot.
                extends: true,
                test: {
                    name: "real",
                    include: [
                        "test/engine/**/*.test.ts",
                        "test/sandbox/{kubernetes,prometheus,plugins,console}/**/*.test.ts",
                        "test/tools/dashboards/render.test.ts",
                    ],
                    maxWorkers: 2,
                    sequence: { groupOrder: 1 },
                    testTimeout: 600_000,
                    hookTimeout: 600_000,
                },
            },
        ],
    },
});
