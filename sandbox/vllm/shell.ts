/**
 * What a container's command starts, read as the container would: directly, or by `bash -c` / `sh -c`. No process is
 * started. Simple commands joined by `;`, `&&`, `||` and newlines are understood, with quotes, comments, assignments and
 * `$NAME`; what only a real shell could do (pipes, substitutions, loops) ends the container with a line that says so.
 */

/** The container ends by itself: with this exit code, and these lines in its log. */
export class CommandError extends Error {
    constructor(
        readonly code: number,
        message: string,
    ) {
        super(message);
    }
}

export interface Program {
    argv: string[];
    env: Record<string, string>;
}

/** The program that a command starts, with its arguments and environment. Throws a CommandError when there is none. */
export function startedProgram(command: string[], env: Record<string, string>): Program {
    const shell = /^(?:.*\/)?(bash|sh|dash)$/.exec(command[0] ?? "")?.[1];
    if (shell === undefined) return { argv: command, env };
    let at = 1;
    while (at < command.length && /^-[a-z]+$/.test(command[at]) && !command[at].includes("c")) at++;
    if (at >= command.length) throw new CommandError(0, `${shell}: end of input: no command was given`);
    if (!/^-[a-z]*c[a-z]*$/.test(command[at])) {
        throw new CommandError(127, `${shell}: ${command[at]}: No such file or directory`);
    }
    const [script, ...positional] = command.slice(at + 1);
    if (script === undefined) throw new CommandError(2, `${shell}: -c: option requires an argument`);
    return new Shell(shell, script, env, positional).run();
}

interface SimpleCommand {
    assignments: [string, string][];
    words: string[];
    end: ";" | "&&" | "||" | "";
    line: number;
}

const whitespace = /[ \t]/;
const keywords = new Set(["if", "for", "while", "until", "case", "function", "{", "!", "[[", "time", "select"]);

class Shell {
    private at = 0;
    private readonly env: Record<string, string>;

    constructor(
        private readonly name: string,
        private readonly script: string,
        env: Record<string, string>,
        private readonly positional: string[],
    ) {
        this.env = { ...env };
    }

    run(): Program {
        let status = 0;
        let previous: SimpleCommand["end"] = ";";
        while (this.at < this.script.length) {
            const command = this.read();
            const skipped = (previous === "&&" && status !== 0) || (previous === "||" && status === 0);
            if (!skipped && (command.words.length > 0 || command.assignments.length > 0)) {
                const result = this.execute(command);
                if (typeof result !== "number") return result;
                status = result;
            }
            previous = command.end;
        }
        throw new CommandError(
            status,
            `${this.name}: the command ended with exit code ${status} and started no server`,
        );
    }

    /** Runs a builtin and returns its status, or returns the program that would be started. */
    private execute({ assignments, words, line }: SimpleCommand): number | Program {
        const given = Object.fromEntries(assignments);
        if (words[0] === "exec") words.shift();
        if (words[0] === "env") {
            words.shift();
            while (/^[A-Za-z_]\w*=/.test(words[0] ?? "")) Object.assign(given, assignment(words.shift()!));
        }
        const [program, ...rest] = words;
        switch (program) {
            case undefined:
                Object.assign(this.env, given);
                return 0;
            case "export":
                for (const word of rest) if (word.includes("=")) Object.assign(this.env, assignment(word));
                return 0;
            case "false":
                return 1;
            case "true":
            case ":":
            case "cd":
            case "echo":
            case "mkdir":
            case "set":
            case "sleep":
            case "ulimit":
                return 0;
            case "exit":
                throw new CommandError(Number(rest[0] ?? 0), `exit ${rest[0] ?? 0}`);
        }
        if (keywords.has(program)) throw this.notSimulated(program);
        const env = { ...this.env, ...given };
        if (/^(?:.*\/)?(bash|sh|dash)$/.test(program)) return startedProgram(words, env);
        if (!isKnownProgram(program)) {
            const said =
                this.name === "bash" ? `line ${line}: ${program}: command not found` : `${line}: ${program}: not found`;
            throw new CommandError(127, `${this.name}: ${said}`);
        }
        return { argv: words, env };
    }

