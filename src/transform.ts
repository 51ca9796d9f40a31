import type * as pulumi from "@pulumi/pulumi";

/**
 * The last word on what one resource is made with, for what has no setting: values to lay over its arguments, or a
 * function that changes arguments and options in place. Nothing checks what it makes of them.
 */
export type Transform<Args> = Partial<Args> | ((args: Args, opts: pulumi.CustomResourceOptions, name: string) => void);

/** Name, arguments and options of a resource, as its constructor takes them, after the transform. */
export function transformed<Args extends object>(
    transform: Transform<Args> | undefined,
    name: string,
    args: Args,
    opts: pulumi.CustomResourceOptions,
): [string, Args, pulumi.CustomResourceOptions] {
    const own = [name, { ...args }, { ...opts }] as [string, Args, pulumi.CustomResourceOptions];
    if (typeof transform === "function") transform(own[1], own[2], name);
    else Object.assign(own[1], transform);
    return own;
}
