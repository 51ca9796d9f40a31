/** A value that the schema allows, as small as it may be; keywords other than these are not looked at. */
export function instance(schema: Record<string, unknown>): unknown {
    const list = (name: string): unknown[] => (Array.isArray(schema[name]) ? (schema[name] as unknown[]) : []);
    if ("const" in schema) return schema.const;
    if ("default" in schema) return schema.default;
    for (const name of ["enum", "examples"]) if (list(name).length > 0) return list(name)[0];
    for (const name of ["anyOf", "oneOf", "allOf"]) {
        if (list(name).length > 0) return instance(list(name)[0] as Record<string, unknown>);
    }
    const type = Array.isArray(schema.type) ? (schema.type as unknown[])[0] : schema.type;
    const properties = schema.properties as Record<string, Record<string, unknown>> | undefined;
    switch (type ?? (properties ? "object" : "string")) {
        case "object": {
            const required = list("required") as string[];
            const names = required.length > 0 ? required : Object.keys(properties ?? {});
            return Object.fromEntries(names.map((name) => [name, instance(properties?.[name] ?? {})]));
        }
        case "array":
            return Number(schema.minItems ?? 1) > 0 ? [instance((schema.items as Record<string, unknown>) ?? {})] : [];
        case "integer":
        case "number":
            return Number(schema.minimum ?? 1);
        case "boolean":
            return true;
        case "null":
            return null;
        default:
            return "simulated";
    }
}
