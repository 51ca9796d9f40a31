import type { Package } from "./sbom";

/** Known vulnerabilities of packages, by OSV (https://osv.dev), for registries without an endpoint for `npm audit`. */
export const osvApi = "https://api.osv.dev";

export interface Vulnerability {
    package: string;
    /** `GHSA-...`, `CVE-...` */
    ids: string[];
}

/** OSV takes so many questions at once. */
const batch = 1000;
const timeoutMs = 60_000;

/** @throws Error when OSV does not answer every question: nothing known is not the same as nothing there */
export async function vulnerabilities(packages: Package[], api = osvApi): Promise<Vulnerability[]> {
    const named = packages.filter(({ purl }) => purl !== "");
    const found: Vulnerability[] = [];
    for (let from = 0; from < named.length; from += batch) {
        const asked = named.slice(from, from + batch);
        const results = await ask(api, asked);
        if (results.length !== asked.length) {
            throw new Error(`OSV answered ${results.length} of ${asked.length} questions: run it again`);
        }
        results.forEach(({ vulns = [], next_page_token: more }, i) => {
            const ids = vulns.map(({ id }) => id);
            if (ids.length > 0) found.push({ package: asked[i].name, ids: more ? [...ids, "and more"] : ids });
        });
    }
    return found;
}

/** A vulnerability as OSV describes it, in part: https://ossf.github.io/osv-schema/ */
export interface OsvEntry {
    id: string;
    aliases?: string[];
    summary?: string;
    withdrawn?: string;
    affected?: {
        ranges?: { type: string; events: { introduced?: string; fixed?: string; last_affected?: string }[] }[];
    }[];
    database_specific?: { severity?: string };
}

/** All that is known of a Python package, whatever its version. @throws Error when OSV does not answer */
export async function vulnerabilitiesOf(name: string, api = osvApi): Promise<OsvEntry[]> {
    const found: OsvEntry[] = [];
    for (let page: string | undefined = ""; page !== undefined;) {
        const query = { package: { ecosystem: "PyPI", name }, ...(page !== "" && { page_token: page }) };
        const answer = (await post(`${api}/v1/query`, query)) as { vulns?: OsvEntry[]; next_page_token?: string };
        found.push(...(answer.vulns ?? []));
        page = answer.next_page_token || undefined;
    }
    return found;
}

async function ask(
    api: string,
    packages: Package[],
): Promise<{ vulns?: { id: string }[]; next_page_token?: string }[]> {
    const queries = packages.map(({ purl }) => ({ package: { purl } }));
    return ((await post(`${api}/v1/querybatch`, { queries })) as { results?: object[] }).results ?? [];
}

async function post(url: string, body: object): Promise<unknown> {
    const { origin } = new URL(url);
    let answer: Response;
    try {
        answer = await fetch(url, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify(body),
            signal: AbortSignal.timeout(timeoutMs),
        });
    } catch (error) {
        const { cause, message } = error as Error & { cause?: { code?: string } };
        throw new Error(`no answer from ${origin} (${cause?.code ?? message}): try it where it can be reached`);
    }
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${origin} answered ${answer.status}: ${text.slice(0, 200)}`);
    return JSON.parse(text) as unknown;
}
