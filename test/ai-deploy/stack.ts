import { stub } from "../../packages/ai-deploy/src/resources";
import { InitFailed, type Bag, type ProviderProcess } from "./provider-process";

/** A resource as the engine's checkpoint has it. */
interface Saved {
    id: string;
    inputs: Bag;
    outputs: Bag;
    /** Why it is not well, if so: the next up goes on with it. */
    initErrors: string[];
}

export interface UpOptions {
    /** Replace it whatever the provider says, as `pulumi up --replace` does: without asking for a diff. */
    replace?: boolean;
    /** The engine dies before it saves what the first call that writes came to. */
    crash?: boolean;
    /** What the program has besides: it comes before the engine deletes what it has replaced, and its failure prevents that. */
    before?: () => Promise<void>;
}

class Crash extends Error {}

let runs = 0;

/**
 * One resource in a stack, taken through the provider's methods in the order and with the arguments of the engine
 * (pulumi 3.259, `step_generator.go` and `step.go`). Each command is a run of its own, as with a process of its own.
 */
export class Stack {
    resource?: Saved;
    /** Older generations that a replacement still has to delete. */
    pending: Saved[] = [];
    /** A deletion before a replacement was saved, the creation after it was not. */
    private provider: string;

    constructor(
        private readonly process: ProviderProcess,
        private readonly kind: Parameters<typeof stub>[0] = "app",
        private readonly deleteBeforeReplace = true,
    ) {
        this.provider = stub(kind);
    }

    /** `pulumi up`: throws what failed; the state is as the engine would leave it. */
    async up(args: Bag, { replace = false, crash = false, before }: UpOptions = {}): Promise<void> {
        this.newRun();
        const news = this.bag(args);
        const old = this.resource;
        let inputs = await this.check(replace || !old ? {} : old.inputs, news);
        if (!old) {
            await this.create(inputs, crash);
        } else {
            const diff = replace
                ? { changes: true, replaces: ["id"] }
                : await this.process.diff(old.id, this.bag(old.outputs), inputs);
            if (diff.changes && diff.replaces.length > 0) {
                if (!replace) inputs = await this.check({}, news);
                if (this.deleteBeforeReplace) {
                    await this.delete(old, crash);
                    this.resource = undefined;
                    await this.create(inputs, crash);
                } else {
                    await this.create(inputs, crash, old);
                }
            } else if (diff.changes || old.initErrors.length > 0) {
                await this.update(old, inputs, crash);
            } else {
                old.inputs = inputs;
            }
        }
        await before?.();
        for (const one of [...this.pending]) {
            await this.delete(one, false);
            this.pending = this.pending.filter((other) => other !== one);
        }
    }

    /** What `pulumi preview` would say. */
    async preview(args: Bag): Promise<"create" | "same" | "update" | "replace"> {
        this.newRun();
        const inputs = await this.check(this.resource?.inputs ?? {}, this.bag(args));
        if (!this.resource) return "create";
        const { id, outputs, initErrors } = this.resource;
        const diff = await this.process.diff(id, this.bag(outputs), inputs);
        if (diff.changes && diff.replaces.length > 0) return "replace";
        return diff.changes || initErrors.length > 0 ? "update" : "same";
    }

    async refresh(): Promise<void> {
        this.newRun();
        const read = async (one: Saved): Promise<Saved | undefined> => {
            const { id, outs, inputs } = await this.process.read(one.id, this.bag(one.outputs));
            return id === "" ? undefined : { id, outputs: outs, inputs: inputs ?? one.inputs, initErrors: [] };
        };
        if (this.resource) this.resource = await read(this.resource);
        const pending = await Promise.all(this.pending.map(read));
        this.pending = pending.filter((one) => one !== undefined);
    }

    async destroy(): Promise<void> {
        this.newRun();
        for (const one of [...this.pending]) {
            await this.delete(one, false);
            this.pending = this.pending.filter((other) => other !== one);
        }
        if (this.resource) await this.delete(this.resource, false);
        this.resource = undefined;
    }

    private newRun(): void {
        // Another text is another provider to the process, which is then configured anew.
        this.provider = `${stub(this.kind)} // run ${++runs}`;
    }

    private bag(values: Bag): Bag {
        return { ...values, __provider: this.provider };
    }

    private async check(olds: Bag, news: Bag): Promise<Bag> {
        const { inputs, failures } = await this.process.check(this.bag(olds), news);
        if (failures.length > 0) throw new Error(failures.map((f) => `${f.property} ${f.reason}`).join("\n"));
        return inputs;
    }

    private async create(inputs: Bag, crash: boolean, old?: Saved): Promise<void> {
        const save = (id: string, outputs: Bag, initErrors: string[]): void => {
            if (crash) throw new Crash("the engine died before it saved");
            this.resource = { id, inputs, outputs, initErrors };
            if (old) this.pending.push(old);
        };
        try {
            const { id, outs } = await this.process.create(inputs);
            save(id, outs, []);
        } catch (error) {
            if (error instanceof InitFailed) save(error.id, error.properties, error.reasons);
            throw error;
        }
    }

    private async update(old: Saved, inputs: Bag, crash: boolean): Promise<void> {
        try {
            const outputs = await this.process.update(old.id, this.bag(old.outputs), inputs);
            if (crash) throw new Crash("the engine died before it saved");
            this.resource = { id: old.id, inputs, outputs, initErrors: [] };
        } catch (error) {
            if (error instanceof InitFailed && !crash) {
                this.resource = { ...old, outputs: error.properties, initErrors: error.reasons };
            }
            throw error;
        }
    }

    private async delete(one: Saved, crash: boolean): Promise<void> {
        await this.process.delete(one.id, this.bag(one.outputs));
        if (crash) throw new Crash("the engine died before it saved");
    }
}