    /** Reads up to the end of one simple command. */
    private read(): SimpleCommand {
        const command: SimpleCommand = { assignments: [], words: [], end: "", line: 1 };
        let word: string | undefined;
        let plain = true; // nothing of the word was quoted or expanded so far
        let name: string | undefined; // of the variable that the word assigns to
        const add = (text: string, literal = false): void => {
            word = (word ?? "") + text;
            plain &&= literal;
        };
        const finish = (): void => {
            if (name !== undefined) command.assignments.push([name, word ?? ""]);
            else if (word !== undefined) command.words.push(word);
            if (command.words.length === 1) command.line = this.line();
            word = name = undefined;
            plain = true;
        };
        const addExpanded = (value: string): void => {
            if (name !== undefined) return add(value);
            // Unquoted: the value is split at white space, and nothing is left of an empty one.
            const parts = value.split(/[ \t\n]+/);
            parts.forEach((part, i) => {
                if (i > 0) finish();
                if (part !== "") add(part);
            });
        };

        for (; this.at < this.script.length; this.at++) {
            const c = this.script[this.at];
            const rest = this.script.slice(this.at, this.at + 5);
            if (c === "'") {
                const end = this.script.indexOf("'", this.at + 1);
                if (end < 0) throw this.unclosed("'");
                add(this.script.slice(this.at + 1, end));
                this.at = end;
            } else if (c === '"') {
                add(this.doubleQuoted());
            } else if (c === "\\") {
                this.at++;
                if (this.script[this.at] !== "\n") add(this.script[this.at] ?? "\\");
            } else if (c === "$") {
                const value = this.expansion();
                if (value === undefined) add("$");
                else addExpanded(value);
            } else if (whitespace.test(c)) {
                finish();
            } else if (c === "#" && word === undefined) {
                while (this.at + 1 < this.script.length && this.script[this.at + 1] !== "\n") this.at++;
            } else if (rest.startsWith("&&") || rest.startsWith("||")) {
                finish();
                this.at += 2;
                return { ...command, end: rest.slice(0, 2) as "&&" | "||" };
            } else if (c === ";" || c === "\n") {
                finish();
                this.at++;
                return { ...command, end: ";" };
            } else if (/^[12]?>&[12]/.test(rest) && word === undefined) {
                this.at += rest.indexOf("&") + 1; // both outputs are one log anyway
            } else if ("|&<>()`".includes(c)) {
                throw this.notSimulated(c);
            } else if (c === "=" && plain && command.words.length === 0 && /^[A-Za-z_]\w*$/.test(word ?? "")) {
                name = word;
                word = "";
            } else {
                add(c, true);
            }
        }
        finish();
        return command;
    }

    /** From an opening double quote to the closing one, which is then the current character. */
    private doubleQuoted(): string {
        let text = "";
        for (this.at++; this.at < this.script.length; this.at++) {
            const c = this.script[this.at];
            if (c === '"') return text;
            if (c === "\\") {
                const next = this.script[++this.at] ?? "";
                if (next !== "\n") text += '"\\$`'.includes(next) ? next : `\\${next}`;
            } else if (c === "$") text += this.expansion() ?? "$";
            else if (c === "`") throw this.notSimulated(c);
            else text += c;
        }
        throw this.unclosed('"');
    }

    /** The value of the `$...` at the current position, whose last character is then the current one. */
    private expansion(): string | undefined {
        const rest = this.script.slice(this.at + 1);
        if (/^[('"]/.test(rest)) {
            if (rest[0] === '"') return "";
            throw this.notSimulated(`$${rest[0]}`);
        }
        const braced = /^\{(\w+)(?:(:?[-?])([^}]*))?\}/.exec(rest);
        if (rest[0] === "{" && !braced) throw this.notSimulated(/^\{[^}]*\}?/.exec(rest)![0]);
        const found = braced ?? /^([A-Za-z_]\w*|\d)/.exec(rest);
        if (!found) return undefined;
        this.at += found[0].length;
        const [, name, operator, alternative] = found;
        const value = /^\d+$/.test(name) ? this.positional[Number(name)] : this.env[name];
        const missing = value === undefined || (value === "" && operator?.startsWith(":"));
        if (!missing) return value;
        if (operator?.endsWith("?")) {
            throw new CommandError(127, `${this.name}: line ${this.line()}: ${name}: ${alternative}`);
        }
        return alternative ?? "";
    }

    private line(): number {
        return this.script.slice(0, this.at).split("\n").length;
    }

    private unclosed(quote: string): CommandError {
        return new CommandError(
            2,
            `${this.name}: -c: line ${this.line()}: unexpected EOF while looking for matching \`${quote}'`,
        );
    }

    private notSimulated(what: string): CommandError {
        return new CommandError(
            2,
            `${this.name}: the sandbox does not simulate "${what}" in a command; write one plain vLLM command`,
        );
    }
}

function assignment(word: string): Record<string, string> {
    const at = word.indexOf("=");
    return { [word.slice(0, at)]: word.slice(at + 1) };
}

/** Programs of the image that a simulation can stand in for. */
export function isKnownProgram(program: string): boolean {
    return /^(?:\/\S+\/)?(python3?(\.\d+)?|vllm)$/.test(program);
}
