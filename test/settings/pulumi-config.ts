import { execFileSync } from "node:child_process";
import { join } from "node:path";

type Config = Record<string, unknown>;

let made: Record<string, string> | undefined;

/** A certificate and its key, made when a command names one: by a program of its own, since commands are read at once. */
function fileOf(name: string): string {
    const program = ["--import", "tsx", join(__dirname, "make-certificate.ts")];
    made ??= JSON.parse(execFileSync(process.execPath, program, { encoding: "utf8" })) as Record<string, string>;
    return made[name];
}

/** A command as a person pastes it, taken apart. */
interface SetCommand {
    key: string;
    /** What is written; of a file what is in it. */
    written: string;
    isPath: boolean;
    isSecret: boolean;
}

/** @throws Error for anything but `pulumi config set`, with its options and quotes as a shell takes them */
export function readSetCommand(line: string): SetCommand {
    const [program, subject, verb, ...rest] = (line.match(/'[^']*'|"[^"]*"|\S+/g) ?? []).map((word) =>
        word.replace(/^(['"])(.*)\1$/, "$2"),
    );
    if ([program, subject, verb].join(" ") !== "pulumi config set") throw new Error(`no command of pulumi: ${line}`);
    const from = rest.indexOf("<");
    const end = rest.indexOf("--");
    const options = rest.filter((word, index) => word.startsWith("--") && (end < 0 || index < end));
    const [key, written] = rest.filter((word, index) => !options.includes(word) && index !== end && index !== from);
    for (const option of options) {
        if (!["--path", "--secret"].includes(option)) throw new Error(`no option of it: ${option} in ${line}`);
    }
    return {
        key,
        written: from < 0 ? written : fileOf(written),
        isPath: options.includes("--path"),
        isSecret: options.includes("--secret"),
    };
}

/**
 * The config after `pulumi config set`, as Pulumi 3.248 changes it: with `--path` it reads whole numbers and truths, and
 * nothing else; a list takes a place behind its last one at most.
 * @param value in the place of a placeholder, `<...>`
 */
export function configSet(config: Config, line: string, value?: unknown): Config {
    const { key, written, isPath } = readSetCommand(line);
    const changed = structuredClone(config);
    const steps = isPath ? stepsOf(key) : [key];
    const last = steps.pop()!;
    let at = changed as Record<string | number, any>;
    steps.forEach((step, index) => {
        const isList = typeof (steps[index + 1] ?? last) === "number";
        at = at[step] ??= isList ? [] : {};
        // Its own words.
        if (typeof at !== "object") {
            throw new Error(`could not set config: ${key}: expected ${isList ? "an array" : "a map"}`);
        }
    });
    if (typeof last === "number" && last > ((at as unknown as unknown[]).length ?? 0)) {
        throw new Error(`no place ${last} in the list of ${key}`);
    }
    const read = isPath && /^(true|false|-?(0|[1-9]\d*))$/.test(written) ? (JSON.parse(written) as unknown) : written;
    at[last] = /^<.*>$/.test(written) ? value : read;
    return changed;
}

/** The config after one of its commands, or several that `&&` joins, as they are pasted: `pulumi config set` or `pulumi config rm`. */
export function configAfter(config: Config, line: string, value?: unknown): Config {
    return line.split(" && ").reduce((before, command) => {
        const [, key] = /^pulumi config rm (?:--path )?('[^']+'|\S+)$/.exec(command) ?? [];
        return key === undefined ? configSet(before, command, value) : without(before, key.replace(/^'(.*)'$/, "$1"));
    }, config);
}

/** The config without what is at this path: an entry of a list closes up; what is not there is no error. */
export function without(config: Config, path: string): Config {
    const changed = structuredClone(config);
    const steps = stepsOf(path);
    const last = steps.pop()!;
    const at = steps.reduce<any>((value, step) => value?.[step], changed);
    if (Array.isArray(at)) at.splice(last as number, 1);
    else if (at) delete at[last];
    return changed;
}

/** `a.b[0]["c d"]` in its parts. */
function stepsOf(path: string): (string | number)[] {
    return [...path.matchAll(/\["([^"]+)"\]|\[(\d+)\]|([^.[\]]+)/g)].map(([, quoted, index, name]) =>
        index === undefined ? (quoted ?? name) : Number(index),
    );
}
