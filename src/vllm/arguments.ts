import { namedChoices } from "./choices";
import { serveOptions, type ServeOption } from "./options";

/** Something wrong with one word of a command line, and what would be right. */
export interface ArgumentFault {
    index: number;
    fix: string;
}

const byName = new Map(serveOptions.flatMap((option) => option.names.map((name) => [name, option] as const)));

/** The option in a word, with dashes for underscores, and what follows its `=`; undefined for a value. */
export function optionOf(word: string): { name: string; value?: string } | undefined {
    // Python's argparse takes a negative number, and what has a space in it, for a value.
    if (!/^-./.test(word) || /^-\d+(\.\d*)?$|^-\.\d+$/.test(word) || /^[^=]*\s/.test(word)) return undefined;
    const at = word.indexOf("=");
    const written = at < 0 ? word : word.slice(0, at);
    const name = written.startsWith("--") ? written.replaceAll("_", "-") : written;
    return at < 0 ? { name } : { name, value: word.slice(at + 1) };
}

/** Options that a name may be short for. vLLM takes a beginning that fits one option only. */
export function abbreviated(name: string): string[] {
    if (byName.has(name) || !name.startsWith("--")) return [];
    return [...byName.keys()].filter((known) => known.startsWith(name));
}

/** What vLLM 0.13.0 would refuse, or read otherwise than it looks, in words that follow those of the settings. */
export function argumentFaults(words: string[]): ArgumentFault[] {
    const faults: ArgumentFault[] = [];
    const fault = (index: number, fix: string | undefined) => void (fix && faults.push({ index, fix }));
    const given = new Set<ServeOption>();
    for (let index = 0; index < words.length; index++) {
        const found = optionOf(words[index]);
        if (!found) {
            fault(index, strayFix(words[index]));
            continue;
        }
        const option = knownOption(found.name);
        const following = valuesAfter(words, index);
        if (!option) {
            fault(index, unknownFix(found.name));
            // Its values are not judged.
            index += following.length;
            continue;
        }
        // Of an option in JSON each key may be given by itself.
        const dotted = found.name.includes(".");
        if (given.has(option) && !dotted) fault(index, "keep one: of an option that is given twice the last one holds");
        given.add(option);
        const apart = found.value === undefined ? following.slice(0, mostValues(option, found.name)) : [];
        fault(index, countFix(option, found, apart.length));
        if (!dotted && found.value !== undefined) fault(index, valueFix(option, found.value));
        if (!dotted) apart.forEach((value, i) => fault(index + 1 + i, valueFix(option, value)));
        index += apart.length;
    }
    return faults;
}

/** `-O3` and `--x.y`, one key of an option in JSON, are forms of their own. */
function knownOption(name: string): ServeOption | undefined {
    if (/^-O\d?$/.test(name)) return byName.get("--optimization-level");
    const option = byName.get(name);
    if (option || !name.includes(".")) return option;
    const whole = byName.get(name.slice(0, name.indexOf(".")));
    return whole && /json|object/.test(whole.type) ? whole : undefined;
}

function valuesAfter(words: string[], index: number): string[] {
    const rest = words.slice(index + 1);
    const end = rest.findIndex((word) => optionOf(word) !== undefined);
    return end < 0 ? rest : rest.slice(0, end);
}

/** Values that an option takes as words of their own. `-O3` has its one in the word already. */
function mostValues({ type, nargs }: ServeOption, name: string): number {
    if (/^(switch|help)$/.test(type) || /^-O\d$/.test(name)) return 0;
    return nargs === "+" ? Infinity : 1;
}

function countFix(option: ServeOption, { name, value }: { name: string; value?: string }, apart: number) {
    const most = mostValues(option, name);
    if (most === 0) return value === undefined ? undefined : "leave out what follows the =: it is a switch";
    return apart > 0 || value !== undefined || option.nargs === "?" ? undefined : "give its value as the next word";
}

function unknownFix(name: string): string {
    const [full, ...others] = abbreviated(name);
    if (full && others.length === 0) return `write it in full: "${full}"`;
    const close = [...byName.keys()].filter((known) => known.replaceAll("-", "") === name.replaceAll("-", ""));
    if (close.length > 0) return `did you mean "${close[0]}"?`;
    if (full) return `write it in full: it could be ${[full, ...others].map((one) => `"${one}"`).join(", ")}`;
    return "leave it out: vLLM 0.13.0 has no such option";
}

function strayFix(word: string): string {
    const [, option, value] = /^(--?[A-Za-z][\w.-]*)\s+(.+)$/s.exec(word) ?? [];
    if (option) return `give it as two words: ${JSON.stringify(option)}, ${JSON.stringify(value)}`;
    return "leave it out: it is the value of no option";
}

const numbers: Record<string, [form: RegExp, fix: string]> = {
    int: [/^[+-]?\d+(_\d+)*$/, "give a whole number"],
    float: [/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i, "give a number"],
    size: [/^\d+$|^\d+(\.\d+)?[kmgt]$|^\d+[KMGT]$/, 'give a number, such as "32768" or "32k"'],
};

function valueFix(option: ServeOption, written: string): string | undefined {
    const { names, type, optional, choices, limits } = option;
    const value = written.trim();
    const known = choices?.map(String) ?? namedChoices[names[0]];
    if (known && !known.includes(value)) return `give one of ${known.join(", ")}`;
    if (optional && ["", "None"].includes(value)) return undefined;
    const [form, fix] = numbers[type] ?? [];
    if (form && !form.test(value)) return fix;
    if (form && limits) return limitFix(limits, Number(value.replaceAll("_", "")));
    if (/^(json|parsed-json|object)$/.test(type) || (type === "json-or-text" && /^\{.*\}$/s.test(value))) {
        return jsonFix(option, value);
    }
    return undefined;
}

/** NaN, a number with a suffix, passes: those are far from any limit. */
function limitFix({ ge, gt, le, lt }: NonNullable<ServeOption["limits"]>, value: number): string | undefined {
    if (ge !== undefined && value < ge) return `give at least ${ge}`;
    if (gt !== undefined && value <= gt) return `give more than ${gt}`;
    if (le !== undefined && value > le) return `give at most ${le}`;
    return lt !== undefined && value >= lt ? `give less than ${lt}` : undefined;
}

function jsonFix({ type, fields = {} }: ServeOption, value: string): string | undefined {
    let read: unknown;
    try {
        read = JSON.parse(value);
    } catch {
        return "give JSON";
    }
    if (type !== "object") return undefined;
    if (typeof read !== "object" || read === null || Array.isArray(read)) return "give an object in JSON: {...}";
    const unknown = Object.keys(read).find((key) => !Object.hasOwn(fields, key));
    return unknown === undefined ? undefined : `leave out "${unknown}": it has ${Object.keys(fields).join(", ")}`;
}
