/** Stands in for Pulumi's random plugin: the types that this project uses, with the real one's rules. */
import { hash } from "bcryptjs";
import { randomBytes, randomInt } from "node:crypto";
import { version } from "@pulumi/random/package.json";
import { serveProvider, unknown, type CheckFailure, type Properties, type ResourceType } from "./provider-server";

const randomId: ResourceType = {
    required: ["byteLength"],
    optional: ["keepers", "prefix"],
    maps: ["keepers"],
    plainInputs: true,
    outputs: ["b64Std", "b64Url", "dec", "hex"],
    chosen: [],
    replaceOn: ["byteLength", "keepers", "prefix"],
    check: ({ byteLength }) => (byteLength === unknown ? [] : atLeast("byteLength", byteLength as number, 1)),
    create: async (inputs) => {
        const id = randomBytes(inputs.byteLength as number).toString("base64url");
        return { id, state: { ...inputs, ...encodings(id, inputs.prefix as string | undefined) } };
    },
    async import(given) {
        const [id, prefix] = given.split(",").reverse();
        const byteLength = Buffer.from(id, "base64url").length;
        return { id, state: { byteLength, ...(prefix === undefined ? {} : { prefix }), ...encodings(id, prefix) } };
    },
    read: async (id, old) => ({ ...old, ...encodings(id, old.prefix as string | undefined) }),
    delete: async () => undefined,
};

function encodings(id: string, prefix = ""): Properties {
    const bytes = Buffer.from(id, "base64url");
    return {
        b64Std: prefix + bytes.toString("base64"),
        b64Url: prefix + id,
        dec: prefix + BigInt(`0x${bytes.toString("hex")}`).toString(),
        hex: prefix + bytes.toString("hex"),
    };
}

const text = {
    required: ["length"],
    optional: ["keepers", "overrideSpecial"],
    maps: ["keepers"],
    plainInputs: true,
    defaults: withDefaults,
    replaceOn: [
        "keepers",
        "length",
        "lower",
        "minLower",
        "minNumeric",
        "minSpecial",
        "minUpper",
        "number",
        "numeric",
        "overrideSpecial",
        "special",
        "upper",
    ],
    // Each has a default.
    chosen: ["lower", "minLower", "minNumeric", "minSpecial", "minUpper", "number", "numeric", "special", "upper"],
    check(inputs: Properties): CheckFailure[] {
        if (Object.values(inputs).includes(unknown)) return [];
        const { length } = inputs as { length: number };
        const minimum = alphabets(inputs).reduce((sum, { least }) => sum + least, 0);
        if (!alphabets(inputs).some(({ on }) => on)) {
            return [{ property: "special", reason: "one of lower, upper, numeric and special must be true" }];
        }
        return atLeast("length", length, Math.max(1, minimum));
    },
    read: async (_: string, old: Properties) => old,
    delete: async () => undefined,
};

const randomPassword: ResourceType = {
    ...text,
    outputs: ["bcryptHash", "result"],
    secrets: ["bcryptHash", "result"],
    create: (inputs) => passwordOf(inputs, randomText(inputs)),
    import: (password) => passwordOf({ length: password.length }, password),
};

async function passwordOf(inputs: Properties, result: string): Promise<{ id: string; state: Properties }> {
    // bcrypt reads no more than 72 bytes; the real plugin cuts there as well. Its library marks the hash as the older 2a.
    const bcryptHash = (await hash(Buffer.from(result).subarray(0, 72).toString(), 10)).replace(/^\$2b/, "$2a");
    return { id: "none", state: { ...withDefaults(inputs), result, bcryptHash } };
}

const randomString: ResourceType = {
    ...text,
    outputs: ["result"],
    create: async (inputs) => {
        const result = randomText(inputs);
        return { id: result, state: { ...withDefaults(inputs), result } };
    },
    import: async (result) => ({ id: result, state: { ...withDefaults({ length: result.length }), result } }),
};

function withDefaults(inputs: Properties): Properties {
    const numeric = (inputs.numeric ?? inputs.number ?? true) as boolean;
    const flags = { lower: true, upper: true, special: true, number: numeric, numeric };
    return { ...flags, minLower: 0, minUpper: 0, minNumeric: 0, minSpecial: 0, ...inputs };
}

interface Alphabet {
    characters: string;
    /** Whether any number of them may occur; else only `least`. */
    on: boolean;
    least: number;
}

function alphabets(inputs: Properties): Alphabet[] {
    const all = withDefaults(inputs) as Record<string, never>;
    return [
        { on: all.lower, characters: "abcdefghijklmnopqrstuvwxyz", least: all.minLower },
        { on: all.upper, characters: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", least: all.minUpper },
        { on: all.numeric, characters: "0123456789", least: all.minNumeric },
        { on: all.special, characters: all.overrideSpecial || "!@#$%&*()-_=+[]{}<>:?", least: all.minSpecial },
    ];
}

function randomText(inputs: Properties): string {
    const pick = (characters: string): string => characters[randomInt(characters.length)];
    const kinds = alphabets(inputs);
    const picked = kinds.flatMap(({ characters, least }) => Array.from({ length: least }, () => pick(characters)));
    const any = kinds
        .filter(({ on }) => on)
        .map(({ characters }) => characters)
        .join("");
    while (picked.length < (inputs.length as number)) picked.push(pick(any));
    // Fisher and Yates, so that the required characters may be anywhere.
    for (let last = picked.length - 1; last > 0; last--) {
        const other = randomInt(last + 1);
        [picked[last], picked[other]] = [picked[other], picked[last]];
    }
    return picked.join("");
}

function atLeast(property: string, value: number, minimum: number): CheckFailure[] {
    if (Number.isInteger(value) && value >= minimum) return [];
    return [{ property, reason: `${property} is ${value}: give a whole number of at least ${minimum}` }];
}

serveProvider({
    name: "random",
    version,
    resources: {
        "random:index/randomId:RandomId": randomId,
        "random:index/randomPassword:RandomPassword": randomPassword,
        "random:index/randomString:RandomString": randomString,
    },
});
