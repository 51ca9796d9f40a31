import type { Input } from "@pulumi/pulumi";

/** The same shape with an Input at every place. */
export type Inputs<T> = T extends (infer U)[]
    ? Input<Inputs<U>[]>
    : T extends object
      ? Input<{ [K in keyof T]: Inputs<T[K]> }>
      : Input<T>;

/** What a resource takes. */
export type Args<T> = { [K in keyof T]: Inputs<T[K]> };
