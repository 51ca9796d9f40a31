import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { rootCertificates } from "node:tls";
import { parseArgs, type ParseArgsConfig } from "node:util";
import { styled } from "../machine/terminal";
import { nearest } from "../src/settings/formats";

/** What the tools' command lines have in common. Everything here throws an Error for people that names the option as typed. */

/** Node's `parseArgs`, with faults that say what to type instead. */
export function commandLine<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
    try {
        return parseArgs(config);
    } catch (error) {
        const { code, message } = error as Error & { code?: string };
        throw new Error(faultWords(code, message.split("\n")[0], Object.keys(config.options ?? {})));
    }
}

function faultWords(code: string | undefined, message: string, known: string[]): string {
    const [, quoted = ""] = /'([^']*)'/.exec(message) ?? [];
    // "-s, --stack <value>"
    const option = quoted.replace(/ <.*$/, "").replace(/^.*, /, "");
    if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
        const typed = option.replace(/^-+/, "");
        // Two letters off is another word, where names are as short as `ca`: the first letter is seldom wrong.
        const guess = nearest(
            typed,
            known.filter((name) => name.startsWith(typed.charAt(0))),
        );
        return `${option}: no such option; ${guess === undefined ? "--help shows all" : `did you mean --${guess}?`}`;
    }
    if (code === "ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL") return `${quoted}: give options only; --help shows all`;
    if (message.includes("ambiguous")) return `${option}: write a value that begins with a dash as ${option}=-X`;
    if (message.includes("missing")) return `${option}: give a value after it`;
    return message;
}

/** Authorities to trust: Node's own and those of a file (PEM); undefined without a file. */
export function authorities(file: string | undefined): string[] | undefined {
    if (file === undefined) return undefined;
    try {
        return [...rootCertificates, readFileSync(file, "utf8")];
    } catch (error) {
        throw new Error(`--ca ${file}: ${(error as Error).message.split(",")[0]}`);
    }
}

/** Refuses a result file that could not be written, before the work whose result it is to hold. */
export function checkResultFile(flag: string, file: string | undefined): void {
    if (file === undefined) return;
    const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
    const folder = dirname(file);
    // A path that ends in a slash is a folder, whether it is there or not.
    if (!file.endsWith("/") && !isFolder(folder)) {
        throw new Error(`--${flag} ${file}: make its folder first, ${folder} is none`);
    }
    if (file.endsWith("/") || isFolder(file)) {
        throw new Error(`--${flag} ${file} is a folder: name a file, such as ${join(file, `report.${flag}`)}`);
    }
    try {
        accessSync(folder, constants.W_OK);
    } catch (error) {
        throw new Error(`--${flag} ${file}: nothing can be written there (${(error as Error).message})`);
    }
}

/** An error as a tool ends with it, with what to do where that is known. */
export function errorText({ message }: Error): string {
    const fix = fixOfRefused(message);
    return styled("red", `error: ${message}`) + (fix === undefined ? "" : `\n${fix}`);
}

/** What to do when nothing listens: with `.sandbox/env` in force it is the sandbox that does not run. */
export function fixOfRefused(message: string): string | undefined {
    const isSandbox = Boolean(process.env.OVH_SANDBOX_CA);
    return isSandbox && message.includes("ECONNREFUSED") ? "if the sandbox does not run: npm run sandbox" : undefined;
}
