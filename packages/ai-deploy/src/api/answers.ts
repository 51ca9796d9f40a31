/**
 * What the API's answers must hold for this package to work with them, by call: the part of the published structure that
 * it reads. Checked where answers come in, so that what lies behind can rely on its types.
 */
import { uuid } from "../errors/request-errors";

/** What is wrong with a value, beginning with where; `undefined`: nothing. */
type Shape = (value: unknown, at: string) => string | undefined;

const primitive =
    (what: string, fits: (value: unknown) => boolean): Shape =>
    (value, at) =>
        fits(value) ? undefined : `${at || "it"} is not ${what}`;

const text = primitive("a text", (value) => typeof value === "string");
const number = primitive("a number", (value) => typeof value === "number");
const flag = primitive("true or false", (value) => typeof value === "boolean");
/** Ids become parts of paths, so nothing else passes for one. */
const id = primitive("an id (a UUID)", (value) => typeof value === "string" && uuid.test(value));

/** Absent and null mean the same in the API. */
const maybe =
    (shape: Shape): Shape =>
    (value, at) =>
        value === undefined || value === null ? undefined : shape(value, at);

const list =
    (shape: Shape): Shape =>
    (value, at) =>
        Array.isArray(value)
            ? firstOf(value.map((entry, i) => shape(entry, `${at}[${i}]`)))
            : `${at || "it"} is not a list`;

const map =
    (shape: Shape): Shape =>
    (value, at) =>
        isObject(value)
            ? firstOf(Object.entries(value).map(([key, entry]) => shape(entry, `${at}.${key}`)))
            : `${at || "it"} is not an object`;

/** An object with at least these fields. */
const object =
    (fields: Record<string, Shape>): Shape =>
    (value, at) =>
        isObject(value)
            ? firstOf(Object.entries(fields).map(([key, shape]) => shape(value[key], at ? `${at}.${key}` : key)))
            : `${at || "it"} is not an object`;

function isObject(value: unknown): value is Record<string, unknown> {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

function firstOf(faults: (string | undefined)[]): string | undefined {
    return faults.find((fault) => fault !== undefined);
}

const info = maybe(object({ code: maybe(text), message: maybe(text) }));

const dataSync = object({
    id,
    spec: object({ direction: text, volume: maybe(text) }),
    status: object({ state: text, info }),
});

const app = object({
    id,
    createdAt: maybe(text),
    spec: object({
        name: text,
        region: text,
        image: text,
        command: maybe(list(text)),
        defaultHttpPort: maybe(number),
        grpcPort: maybe(number),
        labels: maybe(map(text)),
        unsecureHttp: maybe(flag),
        envVars: maybe(list(object({ name: text, value: maybe(text) }))),
        volumes: maybe(list(object({ mountPath: text }))),
        livenessProbe: maybe(object({})),
        probe: maybe(object({})),
        resources: object({ flavor: maybe(text), gpu: maybe(number), cpu: maybe(number), flavorCount: maybe(number) }),
        scalingStrategy: maybe(object({ fixed: maybe(object({})), automatic: maybe(object({})) })),
        deploymentStrategy: maybe(object({})),
        partnerId: maybe(text),
    }),
    status: object({
        state: maybe(text),
        availableReplicas: maybe(number),
        url: maybe(text),
        monitoringUrl: maybe(text),
        lastTransitionDate: maybe(text),
        info,
        dataSync: maybe(list(dataSync)),
    }),
});

const token = object({
    id,
    spec: object({ name: text, region: text, role: text, labelSelector: maybe(text) }),
    status: object({ value: maybe(text), version: number }),
});

const flavor = object({ id: text, type: text, max: number });

/** By call, `ID` and `REGION` standing for any. What is not named here is not read. */
const answers: Record<string, Shape> = {
    "GET /ai/app": list(app),
    "POST /ai/app": app,
    "GET /ai/app/ID": app,
    "GET /ai/app/ID/log": object({ logs: list(object({ content: text })) }),
    "POST /ai/app/ID/datasync": object({ id }),
    "GET /ai/token": list(token),
    "POST /ai/token": token,
    "GET /ai/token/ID": token,
    "POST /ai/token/ID/renew": token,
    "GET /ai/authorization": object({ authorized: flag }),
    "GET /ai/capabilities/region": list(object({ id: text })),
    "GET /ai/capabilities/region/REGION/flavor": list(flavor),
    "GET /ai/capabilities/quota": object({ resources: map(number), storage: number }),
};

const patterns = Object.entries(answers).map(([call, shape]) => ({
    pattern: new RegExp(`^${call.replace(/ID|REGION/, "[^/]+")}$`),
    shape,
}));

/** What is wrong with the answer to an operation such as `GET /ai/app/ID`; `undefined`: nothing that is read. */
export function answerFault(operation: string, body: unknown): string | undefined {
    return patterns.find(({ pattern }) => pattern.test(operation))?.shape(body, "");
}
