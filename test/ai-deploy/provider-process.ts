import { credentials, type ServiceError } from "@grpc/grpc-js";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as messages from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { spawn, type ChildProcess } from "node:child_process";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";

export type Bag = Record<string, any>;

/** A creation or change that failed after the thing existed: what Pulumi saves of it. */
export class InitFailed extends Error {
    constructor(
        readonly id: string,
        readonly properties: Bag,
        readonly reasons: string[],
    ) {
        super(reasons.join("\n"));
    }
}

/** Pulumi's own provider process for Node, spoken to as the engine does. */
export interface ProviderProcess {
    check(olds: Bag, news: Bag): Promise<{ inputs: Bag; failures: { property: string; reason: string }[] }>;
    diff(
        id: string,
        olds: Bag,
        news: Bag,
    ): Promise<{ changes: boolean; replaces: string[]; deleteBeforeReplace: boolean }>;
    create(inputs: Bag): Promise<{ id: string; outs: Bag }>;
    /** No id: the thing is gone. */
    read(id: string, known: Bag): Promise<{ id: string; outs: Bag; inputs?: Bag }>;
    update(id: string, olds: Bag, news: Bag): Promise<Bag>;
    delete(id: string, known: Bag): Promise<void>;
    /** What the engine tells on the first Ctrl-C. */
    cancel(): Promise<void>;
    /** Everything that the process has printed. */
    output(): string;
    /** Takes its engine away, and waits for its end. */
    loseEngine(): Promise<void>;
    close(): Promise<void>;
}

/** `config`: the stack's config by full key, such as `ovh:endpoint`. */
export async function startProvider(env: Record<string, string>, config: Bag = {}): Promise<ProviderProcess> {
    const root = join(__dirname, "../..");
    // The provider ends when nobody listens where its engine should be.
    const engine = createServer();
    await new Promise<void>((resolve) => engine.listen(0, "127.0.0.1", resolve));
    const address = `127.0.0.1:${(engine.address() as AddressInfo).port}`;
    const child = spawn(process.execPath, [join(root, "node_modules/@pulumi/pulumi/cmd/dynamic-provider"), address], {
        cwd: root,
        env: {
            PATH: process.env.PATH,
            HOME: "/nonexistent",
            NODE_OPTIONS: process.env.NODE_OPTIONS,
            PULUMI_NODEJS_PROJECT: "test",
            ...env,
        },
    });
    let printed = "";
    for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => (printed += text));
    }
    const port = await portOf(child, () => printed);
    const client = new ResourceProviderClient(`127.0.0.1:${port}`, credentials.createInsecure(), {
        "grpc.max_receive_message_length": -1,
    });

    const configure = new messages.ConfigureRequest();
    configure.setArgs(struct(config));
    await call<messages.ConfigureResponse>((done) => client.configure(configure, done));

    return {
        async check(olds, news) {
            const request = new messages.CheckRequest();
            request.setOlds(struct(olds));
            request.setNews(struct(news));
            const answer = await call<messages.CheckResponse>((done) => client.check(request, done));
            const failures = answer
                .getFailuresList()
                .map((failure) => ({ property: failure.getProperty(), reason: failure.getReason() }));
            return { inputs: bag(answer.getInputs()), failures };
        },
        async diff(id, olds, news) {
            const request = new messages.DiffRequest();
            request.setId(id);
            request.setOlds(struct(olds));
            request.setNews(struct(news));
            const answer = await call<messages.DiffResponse>((done) => client.diff(request, done));
            return {
                changes: answer.getChanges() === messages.DiffResponse.DiffChanges.DIFF_SOME,
                replaces: answer.getReplacesList(),
                deleteBeforeReplace: answer.getDeletebeforereplace(),
            };
        },
        async create(inputs) {
            const request = new messages.CreateRequest();
            request.setProperties(struct(inputs));
            const answer = await call<messages.CreateResponse>((done) => client.create(request, done));
            return { id: answer.getId(), outs: bag(answer.getProperties()) };
        },
        async read(id, known) {
            const request = new messages.ReadRequest();
            request.setId(id);
            request.setProperties(struct(known));
            const answer = await call<messages.ReadResponse>((done) => client.read(request, done));
            const inputs = answer.hasInputs() ? bag(answer.getInputs()) : undefined;
            return { id: answer.getId(), outs: bag(answer.getProperties()), inputs };
        },
        async update(id, olds, news) {
            const request = new messages.UpdateRequest();
            request.setId(id);
            request.setOlds(struct(olds));
            request.setNews(struct(news));
            return bag((await call<messages.UpdateResponse>((done) => client.update(request, done))).getProperties());
        },
        async delete(id, known) {
            const request = new messages.DeleteRequest();
            request.setId(id);
            request.setProperties(struct(known));
            await call((done) => client.delete(request, done));
        },
        async cancel() {
            await call((done) => client.cancel(new Empty(), done));
        },
        output: () => printed,
        async loseEngine() {
            client.close();
            engine.close();
            if (child.exitCode === null) await new Promise((resolve) => child.once("close", resolve));
        },
        async close() {
            client.close();
            engine.close();
            const ended = new Promise((resolve) => child.once("close", resolve));
            child.kill();
            await ended;
        },
    };
}

/** The first line that the process prints is its port. */
function portOf(child: ChildProcess, printed: () => string): Promise<string> {
    return new Promise((resolve, reject) => {
        child.once("close", () => reject(new Error(`the provider process ended: ${printed()}`)));
        child.stdout!.on("data", () => {
            const port = /^(\d+)\n/.exec(printed())?.[1];
            if (port) resolve(port);
        });
    });
}

function call<T>(send: (done: (error: ServiceError | null, answer: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
        send((error, answer) => {
            if (!error) return resolve(answer);
            const [details] = error.metadata?.get("grpc-status-details-bin") ?? [];
            if (!details) return reject(new Error(error.details));
            const status = Status.deserializeBinary(details as Buffer);
            const failed = messages.ErrorResourceInitFailed.deserializeBinary(
                status.getDetailsList()[0].getValue_asU8(),
            );
            return reject(new InitFailed(failed.getId(), bag(failed.getProperties()), failed.getReasonsList()));
        });
    });
}

function struct(value: Bag): Struct {
    // As it travels: without undefined.
    return Struct.fromJavaScript(JSON.parse(JSON.stringify(value)) as Bag);
}

function bag(value: Struct | undefined): Bag {
    return value?.toJavaScript() ?? {};
}
