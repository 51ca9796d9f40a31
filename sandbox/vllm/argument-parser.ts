import { CommandError } from "./shell";
import { serveOptions, type OptionLimits, type ServeOption } from "../../src/vllm/options";

/**
 * A command line read as vLLM's `FlexibleArgumentParser` (v0.13.0, on Python's argparse) reads it: underscores for dashes,
 * abbreviated names, JSON given key by key (`--x.y 1`), `-O3`. The options are data, written by vLLM's own parser
 * (test/sandbox/vllm/recordings/command-line/record.py).
 */

export interface Arguments {
    /** The positional argument. */
    model?: string;
    /** By the option's first name without its dashes; for a switch one value, `True` or `False`. */
    values: Map<string, string[]>;
}

/** Options of later releases that change what the sandbox shows. */
const laterOptions: { since: number; option: ServeOption }[] = [
    { since: 18, option: { names: ["--shutdown-timeout"], type: "int" } },
];
/** By each of their names, in the order in which vLLM registers them. */
const byName = new Map(serveOptions.flatMap((option) => option.names.map((name) => [name, option] as const)));
const flagOf = ({ names }: ServeOption): string => names[0].replace(/^-+/, "");
/** By the name that `Arguments.values` has. */
const byFlag = new Map([...serveOptions, ...laterOptions.map(({ option }) => option)].map((one) => [flagOf(one), one]));

/** The options that a class of the configuration limits, in its order. */
export function limitsOf(config: string): { flag: string; limits: OptionLimits }[] {
    return serveOptions
        .filter((option) => option.config === config)
        .map((option) => ({ flag: flagOf(option), limits: option.limits! }));
}

/** How vLLM prints a value of this option, as Python does. */
export function printed(flag: string, values: string[]): string {
    const { type, nargs, optional } = byFlag.get(flag)!;
    if (type === "switch" || (optional && ["", "None"].includes(values[0]))) return values[0] || "None";
    const quoted = values.map((value) =>
        ["int", "float", "json", "parsed-json"].includes(type) ? value : quote(value),
    );
    if (nargs === "+") return `[${quoted.join(", ")}]`;
    return type === "size" ? String(size(values[0])) : quoted[0];
}

/**
 * Reads the words after `vllm serve` (`served`), or after `python -m vllm.entrypoints.openai.api_server`, as the release
 * 0.`minor` does. (Of later releases than 0.13 only the options that matter here are known, beside those of 0.13.)
 * Throws a CommandError with argparse's words: code 2, or 1 where vLLM's own code gives up; 0 when help was asked for.
 */
export function parseArguments(words: string[], served: boolean, minor: number): Arguments {
    const program = served ? { all: "vllm", one: "vllm serve" } : { all: "api_server.py", one: "api_server.py" };
    const line = joinDotted(normalized(withoutConfig(served ? modelFirst(words) : words)));
    const later = laterOptions
        .filter(({ since }) => since <= minor)
        .map(({ option }) => [option.names[0], option] as const);
    const reader = new Reader(line, program.one, new Map([...byName, ...later]));
    const unknown = reader.read();
    if (unknown.length > 0) throw usageError(program.one, program.all, `unrecognized arguments: ${unknown.join(" ")}`);
    return reader.found;
}

function usageError(program: string, speaker: string, message: string): CommandError {
    return new CommandError(2, `usage: ${program} [model_tag] [options]\n${speaker}: error: ${message}`);
}

/** `vllm serve` moves the value of `--model` to the front, whatever is there already. */
function modelFirst(words: string[]): string[] {
    const at = words.findIndex((word) => word === "--model" || word.startsWith("--model="));
    if (at < 0) return words;
    const apart = words[at] === "--model";
    if (apart && at === words.length - 1) throw new CommandError(1, "IndexError: list index out of range");
    const model = apart ? words[at + 1] : words[at].slice("--model=".length);
    return [model, ...words.slice(0, at), ...words.slice(at + (apart ? 2 : 1))];
}

/** `--config FILE` is read before everything else. A simulated container holds no such file. */
function withoutConfig(words: string[]): string[] {
    const at = words.indexOf("--config");
    if (at < 0) return words;
    if (words.lastIndexOf("--config") !== at) {
        throw new CommandError(1, "AssertionError: More than one config file specified!");
    }
    const file = words[at + 1];
    if (file === undefined) {
        const gap = " ".repeat(30); // vLLM's text is broken with a backslash, its indentation is part of it
        throw new CommandError(
            1,
            `ValueError: No config file specified!${gap}Please check your command-line arguments.`,
        );
    }
    const extension = file.split(".").at(-1)!;
    throw new CommandError(
        1,
        ["yaml", "yml"].includes(extension)
            ? `FileNotFoundError: [Errno 2] No such file or directory: ${quote(file)}`
            : `ValueError: Config file must be of a yaml/yml type. ${extension} supplied`,
    );
}

