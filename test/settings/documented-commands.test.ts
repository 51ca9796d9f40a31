import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { faultsOf, secretKeys, toSet } from "./config";
import { configSet, readSetCommand } from "./pulumi-config";

const root = join(__dirname, "../..");
const pages = [
    "README.md",
    ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
        .filter((path) => path.endsWith(".md"))
        .map((path) => join("docs", path)),
];

/** Every `pulumi config set` of a page, without what a shell does before and after it. */
function commandsOf(page: string): string[] {
    const text = readFileSync(join(root, page), "utf8");
    return (
        (text.match(/pulumi config set [^\n`]+/g) ?? [])
            .map((line) =>
                line
                    .replace(/\s+(#|&&|;|\\$).*$/, "")
                    .replace(/ (--stack|-s) \S+/, "")
                    .replace(/\bNAME\b/g, "ministral"),
            )
            // Of other providers, and words about the command.
            .filter((line) => !/ \w+:\w+|--config|--cwd|\.\.\.|KEY/.test(line))
    );
}

it("no page sets what is no setting", () => {
    const found = pages.flatMap((page) => commandsOf(page).map((line): [string, string] => [page, line]));
    expect(found.length).toBeGreaterThan(100);
    const unknown = found.filter(([, line]) => {
        const { key, isPath } = readSetCommand(line);
        if (!key) return false; // prose
        const command = `pulumi config set ${isPath ? "--path " : ""}'${key.replace(/\[\d+\]/g, "[0]")}' x`;
        return faultsOf(configSet(toSet, command), secretKeys).some((fault) => fault.found === "no such setting");
    });
    expect(unknown).toEqual([]);
});
