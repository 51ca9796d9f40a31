import { randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { Catalogue } from "./catalogue";

/** A price list, and when OVHcloud was asked for it. */
export interface Dated {
    /** ISO 8601. */
    asked: string;
    catalogue: Catalogue;
}

const fileSchema = z.object({
    asked: z.iso.datetime(),
    catalogue: z.object({
        currency: z.string(),
        plans: z.record(z.string(), z.object({ price: z.number(), regions: z.array(z.string()).optional() })),
    }),
});

/** Where price lists are kept, one for all stacks of this user. */
export function cacheFolder(): string {
    return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "ovhcloud-llm-serving");
}

/** A list as it was kept; undefined where there is none, or none that can be read: it is asked for again. */
export function readKept(folder: string, name: string): Dated | undefined {
    try {
        return fileSchema.parse(JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8")));
    } catch {
        return undefined;
    }
}

/** Keeps a list, whole or not at all, also with others that do so at the same time. @throws where the folder cannot be written */
export function keep(folder: string, name: string, list: Dated): void {
    mkdirSync(folder, { recursive: true });
    const unfinished = join(folder, `${name}.${randomUUID()}.tmp`);
    try {
        writeFileSync(unfinished, JSON.stringify(list));
        renameSync(unfinished, join(folder, `${name}.json`));
    } finally {
        rmSync(unfinished, { force: true });
    }
}
