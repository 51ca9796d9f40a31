import { vllmVersions } from "./versions";

/** A published security hole of vLLM that this stack's clients, or the model that it loads, can reach. */
export interface Advisory {
    /** Of GitHub: https://github.com/vllm-project/vllm/security/advisories/ID. */
    id: string;
    /** The first version that has it; absent: all before `fixed`. */
    since?: string;
    /** The first version without it; absent: none yet. */
    fixed?: string;
    /** What it lets happen. */
    what: string;
}

/** When the table was last compared with what is published (`supply-chain -- advisories`): a later hole is not in it. */
export const advisoriesRead = "2026-11-26";

/** Ranges are those of GitHub's advisory database. Whoever has a client token can send each of the requests. */
export const advisories: readonly Advisory[] = [
    {
        id: "GHSA-2pc9-4j83-qjmr",
        since: "0.10.1",
        fixed: "0.14.0",
        what: "code in a model's repository runs when the model is loaded, without being allowed to",
    },
    {
        id: "GHSA-4r2x-xpjr-7cvv",
        since: "0.8.3",
        fixed: "0.14.1",
        what: "answers to broken images show memory addresses, and a video can run code",
    },
    { id: "GHSA-3mwp-wvh9-7528", since: "0.1.0", fixed: "0.19.0", what: "one request with a huge n ends the server" },
    {
        id: "GHSA-hpv8-x276-m59f",
        since: "0.6.1",
        fixed: "0.20.0",
        what: "a prompt that spells special tokens crashes models that take images",
    },
    { id: "GHSA-85xf-c7hm-whqw", fixed: "0.30.0", what: "one request for structured output ends the engine" },
    {
        id: "GHSA-4xqp-c3mv-qff7",
        fixed: "0.31.0",
        what: "one request with a huge min_tokens hangs the engine, while /health goes on to answer 200",
    },
    { id: "GHSA-p92p-rxj5-7p2x", fixed: "0.31.0", what: "one request with an image of a made-up uuid ends the engine" },
];

/** Published holes that nobody reaches here, read by a person: they are not in the table. */
export const notReached: readonly { id: string; why: string }[] = [];

/** The advisories of the version that an image's tag names; of a tag that names none, none are known. */
export function advisoriesOf(image: string): Advisory[] {
    const version = /:v?(\d+\.\d+\.\d+)[^/]*$/.exec(image)?.[1];
    if (version === undefined) return [];
    return advisories.filter(
        ({ since = "0.0.0", fixed }) => !isBefore(version, since) && (fixed === undefined || isBefore(version, fixed)),
    );
}

/** What is known against a model's image, and the command that mends it; undefined where nothing is. */
export function imageHoles(name: string, image: string): { what: string; fix: string } | undefined {
    const found = advisoriesOf(image);
    if (found.length === 0) return undefined;
    const all = found.map(({ id, what }) => `${what} (${id})`).join("; ");
    return {
        what: `the vLLM in "${image}" has known security holes (as of ${advisoriesRead}): ${all}`,
        fix: fixOf(name, image, found),
    };
}

function fixOf(name: string, image: string, found: Advisory[]): string {
    const open = found.filter(({ fixed }) => fixed === undefined).map(({ id }) => id);
    const notYet =
        open.length > 0 ? `${open.join(", ")} is in every version: watch it, or limit who may ask` : undefined;
    const mending = found.flatMap(({ fixed }) => fixed ?? []);
    if (mending.length === 0) return notYet!;
    const fixed = mending.reduce((latest, one) => (isBefore(latest, one) ? one : latest));
    const [newest] = [...vllmVersions].sort((a, b) => (isBefore(a, b) ? 1 : -1));
    // Of another repository it is not known which images there are.
    const isOfficial = /^(docker\.io\/)?vllm\/vllm-openai:/.test(image);
    const command = `pulumi config set --path models.${name}.image vllm/vllm-openai:v${newest}`;
    const fix = isOfficial && !isBefore(newest, fixed) ? command : `give an image of vLLM ${fixed} or newer`;
    return notYet === undefined ? fix : `${notYet}; for the others ${fix}`;
}

/** The same as a warning of the settings. */
export function advisoryWarning(name: string, image: string): string | undefined {
    const holes = imageHoles(name, image);
    return holes && `models.${name}.image: ${holes.what}. To mend them: ${holes.fix}`;
}

/** Whether a version `1.2.3` is older than another one. */
export function isBefore(a: string, b: string): boolean {
    const [left, right] = [a, b].map((version) => version.split(".").map(Number));
    const at = left.findIndex((part, index) => part !== right[index]);
    return at >= 0 && left[at] < right[at];
}
