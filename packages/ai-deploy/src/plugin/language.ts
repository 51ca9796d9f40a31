/** How the language of the program that is run writes the names of properties. */
import { existsSync, readFileSync } from "fs";
import { dirname, join } from "path";
import type { Named } from "../errors/setting-names";

/** Of maps with names of the user's own. */
const maps = ["labels", "envVars", "settingNames"];

const spellings: Record<string, (word: string) => string> = {
    python: (word) => word.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    go: capitalized,
    dotnet: capitalized,
};

/** `folder`: where the program runs, in or below that of its `Pulumi.yaml`. Without one: as the schema has it. */
export function propertyNames(folder: string): Named {
    const spell = spellings[runtimeOf(folder) ?? ""];
    if (!spell) return (property) => property;
    return (property) => {
        const [first, ...rest] = property.split(".");
        const words = maps.includes(first) ? [spell(first), ...rest] : [first, ...rest].map(asWord);
        return words.join(".");
    };
    function asWord(part: string): string {
        // Neither a variable nor an argument of a command.
        return /^[a-z]\w*(\[\d+\])?$/.test(part) ? spell(part) : part;
    }
}

/** `runtime: NAME`, or a map below it with `name: NAME`. */
const runtimeLine = /^runtime:(?:[ \t]*(?:#.*)?\r?\n(?:[ \t]+.*\r?\n)*?[ \t]+name:)?[ \t]*["']?([\w-]+)/m;

/** `python`, `go`, `dotnet`, `yaml` and so on. */
function runtimeOf(folder: string): string | undefined {
    for (let at = folder; ; at = dirname(at)) {
        const file = ["Pulumi.yaml", "Pulumi.yml"].map((name) => join(at, name)).find(existsSync);
        if (file) return runtimeLine.exec(readFileSync(file, "utf8"))?.[1];
        if (dirname(at) === at) return undefined;
    }
}

function capitalized(word: string): string {
    return word.charAt(0).toUpperCase() + word.slice(1);
}