/** Names with dashes, and `-O` in full. */
function normalized(words: string[]): string[] {
    const dashed = (name: string): string => {
        const [first, ...keys] = name.split(".");
        return [first.replace(/_/g, "-"), ...keys].join(".");
    };
    return words.flatMap((word, i) => {
        if (word.startsWith("--help=")) return ["--help"];
        if (word.startsWith("--")) {
            const at = word.indexOf("=");
            return [at < 0 ? dashed(word) : dashed(word.slice(0, at)) + word.slice(at)];
        }
        if (word === "-O") return [/^[0-3]$/.test(words[i + 1] ?? "") ? "--optimization-level" : word];
        if (word.startsWith("-O")) return ["--optimization-level", word.slice(word[2] === "=" ? 3 : 2)];
        return [word];
    });
}

/** Puts `--x.y 1 --x.z 2` at the end of the line as `--x {"y": 1, "z": 2}`. */
function joinDotted(words: string[]): string[] {
    const rest: string[] = [];
    const objects = new Map<string, Record<string, unknown>>();
    for (let i = 0; i < words.length; i++) {
        const word = words[i];
        const at = word.indexOf("=");
        const name = at < 0 ? word : word.slice(0, at);
        // A negative number with a point is taken for one as well.
        if (!word.startsWith("-") || !name.includes(".")) {
            rest.push(word);
            continue;
        }
        let value = at < 0 ? words[++i] : word.slice(at + 1);
        if (value === undefined) throw new CommandError(1, "IndexError: list index out of range");
        if (name.endsWith("+")) value = JSON.stringify(value.split(","));
        const [key, ...keys] = name.replace(/\+$/, "").split(".");
        const object = objects.get(key) ?? {};
        objects.set(key, object);
        merge(object, keys, isJson(value) ? (JSON.parse(value) as unknown) : value);
    }
    return [...rest, ...[...objects].flatMap(([key, object]) => [key, pythonJson(object)])];
}

function merge(object: Record<string, unknown>, [key, ...keys]: string[], value: unknown): void {
    const before = Object.hasOwn(object, key) ? object[key] : undefined;
    const put = (now: unknown): void => {
        Object.defineProperty(object, key, { value: now, enumerable: true, configurable: true, writable: true });
    };
    if (keys.length > 0) {
        const inner = isRecord(before) ? before : {};
        put(inner);
        merge(inner, keys, value);
    } else if (isRecord(before) && isRecord(value)) {
        for (const [name, one] of Object.entries(value)) merge(before, [name], one);
    } else {
        put(
            Array.isArray(before) && Array.isArray(value) ? [...(before as unknown[]), ...(value as unknown[])] : value,
        );
    }
}

/** One word, taken for an option: `known` is absent when there is none of this name. */
interface Occurrence {
    known?: ServeOption;
    /** Its full name. */
    name: string;
    /** What follows a `=`, or a short name directly. */
    inline?: string;
}

/** The walk of argparse over a line: options where they stand, the model at the first word that belongs to none. */
class Reader {
    readonly found: Arguments = { values: new Map() };
    private readonly occurrences = new Map<number, Occurrence>();
    /** One letter per word: `O` an option, `A` a value, `-` the word `--`. */
    private pattern = "";
    private modelRead = false;

    constructor(
        private readonly words: string[],
        private readonly program: string,
        private readonly known: Map<string, ServeOption>,
    ) {
        const end = words.includes("--") ? words.indexOf("--") : words.length;
        words.forEach((word, i) => {
            const occurrence = i < end ? this.optionOf(word) : undefined;
            if (occurrence) this.occurrences.set(i, occurrence);
            this.pattern += occurrence ? "O" : i === end ? "-" : "A";
        });
    }

    /** Returns the words that belong to nothing. */
    read(): string[] {
        const unknown: string[] = [];
        let at = 0;
        for (const next of this.occurrences.keys()) {
            if (next < at) continue;
            if (at < next) at = this.readModel(at);
            unknown.push(...this.words.slice(at, next));
            at = this.readOption(next, unknown);
        }
        at = this.readModel(at);
        return [...unknown, ...this.words.slice(at)];
    }

