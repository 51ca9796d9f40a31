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

async function ask(
    api: string,
    packages: Package[],
): Promise<{ vulns?: { id: string }[]; next_page_token?: string }[]> {
    let answer: Response;
    try {
        answer = await fetch(`${api}/v1/querybatch`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ queries: packages.map(({ purl }) => ({ package: { purl } })) }),
            signal: AbortSignal.timeout(timeoutMs),
        });
    } catch (error) {
        const { cause, message } = error as Error & { cause?: { code?: string } };
        throw new Error(
            `no answer from ${api} (${cause?.code ?? message}): leave --osv out where it cannot be reached`,
        );
    }
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${api} answered ${answer.status}: ${text.slice(0, 200)}`);
    return (JSON.parse(text) as { results?: object[] }).results ?? [];
}
