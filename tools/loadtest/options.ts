import { z } from "zod";
import { commandLine } from "../command-line";
import { flagName, groups, loadConfig, loadConfigSchema, readConfigFile, written, type LoadConfig } from "./config";
import { UsageError } from "./usage-error";

/** The command line of the load test. */

const shape = loadConfigSchema.shape;
type Key = keyof typeof shape;

/** Key, default and meaning of each setting, by groups: what the usage and the docs show. */
export function settingsOverview(): {
    group: string;
    settings: { key: string; fallback?: string; meaning: string }[];
}[] {
    return Object.entries(groups).map(([group, keys]) => ({
        group,
        settings: keys.map((key) => {
            const { defaultValue } = shape[key].def as { defaultValue?: unknown };
            return { key, fallback: written(defaultValue), meaning: shape[key].description ?? "" };
        }),
    }));
}

function isFlag(key: Key): boolean {
    const field = shape[key];
    return field instanceof z.ZodDefault && field.def.innerType instanceof z.ZodBoolean;
}

const overview = settingsOverview()
    .map(({ group, settings }) => {
        const lines = settings.map(({ key, fallback, meaning }) => {
            const flag = `--${flagName(key)}${isFlag(key as Key) ? "" : " X"}`;
            const known = fallback === undefined || fallback === "false" ? "" : ` (default ${fallback})`;
            return wrapped(
                `  ${flag.padEnd(22)} `,
                meaning.replace(/`(\w+)`/g, (_, name: string) => flagOf(name)) + known,
            );
        });
        return [group, ...lines].join("\n");
    })
    .join("\n\n");

function flagOf(name: string): string {
    return name in shape ? `--${flagName(name)}` : name;
}

/** A text in lines of 110 characters, the first after its heading, the rest below. */
function wrapped(heading: string, text: string): string {
    const lines = [heading];
    for (const word of text.split(" ")) {
        if (lines.at(-1)!.length + word.length > 110) lines.push(" ".repeat(heading.length));
        lines[lines.length - 1] += `${lines.at(-1)!.length > heading.length ? " " : ""}${word}`;
    }
    return lines.join("\n");
}

export const usage = `Usage: npm run loadtest [-- OPTIONS]
       npm run loadtest -- compare A.json B.json

Sends chat completions to the model of a stack and measures the streamed answers. Without options: the reference
architecture's load test. The second form says in what two reports differ, and whether by more than chance.

  --config FILE          settings in YAML or JSON, by their names (maxTokens for --max-tokens); flags go before them

${overview}

Exit code: 0; 1 nothing succeeded, the run had to end early, or too many errors; 2 it could not start; 3 the client or
its machine was the limit, so that the figures are not the model's; 130 Ctrl-C (the report is still made).`;

/** What the command line asks for. Throws UsageError. */
export function readOptions(args: string[]): { help: true } | { help: false; config: LoadConfig } {
    const options = Object.fromEntries(
        Object.keys(shape).map((key) => [
            flagName(key),
            { type: isFlag(key as Key) ? ("boolean" as const) : ("string" as const) },
        ]),
    );
    let values: Record<string, unknown>;
    try {
        ({ values } = commandLine({
            args,
            options: { ...options, config: { type: "string" }, help: { type: "boolean", short: "h" } },
        }));
    } catch (error) {
        throw new UsageError((error as Error).message);
    }
    if (values.help) return { help: true };
    const file = values.config as string | undefined;
    const given: Record<string, unknown> = file === undefined ? {} : readConfigFile(file);
    const fromFile = new Set(Object.keys(given));
    for (const key of Object.keys(shape)) {
        const value = values[flagName(key)];
        if (value === undefined) continue;
        given[key] = value;
        fromFile.delete(key);
    }
    const shown = (key: string): string => (fromFile.has(key) ? `${file}: ${key}` : `--${flagName(key)}`);
    return { help: false, config: loadConfig(given, shown) };
}