    private fail(message: string): CommandError {
        return usageError(this.program, this.program, message);
    }

    private readModel(at: number): number {
        if (this.modelRead) return at;
        this.modelRead = true;
        const [matched] = /^-*A?-*/.exec(this.pattern.slice(at))!;
        this.found.model = this.words.slice(at, at + matched.length).find((_, i) => matched[i] === "A");
        return at + matched.length;
    }

    private readOption(at: number, unknown: string[]): number {
        const { known, name, inline } = this.occurrences.get(at)!;
        if (!known) {
            unknown.push(this.words[at]);
            return at + 1;
        }
        if (known.type === "help") throw new CommandError(0, `usage: ${this.program} [model_tag] [options]`);
        const about = (message: string): CommandError => this.fail(`argument ${known.names.join("/")}: ${message}`);
        if (known.type === "switch") {
            if (inline !== undefined) throw about(`ignored explicit argument ${quote(inline)}`);
            this.found.values.set(flagOf(known), [name.startsWith("--no-") ? "False" : "True"]);
            return at + 1;
        }
        const following = /^A*/.exec(this.pattern.slice(at + 1))![0].length;
        const count = known.nargs === "+" ? following : Math.min(1, following);
        const values = inline !== undefined ? [inline] : this.words.slice(at + 1, at + 1 + count);
        if (values.length === 0 && known.nargs !== "?") {
            throw about(known.nargs === "+" ? "expected at least one argument" : "expected one argument");
        }
        for (const value of values) checkValue(known, value, about);
        const notNamed = known.names[0] === "--lora-modules" && values.find((value) => !/[=,]/.test(value));
        if (notNamed && !isJson(notNamed)) throw this.fail(`Invalid JSON format for --lora-modules: ${notNamed}`);
        this.found.values.set(flagOf(known), values);
        return inline !== undefined ? at + 1 : at + 1 + values.length;
    }

    /** Undefined when the word is a value. */
    private optionOf(word: string): Occurrence | undefined {
        if (!word.startsWith("-") || word === "-") return undefined;
        const exact = this.known.get(word);
        if (exact) return { known: exact, name: word };
        const at = word.indexOf("=");
        const [name, inline] = at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
        const before = this.known.get(name);
        if (before) return { known: before, name, inline };
        const meant = this.abbreviated(word, name, inline);
        if (meant.length > 1) {
            const names = meant.map((one) => one.name).join(", ");
            throw this.fail(`ambiguous option: ${word} could match ${names}`);
        }
        if (meant.length === 1) return meant[0];
        return /^-\d+$|^-\d*\.\d+$/.test(word) || word.includes(" ") ? undefined : { name: word };
    }

    private abbreviated(word: string, name: string, inline: string | undefined): Occurrence[] {
        const long = word.startsWith("--");
        return [...this.known].flatMap(([full, known]): Occurrence[] => {
            if (!long && full === word.slice(0, 2)) return [{ known, name: full, inline: word.slice(2) }];
            return full.startsWith(long ? name : word)
                ? [{ known, name: full, inline: long ? inline : undefined }]
                : [];
        });
    }
}

/** What the parser says of one value. `about` makes the error. */
function checkValue(option: ServeOption, value: string, about: (message: string) => CommandError): void {
    const { type, optional, choices } = option;
    const none = optional && (value === "" || value === "None");
    const problem = none ? undefined : conversionProblem(option, value);
    if (problem !== undefined) throw about(problem);
    if (!choices) return;
    const read = type === "int" ? Number(value.replace(/_/g, "")) : value;
    if (!none && choices.includes(read)) return;
    const shown = choices.map((choice) => (typeof choice === "string" ? quote(choice) : choice)).join(", ");
    throw about(`invalid choice: ${none ? "None" : type === "int" ? read : quote(value)} (choose from ${shown})`);
}

