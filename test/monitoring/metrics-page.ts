import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A family of a page: its type, the labels of its samples, and the bounds of its buckets. */
export interface Family {
    type: string;
    labels: Set<string>;
    bounds: number[];
}

/** The page of a vLLM version; how it was made is said in metrics-pages/record.py. */
export function recordedPage(version: string): string {
    return readFileSync(join(__dirname, `metrics-pages/v${version}.txt`), "utf8");
}

/** The families of a page in the text format, the `_created` times left out. */
export function families(page: string): Map<string, Family> {
    const found = new Map<string, Family>();
    let family: Family | undefined;
    for (const line of page.split("\n")) {
        const [, name, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
        if (name) {
            family = { type, labels: new Set(), bounds: [] };
            if (!name.endsWith("_created")) found.set(name, family);
        } else if (family && line && !line.startsWith("#")) {
            for (const [, label, value] of line.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
                if (label !== "le") family.labels.add(label);
                else if (value !== "+Inf" && !family.bounds.includes(Number(value))) family.bounds.push(Number(value));
            }
        }
    }
    return found;
}

/** The samples of a page as `name{labels}` and value. */
export function samples(page: string): [series: string, value: number][] {
    return page
        .split("\n")
        .filter((line) => line && !line.startsWith("#"))
        .map((line) => {
            const space = line.lastIndexOf(" ");
            return [line.slice(0, space), Number(line.slice(space + 1))];
        });
}
