import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { parseReport, type Report } from "../../../tools/pipeline/report";
import { runPipeline } from "../../../tools/pipeline/run";
import { recordedReport } from "./recordings";

// As a job runs them, with a stand-in for `pulumi` that says what the real one says when it cannot begin.
let folder: string;
const report = (): Report => parseReport(readFileSync(join(folder, "out/report.json"), "utf8"), "report.json");

beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "pipeline-"));
    vi.stubEnv("PATH", `${folder}${delimiter}${process.env.PATH}`);
    for (const name of ["GITHUB_ACTIONS", "GITLAB_CI"]) vi.stubEnv(name, "");
});
afterEach(() => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    rmSync(folder, { recursive: true, force: true });
});

function pulumiThat(script: string): void {
    writeFileSync(join(folder, "pulumi"), `#!/bin/bash\n${script}\n`);
    chmodSync(join(folder, "pulumi"), 0o755);
}

/** What a command printed, and its exit code; of one that could not be carried out what it says. */
async function pipeline(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const out = vi.spyOn(console, "log").mockReturnValue();
    const err = vi.spyOn(console, "error").mockReturnValue();
    const code = await runPipeline(args).catch((error: Error) => {
        console.error(error.message);
        return 2;
    });
    const textOf = ({ mock }: typeof out): string => mock.calls.map(([line]) => `${line}\n`).join("");
    const said = { code, out: textOf(out), err: textOf(err) };
    vi.restoreAllMocks();
    return said;
}

const preview = (stack: string) => pipeline("preview", "--stack", stack, "--out", join(folder, "out/report.json"));

describe("preview", () => {
    it("of a stack that nobody has made yet says how to make it, in a report", async () => {
        pulumiThat("echo 'error: no stack named '\\''dev'\\'' found' >&2; exit 255");
        expect((await preview("dev")).code).toBe(1);
        expect(report()).toMatchObject({ stack: "dev", ok: false });
        expect(report().errors.join("\n")).toMatch(/no stack named 'dev' found\n.*pulumi stack init dev/);
    });

    it("what the job was given in confidence is in no report, whoever repeats it", async () => {
        const secrets = {
            PULUMI_CONFIG_PASSPHRASE: "made-up-passphrase",
            OVH_CLIENT_SECRET: "made-up/secret",
            PULUMI_BACKEND_URL: "postgres://state:made-up-password@db.example/pulumi",
        };
        pulumiThat('echo "error: $PULUMI_CONFIG_PASSPHRASE $OVH_CLIENT_SECRET $PULUMI_BACKEND_URL" >&2; exit 255');
        for (const [name, value] of Object.entries(secrets)) vi.stubEnv(name, value);
        expect((await preview("dev")).code).toBe(1);
        expect(report().errors).toEqual(["[secret] [secret] postgres://state:[secret]@db.example/pulumi"]);
    });

    it("a log that was cut off is a report that says so", async () => {
        pulumiThat(
            `until [[ $# == 0 || $1 == --event-log ]]; do shift; done; printf '{"sequence":0}\\n{"sequ' > "$2"; exit 137`,
        );
        expect((await preview("dev")).code).toBe(1);
        expect(report()).toMatchObject({ ok: false, errors: [expect.stringMatching(/line 2 .*run it again/)] });
    });

    it("of a stack whose config is deleted names what stays, and what of it is billed", async () => {
        const urn = (type: string, name: string): string => `urn:pulumi:gone::ovhcloud-llm-serving::${type}::${name}`;
        const resources = [
            { type: "pulumi:pulumi:Stack", name: "s", custom: false },
            { type: "pulumi:providers:ovh", name: "ovh", custom: true },
            { type: "pulumi-nodejs:dynamic/ovh-ai-deploy:App", name: "ministral", custom: true },
            { type: "ovh:CloudProject/kube:Kube", name: "cluster", custom: true },
            { type: "kubernetes:core/v1:Secret", name: "grafana-admin", custom: true },
        ].map(({ name, ...rest }) => ({ ...rest, urn: urn(rest.type, name) }));
        pulumiThat(`echo '${JSON.stringify({ version: 3, deployment: { resources } })}'`);
        expect((await preview("gone")).code).toBe(1);
        const [said] = report().errors;
        expect(said).toMatch(/Pulumi\.gone\.yaml is gone.* 3 resources .*billed \(App ministral, Kube cluster\)/);
        expect(said).toContain("pulumi destroy --stack gone, then pulumi stack rm gone");
    });

    it("of one that is removed with its config has nothing to say against it", async () => {
        pulumiThat("echo 'error: no stack named '\\''gone'\\'' found' >&2; exit 255");
        expect((await preview("gone")).code).toBe(0);
        expect(report()).toMatchObject({ ok: true, warnings: [expect.stringContaining("nothing is left")] });
    });
});

describe("comment", () => {
    const save = (name: string, value: object): void => {
        writeFileSync(join(folder, name), JSON.stringify(value));
    };

    it("has a row for a stack whose job ended before it wrote a report", async () => {
        save("dev.json", recordedReport("target", "dev"));
        const { code, out } = await pipeline("comment", "--in", folder, "--expect", '["dev","prod"]');
        expect(code).toBe(0);
        expect(out).toMatch(/\| \*\*prod\*\* \*\*failed\*\* \|/);
        expect(out).toContain("Its job ended before a preview began");
        expect(out.match(/^#### dev$/gm)).toHaveLength(1);
    });

    it("without a report or a stack says that there is none, also where no folder was made", async () => {
        const { code, out } = await pipeline("comment", "--in", join(folder, "none"), "--expect", "[]");
        expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining("No stack") as string });
    });

    it("prints whole for the summary what is too long for a comment", async () => {
        const remarks = Array.from({ length: 150 }, (_, i) => `${i} ${"made up ".repeat(80)}`);
        save("dev.json", { ...recordedReport("image"), remarks, warnings: ["the last warning"] });
        const { out } = await pipeline("comment", "--in", folder);
        expect(out.length).toBeGreaterThan(65_536);
        expect(out).toContain("the last warning");
        expect(out).not.toContain("Too long");
    });

    it("a list of stacks that is none is refused with its form", async () => {
        const { code, err } = await pipeline("comment", "--in", folder, "--expect", "");
        expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining(`such as '["dev"]'`) as string });
    });
});

describe("stacks", () => {
    it("are those that have a file, and all of them where git cannot tell", async () => {
        const all = await pipeline("stacks");
        expect(JSON.parse(all.out)).toEqual(["dev", "prod"]);
        const unknown = await pipeline("stacks", "--base", "0".repeat(40));
        expect(unknown.out).toBe(all.out);
        expect(unknown.err).toMatch(/since 0{40} is not known here: every stack counts/);
    });

    it("--deployed outside of GitHub Actions says so", async () => {
        expect(await pipeline("stacks", "--deployed")).toMatchObject({
            code: 2,
            err: "this is no job of GitHub Actions\n",
        });
    });
});
