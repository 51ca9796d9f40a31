import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, it } from "vitest";

const checkout = join(__dirname, "..");

/** Every file of the tests that a file imports, itself included, directly or through others; types run nothing. */
function importedBy(file: string, seen = new Set<string>()): Set<string> {
    if (seen.has(file)) return seen;
    seen.add(file);
    for (const [, path] of readFileSync(file, "utf8").matchAll(/^(?!import type .*from).*from "(\.[^"]+)"/gm)) {
        const imported = `${join(dirname(file), path)}.ts`;
        if (imported.startsWith(__dirname) && existsSync(imported)) importedBy(imported, seen);
    }
    return seen;
}

/** Of vitest.config.mts, whose name TypeScript does not let an import say. */
interface Config {
    test: { projects: { test: { name: string; include: string[]; globalSetup?: string } }[] };
}

it("every test that runs programs of the toolchain is of a project that has them there first", async () => {
    const config = ((await import(join(checkout, "vitest.config.mts"))) as { default: Config }).default;
    const { projects } = config.test;
    const tests = readdirSync(__dirname, { recursive: true, encoding: "utf8" })
        .filter((file) => file.endsWith(".test.ts"))
        .map((file) => join(__dirname, file));
    const needing = tests
        .filter((file) => [...importedBy(file)].some((one) => /ensureToolchain\(\{/.test(readFileSync(one, "utf8"))))
        .map((file) => relative(checkout, file))
        // Tests of the toolchain itself make programs of their own.
        .filter((file) => !file.startsWith("test/sandbox/toolchain/"));
    const tools = projects.find(({ test }) => test.name === "tools")!.test.include;
    const real =
        /^test\/(engine|sandbox\/(kubernetes|prometheus|plugins|console))\/|^test\/(tools\/dashboards\/render|plan\/past-)/;
    expect(needing.filter((file) => !real.test(file)).sort()).toEqual([...tools].sort());
    for (const { test } of projects) expect(test.globalSetup !== undefined).toBe(test.name !== "unit");
});
