/**
 * Reads a body by the types of its fields, as pydantic does in its lax mode: numbers and booleans may be given as text, and
 * every fault is told with its place. Fields that are not in a schema are let through unread.
 */

export type Place = (string | number)[];

export interface Fault {
    type: string;
    place: Place;
    message: string;
    input: unknown;
}

/** Returns the value, or tells its faults; what is returned then is of no use. */
export type Reader<T> = (value: unknown, place: Place, faults: Fault[]) => T;
export interface Field<T> {
    read: Reader<T>;
    /** Absent: the field must be given. */
    otherwise?: () => T;
}
export type Fields<T> = { [K in keyof T]: Field<T[K]> };

export const required = <T>(read: Reader<T>): Field<T> => ({ read });
export const optional = <T>(read: Reader<T>, otherwise: T): Field<T> => ({ read, otherwise: () => otherwise });
/** May be left out or null, which are the same. */
export const nullable = <T>(read: Reader<T>): Field<T | undefined> => ({
    read: orNull(read),
    otherwise: () => undefined,
});

export function orNull<T>(read: Reader<T>): Reader<T | undefined> {
    return (value, place, faults) => (value === null ? undefined : read(value, place, faults));
}

const numeric = (text: string): boolean => /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(text);
/** Above it, pydantic says of a number that stands for an integer that it is too large. */
const mostInteger = 2 ** 63;

export const int: Reader<number> = (value, place, faults) => {
    const wrong = (type: string, message: string): number => {
        faults.push({ type, place, message, input: value });
        return NaN;
    };
    if (typeof value === "boolean") return Number(value);
    if (typeof value === "string") {
        if (/^\s*[+-]?\d+(\.0*)?\s*$/.test(value)) return Number(value);
        return wrong("int_parsing", "Input should be a valid integer, unable to parse string as an integer");
    }
    if (typeof value !== "number") return wrong("int_type", "Input should be a valid integer");
    if (!Number.isInteger(value)) {
        return wrong("int_from_float", "Input should be a valid integer, got a number with a fractional part");
    }
    if (Math.abs(value) <= mostInteger) return value;
    return wrong("int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size");
};

export const float: Reader<number> = (value, place, faults) => {
    if (typeof value === "boolean") return Number(value);
    if (typeof value === "number") return value;
    const parsed = typeof value === "string";
    if (parsed && numeric(value)) return Number(value);
    const message = `Input should be a valid number${parsed ? ", unable to parse string as a number" : ""}`;
    faults.push({ type: parsed ? "float_parsing" : "float_type", place, message, input: value });
    return NaN;
};

export const bool: Reader<boolean> = (value, place, faults) => {
    if (typeof value === "boolean") return value;
    const text = String(value).toLowerCase();
    const parsed = typeof value === "string" || (typeof value === "number" && Number.isInteger(value));
    if (parsed && ["1", "true", "t", "yes", "y", "on"].includes(text)) return true;
    if (parsed && ["0", "false", "f", "no", "n", "off"].includes(text)) return false;
    const message = `Input should be a valid boolean${parsed ? ", unable to interpret input" : ""}`;
    faults.push({ type: parsed ? "bool_parsing" : "bool_type", place, message, input: value });
    return false;
};

export const str: Reader<string> = (value, place, faults) => {
    if (typeof value !== "string") {
        faults.push({ type: "string_type", place, message: "Input should be a valid string", input: value });
    }
    return value as string;
};

export const any: Reader<unknown> = (value) => value;

export function literal<T extends string>(...words: T[]): Reader<T> {
    const quoted = words.map((word) => `'${word}'`);
    const expected = [quoted.slice(0, -1).join(", "), quoted.at(-1)].filter(Boolean).join(" or ");
    return (value, place, faults) => {
        if (!words.includes(value as T)) {
            faults.push({ type: "literal_error", place, message: `Input should be ${expected}`, input: value });
        }
        return value as T;
    };
}

