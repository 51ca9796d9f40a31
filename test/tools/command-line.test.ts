import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { authorities, checkResultFile, commandLine, errorText } from "../../tools/command-line";

const options = {
    workers: { type: "string" },
    "max-tokens": { type: "string" },
    yes: { type: "boolean", short: "y" },
} as const;

describe("a command line", () => {
    it("is what Node makes of it", () => {
        const { values } = commandLine({ args: ["--workers", "5", "-y"], options });
        expect({ ...values }).toEqual({ workers: "5", yes: true });
    });

    it.each([
        [["--worker", "5"], "--worker: no such option; did you mean --workers?"],
        [["--max-token=5"], "--max-token: no such option; did you mean --max-tokens?"],
        [["--colour"], "--colour: no such option; --help shows all"],
        [["--no"], "--no: no such option; --help shows all"],
        [["-x"], "-x: no such option; --help shows all"],
        [["5"], "5: give options only; --help shows all"],
        [["--workers"], "--workers: give a value after it"],
        [["--workers", "-1"], "--workers: write a value that begins with a dash as --workers=-X"],
        [["--yes=no"], "Option '-y, --yes' does not take an argument"],
    ])("%j is refused in one line", (args, message) => {
        expect(() => commandLine({ args, options })).toThrow(new Error(message));
        const withWords = () => commandLine({ args, options, allowPositionals: true });
        if (args[0] !== "5") expect(withWords).toThrow(new Error(message));
    });
});

describe("files", () => {
    const folder = mkdtempSync(join(tmpdir(), "command-line-"));

    it("of authorities are named when they cannot be read", () => {
        expect(authorities(undefined)).toBeUndefined();
        expect(() => authorities(join(folder, "ca.pem"))).toThrow(
            /^--ca .*ca\.pem: ENOENT: no such file or directory$/,
        );
        expect(() => authorities(folder)).toThrow(`--ca ${folder}: EISDIR`);
    });

    it("of results are refused before the work when they could not be written", () => {
        expect(() => checkResultFile("svg", join(folder, "a.svg"))).not.toThrow();
        expect(() => checkResultFile("svg", join(folder, "no", "a.svg"))).toThrow(/^--svg .*: make its folder first/);
        expect(() => checkResultFile("svg", folder)).toThrow(/is a folder: name a file, such as .*report\.svg/);
    });
});

describe("an error", () => {
    afterEach(() => vi.unstubAllEnvs());
    const refused = new Error("connect ECONNREFUSED 127.0.0.1:7790");

    it("where nothing listens says how to start the sandbox, if that is what is looked at", () => {
        vi.stubEnv("OVH_SANDBOX_CA", "/made-up/ca.pem");
        expect(errorText(refused)).toMatch(
            /error: connect ECONNREFUSED .*\nif the sandbox does not run: npm run sandbox$/,
        );
        expect(errorText(new Error("401"))).not.toContain("sandbox");
        vi.stubEnv("OVH_SANDBOX_CA", "");
        expect(errorText(refused)).not.toContain("sandbox");
    });
});
