// `npm run supply-chain`: what is installed, under which licences, with which known holes (docs/supply-chain.md).
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { commandLine } from "../command-line";
import { refreshAdvisories } from "./advisories-cli";
import { printDigests } from "./digests-cli";
import { lockfileFaults } from "./lockfile";
import { vulnerabilities } from "./osv";
import { prepareRelease } from "./release-cli";
import { otherLicences, packagesOf } from "./sbom";

const usage = `Usage: npm run -s supply-chain -- SBOM [--osv]
       npm run -s supply-chain -- digests [IMAGE ...] [--pin]
       npm run -s supply-chain -- advisories [--write]
       npm run -s supply-chain -- release TAG

Reads a bill of materials, as \`npx @cyclonedx/cyclonedx-npm --omit dev --output-file sbom.json\` writes it, and prints each
licence with its packages, as Markdown. Also checks package-lock.json.

  --osv     asks osv.dev for known vulnerabilities

\`digests\` asks the registries for the digest of each image, or of all that the stack files and the program name, computes it from
the manifest itself, and prints the lines that pin the models' images. 1: a tag names another image than the digest beside it.

  --pin     sets them

\`advisories\` compares the table of vLLM's security advisories (src/vllm/advisories.ts) with what osv.dev has. 1: they differ.

  --write   takes over what is new and severe, and other ranges of versions

\`release\` looks whether packages/ai-deploy can be released as this tag says; in a job of GitHub Actions it also writes the repository
into its package.json, which npm compares with where the job runs. 1: it cannot.

Exit code: 0, 1 (a licence that is not permissive, a package without a sum, a known vulnerability), 2 (it could not be told).`;

async function main(): Promise<number> {
    const { values, positionals } = commandLine({
        allowPositionals: true,
        options: {
            osv: { type: "boolean", default: false },
            pin: { type: "boolean", default: false },
            write: { type: "boolean", default: false },
            help: { type: "boolean", short: "h", default: false },
        },
    });
    if (positionals[0] === "digests") return printDigests(positionals.slice(1), values.pin);
    if (positionals[0] === "advisories" && !values.help) return refreshAdvisories(values.write);
    if (positionals[0] === "release" && !values.help) return prepareRelease(positionals[1], process.env);
    if (values.help || positionals.length !== 1) {
        console.log(usage);
        return values.help ? 0 : 2;
    }
    const packages = packagesOf(readFileSync(positionals[0], "utf8"));
    const licences = new Map<string, string[]>();
    for (const { licence, name } of packages) licences.set(licence, [...(licences.get(licence) ?? []), name]);
    console.log(`### ${packages.length} packages\n\n| licence | packages |\n| --- | --- |`);
    for (const [licence, names] of [...licences].sort(([, a], [, b]) => b.length - a.length)) {
        console.log(`| ${licence} | ${names.length}: ${names.join(", ")} |`);
    }
    const faults = lockfileFaults(readFileSync(join(resolve(__dirname, "../.."), "package-lock.json"), "utf8"));
    faults.push(...otherLicences(packages).map(({ name, licence }) => `${name} has the licence ${licence}`));
    if (values.osv) {
        const known = await vulnerabilities(packages);
        faults.push(...known.map(({ package: name, ids }) => `${name} has ${ids.join(", ")}`));
    }
    console.log(
        faults.length === 0 ? "\nNothing found." : `\n**Found**\n\n${faults.map((fault) => `- ${fault}`).join("\n")}`,
    );
    return faults.length === 0 ? 0 : 1;
}

main().then(
    (code) => (process.exitCode = code),
    (error: unknown) => {
        console.error((error as Error).message);
        process.exitCode = 2;
    },
);