export function atLeast(least: number, read: Reader<number>): Reader<number> {
    return (value, place, faults) => {
        const given = read(value, place, faults);
        if (given < least) {
            const message = `Input should be greater than or equal to ${least}`;
            faults.push({ type: "greater_than_equal", place, message, input: value });
        }
        return given;
    };
}

export function listOf<T>(read: Reader<T>): Reader<T[]> {
    return (value, place, faults) => {
        if (Array.isArray(value)) return value.map((one, i) => read(one, [...place, i], faults));
        faults.push({ type: "list_type", place, message: "Input should be a valid list", input: value });
        return [];
    };
}

export function dictOf<T>(read: Reader<T>): Reader<Record<string, T>> {
    return (value, place, faults) => {
        if (isObject(value)) {
            return Object.fromEntries(
                Object.entries(value).map(([name, one]) => [name, read(one, [...place, name], faults)]),
            );
        }
        faults.push({ type: "dict_type", place, message: "Input should be a valid dictionary", input: value });
        return {};
    };
}

/** The first of the named readers that finds no fault; else the faults of all. One whose value needs no conversion goes first. */
export function oneOf<T>(members: [name: string, read: Reader<T>][]): Reader<T> {
    return (value, place, faults) => {
        const tried = members.map(([name, read]) => {
            const own: Fault[] = [];
            return { own, got: read(value, [...place, name], own) };
        });
        const fitting = tried.filter(({ own }) => own.length === 0);
        const exact = fitting.find(({ got }) => JSON.stringify(got) === JSON.stringify(value)) ?? fitting.at(0);
        if (!exact) faults.push(...tried.flatMap(({ own }) => own));
        return (exact ?? tried[0]).got;
    };
}

export function object<T>(fields: Fields<T>): Reader<T> {
    return (value, place, faults) => {
        if (!isObject(value)) {
            const message = "Input should be a valid dictionary or object to extract fields from";
            faults.push({ type: "model_attributes_type", place, message, input: value });
            return {} as T;
        }
        const names = Object.keys(fields) as (keyof T & string)[];
        const entries = names.map((name) => {
            const { read, otherwise } = fields[name];
            if (Object.hasOwn(value, name)) return [name, read(value[name], [...place, name], faults)];
            if (otherwise) return [name, otherwise()];
            faults.push({ type: "missing", place: [...place, name], message: "Field required", input: value });
            return [name, undefined];
        });
        return Object.fromEntries(entries) as T;
    };
}

export function isObject(value: unknown): value is Record<string, unknown> {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Faults in the words of FastAPI's RequestValidationError, which vLLM puts into the message of its answer. */
export function faultsText(faults: Fault[]): string {
    const told = faults.map(
        ({ type, place, message, input }) =>
            `{'type': ${python(type)}, 'loc': (${place.map(python).join(", ")}${place.length === 1 ? "," : ""}), ` +
            `'msg': ${python(message)}, 'input': ${python(input)}}`,
    );
    const count = `${faults.length} validation error${faults.length === 1 ? "" : "s"}`;
    return `${count}:\n${told.map((one) => `  ${one}`).join("\n")}\n [${told.join(", ")}]`;
}

/** A JSON value as Python's `repr` writes it. */
export function python(value: unknown): string {
    if (value === null || value === undefined) return "None";
    if (typeof value === "boolean") return value ? "True" : "False";
    if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
    if (isObject(value)) {
        return `{${Object.entries(value).map(([name, one]) => `${python(name)}: ${python(one)}`).join(", ")}}`; // prettier-ignore
    }
    if (typeof value !== "string") return String(value as number);
    const escaped = JSON.stringify(value).slice(1, -1).replace(/\\"/g, '"');
    return escaped.includes("'") && !escaped.includes('"') ? `"${escaped}"` : `'${escaped.replace(/'/g, "\\'")}'`;
}
