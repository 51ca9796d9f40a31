import Ajv, { type ValidateFunction } from "ajv";
import structure from "./ai-deploy.structure.json";
import { badRequest } from "./api-error";
import { entry } from "../../packages/ai-deploy/src/values/json";

/** The published structure of OVHcloud's API, turned into checks of each request and each answer. */

interface Operation {
    method: string;
    template: string;
    /** What an identity must be allowed, such as `publicCloudProject:apiovh:ai/app/get`. */
    actions: string[];
    pattern: RegExp;
    parameters: string[];
    query: Record<string, ValidateFunction>;
    body?: { required: boolean; validate: ValidateFunction };
    answer?: ValidateFunction;
}

export interface Route {
    /** `/cloud/project/{serviceName}/ai/app/{appId}` */
    template: string;
    /** Values of the path parameters, decoded. */
    path: Record<string, string>;
    operation: Operation;
}

type Schema = Record<string, any>;

/** OpenAPI 3.0 to JSON Schema: `nullable` becomes a union, and an object with named properties allows no others. */
function toJsonSchema(schema: Schema): Schema {
    const { nullable, ...rest } = schema;
    const out: Schema = {};
    for (const [key, value] of Object.entries(rest)) {
        if (key === "properties") {
            out.properties = Object.fromEntries(
                Object.entries(value as Schema).map(([name, s]) => [name, toJsonSchema(s as Schema)]),
            );
            out.additionalProperties ??= false;
        } else if (key === "items" || (key === "additionalProperties" && typeof value === "object")) {
            out[key] = toJsonSchema(value as Schema);
        } else if (key === "allOf" || key === "anyOf" || key === "oneOf") {
            out[key] = (value as Schema[]).map(toJsonSchema);
        } else if (key === "$ref") {
            out.$ref = `api${value}`;
        } else {
            out[key] = value;
        }
    }
    return nullable ? { anyOf: [out, { type: "null" }] } : out;
}

const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
ajv.addSchema({
    $id: "api",
    components: {
        schemas: Object.fromEntries(
            Object.entries(structure.components.schemas).map(([name, schema]) => [name, toJsonSchema(schema)]),
        ),
    },
});
// Query values arrive as text, so they are read as the type that the structure names.
const queryAjv = new Ajv({ strict: false, coerceTypes: "array", validateFormats: false });
queryAjv.addSchema(ajv.getSchema("api")!.schema);

function readOperations(): Operation[] {
    return Object.entries(structure.paths as Record<string, Record<string, Schema>>).flatMap(([template, methods]) =>
        Object.entries(methods).map(([method, operation]) => {
            const parameters = [...template.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
            const body = operation.requestBody?.content?.["application/json"]?.schema as Schema | undefined;
            const answer = operation.responses?.["200"]?.content?.["application/json"]?.schema as Schema | undefined;
            const inQuery = ((operation.parameters ?? []) as Schema[]).filter((parameter) => parameter.in === "query");
            return {
                method: method.toUpperCase(),
                template,
                actions: ((operation["x-iam-actions"] ?? []) as { name: string }[]).map(({ name }) => name),
                pattern: new RegExp(`^${template.replace(/\{\w+\}/g, "([^/]+)")}$`),
                parameters,
                query: Object.fromEntries(
                    inQuery.map(({ name, schema }) => [
                        name,
                        queryAjv.compile({ type: "object", properties: { value: toJsonSchema(schema as Schema) } }),
                    ]),
                ),
                body: body && {
                    required: operation.requestBody.required === true,
                    validate: ajv.compile(toJsonSchema(body)),
                },
                answer: answer && ajv.compile(toJsonSchema(answer)),
            };
        }),
    );
}

const operations = readOperations();

/** The operation of the published API that a call means; `undefined` when there is none. Throws an ApiError 400. */
export function route(method: string, path: string): Route | undefined {
    for (const operation of operations) {
        const match = operation.method === method ? operation.pattern.exec(path) : null;
        if (match) {
            const values = operation.parameters.map((name, i) => [name, decoded(match[i + 1])]);
            return {
                template: operation.template,
                path: Object.fromEntries(values) as Record<string, string>,
                operation,
            };
        }
    }
    return undefined;
}

function decoded(text: string): string {
    try {
        return decodeURIComponent(text);
    } catch {
        throw badRequest(`${text} in the path is not percent-encoded UTF-8`);
    }
}

/** What in a request is not as the structure says, one line each. */
export function requestFaults(route: Route, query: URLSearchParams, body: unknown): string[] {
    const { operation } = route;
    const faults: string[] = [];
    for (const name of new Set(query.keys())) {
        const validate = entry(operation.query, name);
        const values = query.getAll(name);
        if (!validate) faults.push(`unknown query parameter ${name}`);
        else if (!validate({ value: values.length > 1 ? values : values[0] })) {
            faults.push(...describe(`query ${name}`, validate));
        }
    }
    if (body === undefined) {
        if (operation.body?.required) faults.push("body is missing");
    } else if (!operation.body) {
        faults.push("this operation takes no body");
    } else if (!operation.body.validate(body)) {
        faults.push(...describe("body", operation.body.validate));
    }
    return faults;
}

/** What in a successful answer is not as the structure says. */
export function answerFaults(route: Route, answer: unknown): string[] {
    const { operation } = route;
    if (!operation.answer) {
        return answer === undefined || answer === null ? [] : ["this operation answers without a body"];
    }
    return operation.answer(answer) ? [] : describe("answer", operation.answer);
}

/** Ajv's complaints without the values, which may be secret. */
function describe(where: string, validate: ValidateFunction): string[] {
    return (validate.errors ?? []).map(({ instancePath, message, params }) => {
        const extra = (params as { additionalProperty?: string }).additionalProperty;
        return `${where}${instancePath} ${message ?? "is wrong"}${extra ? `: ${extra}` : ""}`;
    });
}
