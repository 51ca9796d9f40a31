/** What `pulumi up` prints without a terminal, read as people want to know it: what it is at, what came of it, why it failed. */

/** ` +  kubernetes:core/v1:Namespace monitoring created (0.04s)`, also of a failure: `**creating failed** 1 error`. */
const resourceLine = /^ *[-+~=<>]{1,2} +(\S+) (\S+) \**([a-z]+(?: failed)?)\**(?: |$)/;

/** Follows the lines of an operation. */
export class PulumiProgress {
    private readonly current = new Map<string, string>();
    private readonly done = new Set<string>();
    private readonly counts: string[] = [];
    private inCounts = false;

    /** Takes in one line. Gives what it is at when that has changed: `12 done; Release monitoring, App ministral`. */
    read(line: string): string | undefined {
        if (/^Resources:/.test(line)) this.inCounts = true;
        else if (line.trim() === "" || /^\S/.test(line)) this.inCounts = false;
        else if (this.inCounts) this.counts.push(line.trim());
        const [, type, name, state] = resourceLine.exec(line) ?? [];
        // The stack is at work as long as the operation is.
        if (type === undefined || type === "pulumi:pulumi:Stack") return undefined;
        const key = `${type} ${name}`;
        if (state.endsWith("ing")) {
            // Components are made of the others.
            if (/^ovhcloud-llm-serving:/.test(type)) return undefined;
            this.current.set(key, `${type.split(":").at(-1)} ${name}`);
        } else {
            this.current.delete(key);
            if (!state.endsWith("failed")) this.done.add(key);
        }
        return [`${this.done.size} done`, [...this.current.values()].join(", ")].filter(Boolean).join("; ");
    }

    /** What came of it, once it has ended: `33 created`, `2 updated, 31 unchanged`. */
    get summary(): string {
        return this.counts.map((count) => count.replace(/^[-+~=<>]+ */, "")).join(", ");
    }
}

/** The lines that say why it failed: each error with the resource that it is of; without one, the last lines. */
export function failureOf(output: string, most = 20): string[] {
    const lines = output.trimEnd().split("\n");
    const from = lines.indexOf("Diagnostics:");
    const found = from < 0 ? [] : errorsOf(lines.slice(from + 1));
    const shown = found.length > 0 ? found : lines.slice(-most);
    if (shown.length <= most) return shown;
    return [...shown.slice(0, most), `... ${shown.length - most} more lines`];
}

/** Of the blocks `TYPE (NAME):`, those parts that begin with `error:`. */
function errorsOf(lines: string[]): string[] {
    const errors: string[] = [];
    let header = "";
    let isError = false;
    for (const line of lines) {
        if (/^\S/.test(line)) break; // "Outputs:", "Resources:"
        if (/^ {2}\S.*\):$/.test(line)) [header, isError] = [line, false];
        else if (/^ {4}(error|warning|info|debug):/.test(line)) {
            isError = / {4}error:/.test(line);
            // Only the others say why.
            if (/error: update failed$/.test(line)) isError = false;
            if (isError && header) errors.push(header);
            if (isError) header = "";
        }
        if (isError && line.trim() !== "") errors.push(line);
    }
    return errors;
}
