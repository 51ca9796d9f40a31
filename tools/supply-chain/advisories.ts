import { isBefore, type Advisory } from "../../src/vllm/advisories";
import type { OsvEntry } from "./osv";

/** What differs between the table of advisories and what is published. */
export interface AdvisoryChanges {
    /** The table as it is to be: with what is new and severe, and with the published ranges. */
    table: Advisory[];
    /** What differs, a sentence each. */
    told: string[];
}

/**
 * Compares the table with what OSV has. What is new is taken over with the publisher's own sentence: it counts until a person has read it
 * and puts it among those that nobody reaches here. Nothing is taken out: that is a person's to decide.
 * @param since versions before it are nobody's business here
 */
export function compareAdvisories(
    table: readonly Advisory[],
    notReached: readonly { id: string }[],
    published: OsvEntry[],
    since: string,
): AdvisoryChanges {
    const told: string[] = [];
    // GitHub's own entry goes before one of another database under the same alias, which does not say how severe it is.
    const ofGitHub = ({ id }: OsvEntry): number => Number(id.startsWith("GHSA-"));
    const found = new Map(
        [...published]
            .sort((a, b) => ofGitHub(a) - ofGitHub(b))
            .flatMap((entry) => advisoryOf(entry) ?? [])
            .map((one) => [one.advisory.id, one]),
    );
    const kept = table.map((one): Advisory => {
        const now = found.get(one.id);
        if (!now) {
            told.push(`${one.id} is not published any more: take it out of the table if it was withdrawn`);
            return one;
        }
        const { since: from, fixed } = now.advisory;
        if (from === one.since && fixed === one.fixed) return one;
        told.push(`${one.id} is from ${range(now.advisory)}, and not from ${range(one)}`);
        return { id: one.id, ...(from && { since: from }), ...(fixed && { fixed }), what: one.what };
    });
    const known = new Set([...table, ...notReached].map(({ id }) => id));
    const fresh = [...found.values()].filter(
        ({ advisory: { id, fixed } }) => !known.has(id) && (fixed === undefined || isBefore(since, fixed)),
    );
    const severe = fresh.filter(({ isSevere }) => isSevere).map(({ advisory }) => advisory);
    told.push(...severe.map((one) => `${one.id} is new, from ${range(one)}: ${one.what}`));
    const others = fresh.filter(({ isSevere }) => !isSevere).map(({ advisory: { id } }) => id);
    if (others.length > 0) told.push(`less than severe, and not taken over: ${others.join(", ")}`);
    return { table: [...kept, ...severe], told };
}

function range({ since, fixed }: Advisory): string {
    return `${since ?? "the beginning"} to ${fixed ?? "now"}`;
}

/** An entry by the id that GitHub gives it; undefined for one that has none, was withdrawn, or names no versions. */
function advisoryOf({ id, aliases = [], summary, withdrawn, affected = [], database_specific: more }: OsvEntry) {
    const own = [id, ...aliases].find((one) => one.startsWith("GHSA-"));
    const events = affected.flatMap(({ ranges = [] }) =>
        ranges.filter(({ type }) => type === "ECOSYSTEM").flatMap((one) => one.events),
    );
    const versions = (key: "introduced" | "fixed"): string[] =>
        events.flatMap((event) => event[key] ?? []).filter((one) => /^\d+\.\d+\.\d+$/.test(one));
    if (own === undefined || withdrawn !== undefined || events.length === 0) return undefined;
    // Of several ranges the whole from the first to the last: rather one version too many than one too few.
    const [since] = events.some(({ introduced }) => introduced === "0") ? [] : versions("introduced").sort(order);
    const isOpen = events.filter((event) => event.introduced).length > versions("fixed").length;
    const fixed = isOpen ? undefined : versions("fixed").sort(order).at(-1);
    const what = (summary ?? "its publisher says nothing in a sentence").replace(/\s+/g, " ").trim();
    // Without a word on how severe it is, it is.
    const isSevere = !["LOW", "MODERATE"].includes(more?.severity?.toUpperCase() ?? "");
    return { isSevere, advisory: { id: own, ...(since && { since }), ...(fixed && { fixed }), what } };
}

const order = (a: string, b: string): number => (isBefore(a, b) ? -1 : 1);

/** The source of the table with these entries and this day in it. @throws Error when it does not look as it should */
export function withTable(source: string, table: readonly Advisory[], day: string): string {
    const entries = table.map((one) => `${JSON.stringify(one)},`).join("\n");
    const changed = source
        .replace(/(export const advisoriesRead = )"[^"]*"/, (_, begin: string) => `${begin}"${day}"`)
        .replace(
            /(export const advisories: readonly Advisory\[\] = \[\n)[^]*?(\n\];)/,
            (_, begin: string, end: string) => {
                return begin + entries + end;
            },
        );
    if (!changed.includes(`"${day}"`) || !changed.includes(entries)) throw new Error("the table is not where it was");
    return changed;
}
