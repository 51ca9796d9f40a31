import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { scripts } from "../package.json";
import { usage } from "../sandbox/commands/options";
import { checkout } from "../sandbox/layout";
import type { Fault } from "../src/settings";
import { faultsOf } from "./settings/config";

/** What people read is held to what exists: links, paths, commands, settings. */

/** Files of the checkout whose name ends so, by their paths from its root. */
function filesEndingWith(end: string, folder = checkout): string[] {
    const passedOver = ["node_modules", "dist", ".sandbox", ".git"];
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
        const path = join(folder, entry.name);
        if (entry.isDirectory()) return passedOver.includes(entry.name) ? [] : filesEndingWith(end, path);
        return entry.name.endsWith(end) ? [relative(checkout, path)] : [];
    });
}

const documents = filesEndingWith(".md");
const tests = filesEndingWith(".test.ts");
const textOf = (file: string): string => readFileSync(join(checkout, file), "utf8");
const withoutBlocks = (text: string): string => text.replace(/^```[\s\S]*?^```/gm, "");

/** The anchors of a document's headings, as GitHub makes them. */
function anchorsOf(file: string): string[] {
    const headings = [...withoutBlocks(textOf(file)).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading);
    return headings.map((heading) =>
        heading
            .toLowerCase()
            .replace(/[^\p{L}\p{N}_ -]/gu, "")
            .replaceAll(" ", "-"),
    );
}

function deadLinksOf(file: string): string[] {
    const links = [...withoutBlocks(textOf(file)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link);
    return links.filter((link) => {
        if (/^(https?|mailto):/.test(link)) return false;
        const [path, anchor] = link.split("#");
        const target = path === "" ? file : relative(checkout, resolve(checkout, dirname(file), path));
        if (!existsSync(join(checkout, target))) return true;
        return anchor !== undefined && !anchorsOf(target).includes(anchor);
    });
}

/** Paths in backticks that begin at the root of the checkout or beside the document. */
function deadPathsOf(file: string): string[] {
    const roots = readdirSync(checkout).filter((name) => !["node_modules", ".sandbox"].includes(name));
    const named = [...withoutBlocks(textOf(file)).matchAll(/`([\w.@-]+(?:\/[\w.@-]+)+)\/?`/g)].map(([, path]) => path);
    const places = [checkout, join(checkout, dirname(file))];
    return named
        .filter((path) => roots.includes(path.split("/")[0]) && !path.startsWith("packages/NAME"))
        .filter((path) => !places.some((place) => existsSync(join(place, path))));
}

/** Commands of npm that do not exist. */
function deadCommandsOf(file: string): string[] {
    const text = textOf(file);
    const all = (pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, name]) => name);
    const sandboxCommands = [...usage.matchAll(/^ {2}(\w+) {2,}/gm)].map(([, name]) => name);
    return [
        ...all(/npm run (?:-s |--silent )?(\w[\w:-]*)/g).filter((name) => !(name in scripts)),
        ...all(/npm run sandbox -- ([a-z]+)/g).filter((name) => !sandboxCommands.includes(name)),
        ...all(/npm test -- ((?:[\w./-]+ ?)+)/g)
            .flatMap((paths) => paths.trim().split(" "))
            .filter((path) => path.startsWith("test/") && !tests.some((test) => test.startsWith(path))),
    ];
}

/** What the lines `pulumi config set --path KEY VALUE` of each block have made of the config, line by line. */
function configsOf(
    file: string,
): { path: string; config: Record<string, unknown>; secretKeys: string[]; isWhole: boolean }[] {
    const line = /^ *pulumi config set --path (--secret )?'?([\w.[\]]+)'?(?: +("[^"]*"|'[^']*'|[^\s#&]+))?/gm;
    return [...textOf(file).matchAll(/^```bash\n([\s\S]*?)^```/gm)].flatMap(([, block]) => {
        let config: Record<string, unknown> = { monitoring: { grafana: { allowedSources: ["198.51.100.7/32"] } } };
        const lines = [...block.matchAll(line)];
        const secretKeys = ["huggingFaceToken"];
        return lines.map(([, secret, path, text], i) => {
            const madeUp = path.endsWith("Key") ? "0123456789abcdef0123456789abcdef" : "https://example.org/made-up";
            const value = secret ? madeUp : valueOf(text);
            const keys = path.split(/[.[\]]+/).filter(Boolean);
            if (secret) secretKeys.push(keys[0]);
            const set = keys.reduceRight<unknown>((inner, key) => nested(key, inner), value);
            config = mergedWith(config, set as Record<string, unknown>);
            return { path, config, secretKeys, isWhole: i > 0 && i === lines.length - 1 };
        });
    });
}

function nested(key: string, value: unknown): unknown {
    if (!/^\d+$/.test(key)) return { [key]: value };
    const list: unknown[] = [];
    list[Number(key)] = value;
    return list;
}

const appId = "00000000-0000-4000-8000-000000000000";

/** As `pulumi config set --path` takes it. A command in it stands for a day, a variable for an id. */
function valueOf(text: string): unknown {
    const bare = text
        .replace(/^["'](.*)["']$/, "$1")
        .replace("$(date +%F)", "2026-11-24")
        .replace("$APP_ID", appId);
    return /^(\d+|true|false|null)$/.test(bare) ? JSON.parse(bare) : bare;
}

describe.each(documents)("%s", (file) => {
    it("links to what exists", () => expect(deadLinksOf(file)).toEqual([]));
    it("names paths that exist", () => expect(deadPathsOf(file)).toEqual([]));
    it("names commands that exist", () => expect(deadCommandsOf(file)).toEqual([]));
    it("shows settings that are accepted", () => {
        // The list of all settings is written from the schema, and held by a test of its own.
        if (file === "docs/settings.md") return;
        for (const { path, config, secretKeys, isWhole } of configsOf(file)) {
            // What it needs beside it, a later line sets; what is taken away at the end was right before.
            const own = ({ key }: Fault): boolean => key === path || key.startsWith(`${path}.`);
            const faults = faultsOf(config, secretKeys).filter((fault) => isWhole || own(fault));
            expect(faults, path).toEqual([]);
        }
    });
});

function mergedWith(base: Record<string, unknown>, over: Record<string, unknown>): Record<string, unknown> {
    return merged(base, over) as Record<string, unknown>;
}

/** Maps by key, lists by place, as one line after another fills them. */
function merged(base: unknown, over: unknown): unknown {
    if (Array.isArray(base) && Array.isArray(over)) {
        return Array.from({ length: Math.max(base.length, over.length) }, (_, i) => {
            return i in over ? merged(base[i], over[i]) : (base[i] as unknown);
        });
    }
    if (!isMap(base) || !isMap(over)) return over;
    const keys = Object.entries(over).map(([key, value]) => [key, merged(base[key], value)]);
    return { ...base, ...(Object.fromEntries(keys) as Record<string, unknown>) };
}

function isMap(value: unknown): value is Record<string, unknown> {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}
