import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";
import { builtInProfiles, ministral14bOnH100, type Profile } from "./profiles";

/** Which profile stands for a replica: one of the built-in ones by its GPU, or one that a settings file describes. */

/** A profile of a settings file, and what it is for. */
export interface OwnProfile extends Profile {
    /** The app's `--model`; absent: every model. */
    model?: string;
}

const seconds = z.number().nonnegative();
const bytes = z.number().positive();
const cores = z.number().nonnegative();
const schema = z.strictObject({
    profiles: z.array(
        z.strictObject({
            name: z.string().min(1),
            like: z.enum(builtInProfiles.map(({ gpu }) => gpu) as [string, ...string[]]),
            model: z.string().optional(),
            gpu: z.string().optional(),
            maxModelLen: z.int().positive().optional(),
            defaults: z
                .strictObject({ maxNumSeqs: z.int().positive(), maxNumBatchedTokens: z.int().positive() })
                .partial()
                .optional(),
            memory: z
                .strictObject({ gpu: bytes, weights: bytes, activations: bytes, kvPerToken: bytes })
                .partial()
                .optional(),
            step: z
                .strictObject({
                    base: seconds,
                    prefillToken: seconds,
                    decodeSequence: seconds,
                    contextToken: seconds,
                    spread: z.number().min(0).max(2),
                })
                .partial()
                .optional(),
            requestOverhead: seconds.optional(),
            boot: z
                .strictObject({ start: seconds, download: seconds, load: seconds, compile: seconds, warmUp: seconds })
                .partial()
                .optional(),
            host: z.strictObject({ idleCores: cores, busyCores: cores, memory: bytes }).partial().optional(),
            meanAnswerTokens: z.number().positive().optional(),
        }),
    ),
});

/**
 * Reads profiles from a YAML or JSON file: `profiles: [{name, like: H100 | L40S | L4, model?, gpu?, ...}]`. Each is a
 * built-in one with other figures (`Profile` has their units). Throws an Error that names the file, the field and the fault.
 */
export function readProfiles(file: string): OwnProfile[] {
    let content: unknown;
    try {
        content = parse(readFileSync(file, "utf8"));
    } catch (error) {
        throw new Error(`profiles ${file}: ${(error as Error).message}`);
    }
    const read = schema.safeParse(content);
    if (!read.success) {
        const faults = read.error.issues.map(({ path, message }) => `${path.join(".") || "the file"}: ${message}`);
        throw new Error(`profiles ${file}: ${faults.join("; ")}`);
    }
    return read.data.profiles.map(({ like, model, ...own }) => {
        const base = builtInProfiles.find(({ gpu }) => gpu === like)!;
        return {
            ...base,
            ...own,
            defaults: { ...base.defaults, ...own.defaults },
            memory: { ...base.memory, ...own.memory },
            step: { ...base.step, ...own.step },
            boot: { ...base.boot, ...own.boot },
            host: { ...base.host, ...own.host },
            model,
        };
    });
}

/** The profile for a model on a GPU: the first own one that fits both, else the built-in one of that GPU, else the H100's. */
export function profileFor(model: string, gpu: string | undefined, own: OwnProfile[] = []): Profile {
    return (
        own.find((one) => (one.model ?? model) === model && (gpu === undefined || one.gpu === gpu)) ??
        builtInProfiles.find((one) => one.gpu === gpu) ??
        ministral14bOnH100
    );
}
