/** The engine's side of the plugin: Pulumi's resource provider protocol over the lifecycles of this package. */
import { readFileSync } from "fs";
import { join } from "path";
import { status, type sendUnaryData, type ServerUnaryCall, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import * as rpc from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { configureRun } from "../process/session";
import { endWaits } from "../waiting/cancellation";
import { workingOn } from "./engine-log";
import { pluginFolder, pluginName, version } from "./identity";
import { asServiceError, readProperties, writeProperties } from "./messages";
import { foreseen, resourceOf, type PluginResource } from "./resources";

function schema(): string {
    const text = readFileSync(join(pluginFolder, "schema.json"), "utf8");
    return JSON.stringify({ ...(JSON.parse(text) as object), version: version() });
}

/** `attach` is told the engine's address, where the plugin was started by somebody else. */
export function service(attach: (engine: string) => void): UntypedServiceImplementation {
    const { DIFF_SOME, DIFF_NONE } = rpc.DiffResponse.DiffChanges;
    return {
        getPluginInfo: method(() => new PluginInfo().setVersion(version())),
        getSchema: method(() => new rpc.GetSchemaResponse().setSchema(schema())),
        attach: method((request: { getAddress(): string }) => {
            attach(request.getAddress());
            return new Empty();
        }),
        configure: method((request: rpc.ConfigureRequest) => {
            const args = readProperties(request.getArgs());
            const get = (key: string): string | undefined =>
                args[key.slice(pluginName.length + 1)] as string | undefined;
            void configureRun({ config: { get } });
            return new rpc.ConfigureResponse().setSupportspreview(true);
        }),
        cancel: method(() => {
            endWaits();
            return new Empty();
        }),
        check: work(async (request: rpc.CheckRequest, { lifecycle, prepare, secrets }) => {
            const [olds, given] = [readProperties(request.getOlds()), readProperties(request.getNews())];
            const news = prepare?.(given, olds, request.getUrn()) ?? given;
            const { inputs, failures } = await lifecycle.check(olds, news);
            return new rpc.CheckResponse()
                .setInputs(writeProperties(inputs, secrets))
                .setFailuresList(failures.map(({ reason }) => new rpc.CheckFailure().setReason(reason)));
        }),
        diff: work(async (request: rpc.DiffRequest, { lifecycle, deleteBeforeReplace }) => {
            const [olds, news] = [readProperties(request.getOlds()), readProperties(request.getNews())];
            const { changes, replaces } = await lifecycle.diff(request.getId(), olds, news);
            return new rpc.DiffResponse()
                .setChanges(changes ? DIFF_SOME : DIFF_NONE)
                .setReplacesList(replaces)
                .setDeletebeforereplace(deleteBeforeReplace?.(news) ?? false);
        }),
        create: work(async (request: rpc.CreateRequest, resource) => {
            const inputs = readProperties(request.getProperties());
            const { lifecycle, secrets } = resource;
            if (request.getPreview()) {
                return new rpc.CreateResponse().setProperties(writeProperties(foreseen(resource, inputs), secrets));
            }
            const { id, outs } = await lifecycle.create(inputs);
            return new rpc.CreateResponse().setId(id).setProperties(writeProperties(outs, secrets));
        }),
        update: work(async (request: rpc.UpdateRequest, resource) => {
            const [olds, news] = [readProperties(request.getOlds()), readProperties(request.getNews())];
            const { lifecycle, secrets } = resource;
            const outs = request.getPreview()
                ? foreseen(resource, news, olds)
                : (await lifecycle.update(request.getId(), olds, news)).outs;
            return new rpc.UpdateResponse().setProperties(writeProperties(outs, secrets));
        }),
        read: work(async (request: rpc.ReadRequest, { lifecycle, secrets }) => {
            const { id, props, inputs } = await lifecycle.read(
                request.getId(),
                readProperties(request.getProperties()),
            );
            // Gone.
            if (!id || !props) return new rpc.ReadResponse();
            return new rpc.ReadResponse()
                .setId(id)
                .setProperties(writeProperties(props, secrets))
                .setInputs(writeProperties(inputs ?? readProperties(request.getInputs()), secrets));
        }),
        delete: work(async (request: rpc.DeleteRequest, { lifecycle }) => {
            await lifecycle.delete(request.getId(), readProperties(request.getProperties()));
            return new Empty();
        }),
    };
}

/** A method from a function; what that throws becomes the error of the answer. */
function method<Request, Response>(answer: (request: Request) => Response) {
    return ({ request }: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): void => {
        try {
            callback(null, answer(request));
        } catch (error) {
            callback({ code: status.UNKNOWN, details: (error as Error).message });
        }
    };
}

/** A method that is at work on one resource. */
function work<Request extends { getUrn(): string }, Response>(
    answer: (request: Request, resource: PluginResource) => Promise<Response>,
) {
    return ({ request }: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): void => {
        const urn = request.getUrn();
        let secrets: string[] = [];
        const answering = async (): Promise<Response> => {
            const resource = resourceOf(urn);
            ({ secrets } = resource);
            return await answer(request, resource);
        };
        workingOn(urn, answering).then(
            (response) => callback(null, response),
            (error: unknown) => callback(asServiceError(error, secrets)),
        );
    };
}
