import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { checkout } from "../../../sandbox/layout";
import { advisories, advisoriesRead, type Advisory } from "../../../src/vllm/advisories";
import { compareAdvisories, withTable } from "../../../tools/supply-chain/advisories";
import { refreshAdvisories } from "../../../tools/supply-chain/advisories-cli";
import type { OsvEntry } from "../../../tools/supply-chain/osv";

const source = join(checkout, "src/vllm/advisories.ts");

/** As OSV has an advisory of GitHub's. */
function published({ id, since = "0", fixed, what }: Advisory, change: Partial<OsvEntry> = {}): OsvEntry {
    const events = [{ introduced: since }, ...(fixed ? [{ fixed }] : [])];
    return {
        id,
        summary: what,
        affected: [{ ranges: [{ type: "ECOSYSTEM", events }] }],
        database_specific: { severity: "HIGH" },
        ...change,
    };
}

const table: Advisory[] = [{ id: "GHSA-aaaa-aaaa-aaaa", since: "0.8.0", fixed: "0.20.0", what: "made up" }];
const fresh: Advisory = { id: "GHSA-bbbb-bbbb-bbbb", fixed: "0.30.0", what: "made up, too" };
const compare = (entries: OsvEntry[], notReached: { id: string }[] = []) =>
    compareAdvisories(table, notReached, entries, "0.13.0");

describe("the table beside what is published", () => {
    it("is told to be the same", () => {
        expect(compare(table.map((one) => published(one)))).toEqual({ table, told: [] });
    });

    it("gets what is new and severe, and what nobody has rated", () => {
        const entries = [published(table[0]), published(fresh), published({ ...fresh, id: "GHSA-cccc-cccc-cccc" })];
        delete entries[2].database_specific;
        const { table: now, told } = compare(entries);
        expect(now).toEqual([...table, fresh, { ...fresh, id: "GHSA-cccc-cccc-cccc" }]);
        expect(told[0]).toMatch(/^GHSA-bbbb-bbbb-bbbb is new, from the beginning to 0\.30\.0: made up, too$/);
    });

    it("leaves to a person what is less than severe, and does not hear again of what nobody reaches", () => {
        const moderate = published(fresh, { database_specific: { severity: "MODERATE" } });
        expect(compare([published(table[0]), moderate])).toEqual({
            table,
            told: ["less than severe, and not taken over: GHSA-bbbb-bbbb-bbbb"],
        });
        expect(compare([published(table[0]), published(fresh)], [fresh])).toEqual({ table, told: [] });
    });

    it("knows one by its alias, and leaves out old ones, withdrawn ones and ones without an id of GitHub", () => {
        const entries = [
            published(table[0], { id: "PYSEC-2026-1", aliases: ["CVE-2026-1", table[0].id] }),
            published({ ...fresh, fixed: "0.13.0" }),
            published({ ...fresh, id: "GHSA-dddd-dddd-dddd" }, { withdrawn: "2026-01-01T00:00:00Z" }),
            published(fresh, { id: "PYSEC-2026-2" }),
        ];
        expect(compare(entries)).toEqual({ table, told: [] });
    });

    it("goes by GitHub's own entry where another database has the same", () => {
        const moderate = published(fresh, { database_specific: { severity: "MODERATE" } });
        const alias = published({ ...fresh, fixed: "0.31.0" }, { id: "PYSEC-2026-3", aliases: [fresh.id] });
        delete alias.database_specific;
        for (const both of [
            [moderate, alias],
            [alias, moderate],
        ]) {
            expect(compare([published(table[0]), ...both]).told).toEqual([expect.stringMatching(/^less than severe/)]);
        }
    });

    it("takes over another range, keeps its own words, and one without an end has none", () => {
        const { table: now, told } = compare([published({ ...table[0], since: "0.7.0", fixed: undefined, what: "x" })]);
        expect(now).toEqual([{ id: table[0].id, since: "0.7.0", what: "made up" }]);
        expect(told).toEqual(["GHSA-aaaa-aaaa-aaaa is from 0.7.0 to now, and not from 0.8.0 to 0.20.0"]);
    });

    it("of several ranges takes the whole", () => {
        const events = [{ introduced: "0.9.0" }, { fixed: "0.14.1" }, { introduced: "0.8.0" }, { fixed: "0.20.0" }];
        const entry = published(table[0], { affected: [{ ranges: [{ type: "ECOSYSTEM", events }] }] });
        expect(compare([entry])).toEqual({ table, told: [] });
    });

    it("says what is not published any more, and does not take it out", () => {
        expect(compare([])).toEqual({ table, told: [expect.stringMatching(/^GHSA-aaaa-aaaa-aaaa is not published/)] });
    });
});

describe("the command", () => {
    let folder: string;
    let server: Server;
    let pages: OsvEntry[][];
    const api = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const lines = (): string => vi.mocked(console.log).mock.calls.join("\n");

    beforeEach(async () => {
        folder = mkdtempSync(join(tmpdir(), "advisories-"));
        copyFileSync(source, join(folder, "advisories.ts"));
        vi.spyOn(console, "log").mockReturnValue();
        server = createServer((request, answer) => {
            let text = "";
            request.on("data", (part: Buffer) => (text += part.toString()));
            request.on("end", () => {
                const { page_token: token, package: of } = JSON.parse(text) as { page_token?: string; package: object };
                expect(of).toEqual({ ecosystem: "PyPI", name: "vllm" });
                const page = Number(token ?? 0);
                const next = page + 1 < pages.length ? { next_page_token: String(page + 1) } : {};
                answer.end(JSON.stringify({ vulns: pages[page], ...next }));
            });
        });
        await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    });
    afterEach(() => {
        vi.restoreAllMocks();
        server.close();
        rmSync(folder, { recursive: true, force: true });
    });

    it("finds the committed table as it is, over several pages", async () => {
        pages = [advisories.slice(0, 2), advisories.slice(2)].map((part) => part.map((one) => published(one)));
        expect(await refreshAdvisories(false, join(folder, "advisories.ts"), api())).toBe(0);
        expect(lines()).toBe("The table has what is published.");
    });

    it("without --write says what differs by its exit code, and changes nothing", async () => {
        pages = [[published(fresh)]];
        expect(await refreshAdvisories(false, join(folder, "advisories.ts"), api())).toBe(1);
        expect(readFileSync(join(folder, "advisories.ts"), "utf8")).toBe(readFileSync(source, "utf8"));
    });

    it("with --write puts it into the source, formatted, with the day", async () => {
        pages = [[...advisories.map((one) => published(one)), published(fresh)]];
        expect(await refreshAdvisories(true, join(folder, "advisories.ts"), api())).toBe(0);
        const written = readFileSync(join(folder, "advisories.ts"), "utf8");
        const today = new Date().toISOString().slice(0, 10);
        const entry = '    { id: "GHSA-bbbb-bbbb-bbbb", fixed: "0.30.0", what: "made up, too" },\n];';
        const before = readFileSync(source, "utf8").replace(`"${advisoriesRead}"`, `"${today}"`);
        expect(written).toBe(before.replace(/^\];/m, () => entry));
    });

    it("takes an empty answer for none", async () => {
        pages = [[]];
        await expect(refreshAdvisories(true, join(folder, "advisories.ts"), api())).rejects.toThrow(/stays as it is/);
        await expect(refreshAdvisories(false, source, "http://127.0.0.1:9")).rejects.toThrow(/no answer from/);
    });
});

it("a source that has no such table is not written", () => {
    expect(() => withTable("export const other = 1;\n", table, "2026-11-26")).toThrow(/not where it was/);
});
