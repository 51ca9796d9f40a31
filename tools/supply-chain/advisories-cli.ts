import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { format, resolveConfig } from "prettier";
import { advisories, isBefore, notReached } from "../../src/vllm/advisories";
import { vllmVersions } from "../../src/vllm/versions";
import { compareAdvisories, withTable } from "./advisories";
import { osvApi, vulnerabilitiesOf } from "./osv";

/** `npm run supply-chain -- advisories`; resolves with the exit code. Rejects with an Error for people. */
export async function refreshAdvisories(
    write: boolean,
    file = resolve(__dirname, "../../src/vllm/advisories.ts"),
    api = osvApi,
): Promise<number> {
    const published = await vulnerabilitiesOf("vllm", api);
    // Nothing at all is no answer: the table's own are published.
    if (published.length === 0) {
        throw new Error(`${api} knows no vulnerability of vllm at all: the table stays as it is`);
    }
    const oldest = vllmVersions.reduce((least, one) => (isBefore(one, least) ? one : least));
    const { table, told } = compareAdvisories(advisories, notReached, published, oldest);
    for (const line of told) console.log(line);
    if (told.length === 0) console.log("The table has what is published.");
    if (!write) return told.length > 0 ? 1 : 0;
    const day = new Date().toISOString().slice(0, 10);
    const source = withTable(readFileSync(file, "utf8"), table, day);
    writeFileSync(file, await format(source, { ...(await resolveConfig(__filename)), filepath: file }));
    console.log(
        `${file} is as of ${day}: read what is new, say in your own words what it lets happen, or that nobody reaches it.`,
    );
    return 0;
}
