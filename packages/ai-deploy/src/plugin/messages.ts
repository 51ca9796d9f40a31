/** Between Pulumi's messages and plain values. */
import { Metadata, status, type ServiceError } from "@grpc/grpc-js";
import { ErrorResourceInitFailed } from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { Any } from "google-protobuf/google/protobuf/any_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { isMap } from "../values/json";

export type Properties = Record<string, unknown>;

/** What marks a value as secret between plugin and engine. */
const secretMark = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" };
const [[markKey, markValue]] = Object.entries(secretMark);

/** The values of a message, secrets in clear. A null, such as Python's None, is nothing. */
export function readProperties(message: Struct | undefined): Properties {
    return laidOpen(message?.toJavaScript() ?? {}) as Properties;
}

function laidOpen(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(laidOpen);
    if (!isMap(value)) return value;
    if (value[markKey] === markValue) return laidOpen(value.value);
    const given = Object.entries(value).filter(([, inner]) => inner !== null);
    return Object.fromEntries(given.map(([name, inner]) => [name, laidOpen(inner)]));
}

/** A message of values, those of these names marked as secret. What is undefined is left out. */
export function writeProperties(properties: object, secrets: string[]): Struct {
    const marked = Object.entries(properties).map(([name, value]) => [
        name,
        secrets.includes(name) && value !== undefined ? { ...secretMark, value: value as unknown } : (value as unknown),
    ]);
    return Struct.fromJavaScript(JSON.parse(JSON.stringify(Object.fromEntries(marked))) as Record<string, string>);
}

/** What a method of the provider throws for something that exists, but is not well. */
interface Failure extends Error {
    id?: string;
    properties?: object;
    reasons?: string[];
}

/** An error as the engine takes it; of what exists all the same, with its id and its state. */
export function asServiceError(error: unknown, secrets: string[]): Partial<ServiceError> {
    const { message, id, properties, reasons } = error as Failure;
    const plain = { code: status.UNKNOWN, details: message };
    if (id === undefined) return plain;
    const detail = new Any();
    const failed = new ErrorResourceInitFailed()
        .setId(id)
        .setProperties(writeProperties(properties ?? {}, secrets))
        .setReasonsList(reasons ?? [message]);
    detail.pack(failed.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
    const metadata = new Metadata();
    const answer = new Status().setCode(status.UNKNOWN).setMessage(message).setDetailsList([detail]);
    metadata.add("grpc-status-details-bin", Buffer.from(answer.serializeBinary()));
    return { ...plain, metadata };
}
