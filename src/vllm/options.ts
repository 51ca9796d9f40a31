import table from "./serve-options.json";

/** An option of vLLM's server as its parser has it. */
export interface ServeOption {
    /** As registered: for a switch that can be taken back, `--no-...` among them. */
    names: string[];
    /**
     * `size` is a number that may have a suffix (1k is 1000, 1K is 1024); `json` and `parsed-json` differ in what they say
     * of a fault; `object` is a JSON object with known fields.
     */
    type: "help" | "switch" | "text" | "int" | "float" | "size" | "json" | "parsed-json" | "json-or-text" | "object";
    /** "None" and "" stand for no value. */
    optional?: boolean;
    choices?: (string | number)[];
    /** `+`: one value or more; `?`: one or none. Default: one. */
    nargs?: "+" | "?";
    /** Of an `object`: its class, and the choices of each field, if it has any. */
    object?: string;
    fields?: Record<string, string[] | null>;
    /** The class of vLLM's configuration that it goes into, if that limits it, and its limits. */
    config?: string;
    limits?: OptionLimits;
}

/** At least, above, at most, below. */
export interface OptionLimits {
    ge?: number;
    gt?: number;
    le?: number;
    lt?: number;
}

/** Those of v0.13.0, written by its own parser (test/sandbox/vllm/recordings/command-line/record.py). */
export const serveOptions = table as ServeOption[];
