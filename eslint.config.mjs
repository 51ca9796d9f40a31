import tseslint from "typescript-eslint";

/** Files of `files` may not import from these folders of the checkout. */
function apart(files, ...folders) {
    const regex = `(^|/)\\.\\./(${folders.join("|")})/`;
    return { files, rules: { "no-restricted-imports": ["error", { patterns: [{ regex, message: oneWay }] }] } };
}
const oneWay = "Imports point one way, see docs/architecture.md.";

/**
 * A folder of src that imports nothing of these others. By typescript-eslint's rule, because ESLint takes of one rule only the
 * last setting for a file.
 */
function inner(folder, ...others) {
    const regex = `(^|/)\\.\\./(${others.join("|")})(/|$)`;
    const message = "Imports between the folders of src point one way, see docs/architecture.md.";
    return {
        files: [`src/${folder}/**/*.ts`],
        rules: { "@typescript-eslint/no-restricted-imports": ["error", { patterns: [{ regex, message }] }] },
    };
}

export default tseslint.config(
    { ignores: ["**/dist/", "**/node_modules/", ".sandbox/", "**/*.json"] },
    {
        files: ["**/*.ts"],
        extends: [...tseslint.configs.recommendedTypeChecked],
        languageOptions: {
            parserOptions: {
                project: [
                    "./tsconfig.json",
                    "./packages/*/tsconfig.json",
                    "./sandbox/console/page/tsconfig.json",
                    "./tools/dashboards/page/tsconfig.json",
                ],
                tsconfigRootDir: import.meta.dirname,
            },
        },
        rules: {
            eqeqeq: ["error", "always", { null: "ignore" }],
            curly: ["error", "multi-line"],
            // The engine and HTTP hand over JSON; each place that reads it narrows it by hand or by schema.
            "@typescript-eslint/no-explicit-any": "off",
            "@typescript-eslint/no-unsafe-assignment": "off",
            "@typescript-eslint/no-unsafe-member-access": "off",
            "@typescript-eslint/no-unsafe-argument": "off",
            "@typescript-eslint/no-unsafe-return": "off",
            "@typescript-eslint/no-unsafe-call": "off",
            // Interfaces ask for async signatures (Pulumi's provider, request handlers) that not every body needs.
            "@typescript-eslint/require-await": "off",
            "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
            "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
        },
    },
    // plan -> sandbox -> tools -> machine, and all of them -> src -> packages; never the reverse.
    apart(["packages/**"], "src", "machine", "tools", "sandbox", "plan", "bench", "test"),
    apart(["index.ts", "src/**"], "machine", "tools", "sandbox", "plan", "bench", "test"),
    apart(["access/**"], "src", "packages", "policies", "machine", "tools", "sandbox", "plan", "bench", "test"),
    apart(["policies/**"], "machine", "tools", "sandbox", "plan", "bench", "test"),
    apart(["machine/**"], "src", "packages", "tools", "sandbox", "plan", "bench", "test"),
    apart(["tools/**"], "sandbox", "plan", "bench", "test"),
    apart(["sandbox/**"], "plan", "bench", "test"),
    apart(["plan/**"], "bench", "test"),
    // controller -> inference, cluster, monitoring -> settings -> vllm, hours
    inner("hours", "vllm", "settings", "inference", "cluster", "monitoring", "controller", "front-door"),
    inner("vllm", "settings", "inference", "cluster", "monitoring", "controller", "front-door"),
    inner("settings", "inference", "cluster", "monitoring", "controller", "front-door"),
    inner("inference", "cluster", "monitoring", "controller", "front-door"),
    inner("cluster", "inference", "monitoring", "controller", "front-door"),
    inner("monitoring", "inference", "controller", "front-door"),
    inner("front-door", "inference", "controller"),
);
