import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkout } from "../sandbox/layout";

/**
 * By the threats of docs/security.md, the tests that would notice: by a part of their titles. A row that names a file which
 * has no such test, and a test that was renamed or taken out, is seen here.
 */
const noticedBy: Record<string, string[]> = {
    "a token opens more than its app": ["a selector that apps of others fit too", '"token-selector"'],
    "somebody comes through a front door without a key of their own": [
        "lets in whoever has a key, with the app's own token, and nobody else",
        "a front door that anybody comes through",
    ],
    "a client steers Envoy by its own headers, or reaches its administration": [
        "believes nobody how often to try",
        "is administered from its own pod alone",
    ],
    "a front door keeps keys or token where others read": [
        "in a Secret that is secret, and nowhere else",
        "has written no key and no token into its log",
    ],
    "one consumer takes it all, or asks without end": [
        "lets a consumer with a limit ask as often as that",
        "holds as many as may wait while the app wakes",
        "takes no more memory and connections than it has",
    ],
    "an answer breaks what counts its tokens, or fills memory by it": [
        "a large one without keeping it",
        "changes nothing of it",
    ],
    "a request is paid for twice": [
        "it may have been worked on",
        "is asked again, whole, and as often as it takes, and no oftener",
    ],
    "a front door is open to everyone, or serves another certificate": [
        "is missed on a public door",
        "a front door made public by hand",
    ],
    "a secret on a command line, for the process list and the shell's history": [
        "no key is taken in plain text, or shown",
        "token missing",
    ],
    "a secret in state, logs, errors or reports": [
        "no credential, variable or token shows in logs, errors, debug output or __provider",
        "shows no secret of the stack",
    ],
    "a secret in the engine's log that a preview's report is from": [
        "what the log holds for debugging, secrets among it, is in no report",
        "what the job was given in confidence is in no report",
    ],
    "a pull request changes what it may not": [
        "is refused the first write in the API's words",
        "an account that may only look is refused to write",
    ],
    "an account has more rights than it uses": [
        "may do no more and no less",
        "which may do what the actor does and nothing else",
    ],
    "code of a fork runs with secrets, or with a right to write": [
        "never to a fork's pull request",
        "no job a write that runs code of a pull request",
    ],
    "a report is forged to write into a comment": [
        "becomes no Markdown, HTML or mention",
        "a forged one is refused",
        "is never longer than GitHub takes",
    ],
    "text of others ends up in a shell": ["writes no text of others into a script"],
    "an action, package or image is exchanged": [
        "pins each action by its commit",
        "the lockfile of this checkout has a strong sum of everything",
        '"pinned-image"',
    ],
    "a tag is moved to another image": ["one whose tag has moved is told by the exit code"],
    "a known hole in vLLM": ["of the default image too, with a command that mends it", "until its last day"],
    "Grafana is open to everyone": ["no sources", '"private-grafana"'],
    "an app that costs money is forgotten or doubled": [
        "one up later there is exactly one app",
        "killed before it noted its app, and then a destroy",
        "names what was changed outside and what the next up would do",
    ],
    "a deployment is lost, and main is not what runs": [
        "brings up what any run before has left",
        "knows the commit of the last deployment that succeeded",
    ],
    "a stack's config is deleted, and the stack is billed on": ["names what stays, and what of it is billed"],
    "a release of the provider is not what its repository has": [
        "is refused",
        "publishes by who the run is, after an approval, and never with a token",
    ],
    "a canary is left running, or opened by the model's clients": [
        "kill -9 leaves nothing: the keeper outlives it",
        'not.toHaveProperty("ai_deploy_token")',
    ],
    "somebody changes the stack by hand": ["names what was changed outside and what the next up would do"],
    "a web page in a browser talks to the sandbox": ["a web page of another origin"],
};

const page = readFileSync(join(checkout, "docs/security.md"), "utf8");
const threats = page.slice(page.indexOf("## Threats"), page.indexOf("## Not covered"));
const rows = [...threats.matchAll(/^\| (.+?) +\| .+? +\| (`test\/.+?) +\|$/gm)].map(
    ([, threat, files]) => [threat, [...files.matchAll(/`(.+?)`/g)].map(([, file]) => file)] as const,
);

/** The text of a test file, or of all in a folder. */
function textOf(path: string): string {
    const whole = join(checkout, path);
    if (statSync(whole).isFile()) return readFileSync(whole, "utf8");
    return readdirSync(whole)
        .map((file) => textOf(join(path, file)))
        .join("\n");
}

it("the page names the threats that are known here, each once", () => {
    expect(rows.map(([threat]) => threat).sort()).toEqual(Object.keys(noticedBy).sort());
});

describe.each(rows)("%s", (threat, files) => {
    const texts = files.map(textOf);
    const titles = noticedBy[threat] ?? [];

    it("is noticed by a test of each file that is named", () => {
        const without = files.filter((_, i) => titles.every((title) => !texts[i].includes(title)));
        expect(without).toEqual([]);
        expect(titles.filter((title) => texts.every((text) => !text.includes(title)))).toEqual([]);
    });
});