/** How the function says it that is to convert the value. */
function conversionProblem(option: ServeOption, value: string): string | undefined {
    const failed = (name: string): string =>
        option.optional || option.type === "parsed-json"
            ? `Value ${value} cannot be converted to <${name === "loads" ? "function" : "class"} ${name === "loads" ? name : quote(name)}>.`
            : `invalid ${name} value: ${quote(value)}`;
    switch (option.type) {
        case "int":
            return isInteger(value) ? undefined : failed("int");
        case "float":
            return isFloat(value) ? undefined : failed("float");
        case "json":
        case "parsed-json":
            return isJson(value) ? undefined : failed("loads");
        case "json-or-text":
            return !/^\s*\{.*\}\s*$/s.test(value) || isJson(value)
                ? undefined
                : `Value ${value} cannot be converted to <function loads>.`;
        case "size":
            return sizeProblem(value);
        case "object":
            return objectProblem(option, value);
        default:
            return undefined;
    }
}

function sizeProblem(value: string): string | undefined {
    const [, number, suffix] = /^(\d+\.\d+)([KMGT])$/.exec(value.trim()) ?? [];
    if (suffix !== undefined) {
        const meant = number + suffix.toLowerCase();
        return `Decimals are not allowed with binary suffixes like ${suffix}. Did you mean to use ${meant} instead?`;
    }
    return Number.isNaN(size(value)) ? `invalid human_readable_int value: ${quote(value)}` : undefined;
}

/** The first fault of a JSON object: its form, an unknown field, or a field that is none of its choices. */
function objectProblem({ object, fields }: ServeOption, value: string): string | undefined {
    const faults = (count: number, text: string): string =>
        `${count} validation error${count === 1 ? "" : "s"} for ${object}\n${text}`;
    if (!isJson(value)) return faults(1, "  Invalid JSON");
    const read: unknown = JSON.parse(value);
    if (!isRecord(read)) return faults(1, "  Input should be an object");
    const found = Object.entries(read).flatMap(([name, given]) => {
        const choices = Object.hasOwn(fields!, name) ? fields![name] : undefined;
        if (choices === undefined) return [`${name}\n  Unexpected keyword argument`];
        if (choices === null || choices.includes(given as string)) return [];
        return [`${name}\n  Input should be ${alternatives(choices)}`];
    });
    if (found.length > 0) return faults(found.length, found.join("\n"));
    if (object === "KVTransferConfig" && read.kv_connector && !read.kv_role) {
        const roles = "('kv_producer', 'kv_both', 'kv_consumer')";
        const message = `Please specify kv_role when kv_connector is set, supported roles are ${roles}`;
        return faults(1, `  Value error, ${message}`);
    }
    return undefined;
}

/** A choice in pydantic's words: `'a', 'b' or 'c'`. */
export function alternatives(choices: string[]): string {
    const quoted = choices.map(quote);
    return quoted.length === 1 ? quoted[0] : `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
}

/** A value of the type `size`: 32k is 32,000 and 32K is 32,768. NaN for anything else. */
export function size(text: string): number {
    const [, number, suffix] = /^(\d+(?:\.\d+)?)([kmgtKMGT])$/.exec(text.trim()) ?? [];
    if (suffix === undefined) return isInteger(text) ? Number(text.trim().replace(/_/g, "")) : NaN;
    const decimal = suffix === suffix.toLowerCase();
    if (!decimal && number.includes(".")) return NaN;
    return Math.floor(Number(number) * (decimal ? 1000 : 1024) ** ("kmgt".indexOf(suffix.toLowerCase()) + 1));
}

/** Python's `int`. */
function isInteger(text: string): boolean {
    return /^[+-]?\d+(_\d+)*$/.test(text.trim());
}

/** Python's `float`. */
function isFloat(text: string): boolean {
    const digits = String.raw`\d+(?:_\d+)*`;
    const number = String.raw`(?:${digits}\.?(?:${digits})?|\.${digits})(?:e[+-]?${digits})?`;
    return new RegExp(`^[+-]?(?:${number}|inf(?:inity)?|nan)$`, "i").test(text.trim());
}

function isJson(text: string): boolean {
    try {
        JSON.parse(text);
        return true;
    } catch {
        return false;
    }
}

function isRecord(value: unknown): value is Record<string, unknown> {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** As Python's `json.dumps` spaces it. */
function pythonJson(value: unknown): string {
    if (Array.isArray(value)) return `[${value.map(pythonJson).join(", ")}]`;
    if (!isRecord(value)) return JSON.stringify(value);
    return `{${Object.entries(value)
        .map(([key, one]) => `${JSON.stringify(key)}: ${pythonJson(one)}`)
        .join(", ")}}`;
}

/** A text as Python's `repr` writes it. */
function quote(text: string): string {
    return text.includes("'") && !text.includes('"') ? `"${text}"` : `'${text.replace(/'/g, "\\'")}'`;
}
