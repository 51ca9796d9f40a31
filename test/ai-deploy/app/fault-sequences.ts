import fc from "fast-check";
import type { FaultRule } from "../../../sandbox/ovhcloud/faults";
import { appInputs } from "./inputs";
import type { TestCloud } from "../cloud";
import type { Bag, ProviderProcess } from "../provider-process";
import { Stack, type UpOptions } from "../stack";

/** One thing that a user, the platform or bad luck does, with what goes wrong meanwhile. */
export interface Step {
    action: "up" | "replace" | "refresh" | "destroy" | "delete outside" | "stop outside" | "take label off";
    /** What the program asks for from now on. */
    change: Bag;
    /** The engine dies before it saves what came of the first call that writes. */
    crash: boolean;
    faults: FaultRule[];
}

export interface Sequence {
    /** What the resource option of this name says. */
    deleteBeforeReplace: boolean;
    /** Whether the app waits by itself; else an `AppReady` follows it in each up. */
    waitUntilRunning: boolean;
    steps: Step[];
}

const operations: Pick<FaultRule, "method" | "path">[] = [
    { method: "GET", path: "/ai/app$" },
    { method: "GET", path: "/ai/app/[^/]+$" },
    { method: "GET", path: "/log$" },
    { method: "POST", path: "/ai/app$" },
    { method: "PUT", path: "/ai/app/[^/]+$" },
    { method: "PUT", path: "/label$" },
    { method: "PUT", path: "/scalingstrategy$" },
    { method: "PUT", path: "/start$" },
    { method: "PUT", path: "/stop$" },
    { method: "DELETE" },
    {},
];

const kinds: Omit<FaultRule, "method" | "path">[] = [
    { kind: "delay", delayMs: 15 },
    { kind: "drop" },
    { kind: "status", status: 429, retryAfter: 0.02 },
    { kind: "status", status: 500 },
    { kind: "status", status: 503 },
    { kind: "status", status: 404 },
    { kind: "commit-then-status", status: 502 },
    { kind: "commit-then-drop" },
    { kind: "commit-then-timeout" },
    { kind: "stale", staleMs: 15 },
];

const fault = fc
    .tuple(
        fc.constantFrom(...operations),
        fc.constantFrom(...kinds),
        // Some faults pass with the client's own retries, some outlast them.
        fc.constantFrom(1, 1, 1, 2, 3, 8, 30),
    )
    .map(([operation, kind, times]): FaultRule => ({
        ...operation,
        ...kind,
        // Each costs a request's time-out.
        times: kind.kind === "commit-then-timeout" ? 1 : times,
    }));

/** An app is made, nobody learns of it, and the lists do not show it yet. */
const unseenCreation: FaultRule[] = [
    { method: "POST", path: "/ai/app$", kind: "commit-then-drop", times: 1 },
    { method: "GET", path: "/ai/app$", kind: "stale", staleMs: 40, times: 20 },
];

const change = fc.oneof(
    { weight: 3, arbitrary: fc.constant<Bag>({}) },
    fc.constantFrom<Bag>({ image: "vllm/vllm-openai:v0.13.0" }, { image: "vllm/vllm-openai:v0.13.1" }),
    fc.constantFrom<Bag>({ envVars: { A: "1" } }, { envVars: { A: "2", B: "1" } }),
    fc.constantFrom<Bag>({ labels: { group: "test" } }, { labels: { group: "other", team: "ml" } }),
    fc.constantFrom<Bag>({ scalingStrategy: { fixed: { replicas: 2 } } }, { scalingStrategy: undefined }),
    fc.constantFrom<Bag>({ region: "BHS" }, { region: "GRA" }),
    fc.constantFrom<Bag>({ readinessProbe: undefined }, { readinessProbe: { path: "/health" } }),
    fc.constantFrom<Bag>({ desiredState: "STOPPED" }, { desiredState: "RUNNING" }),
);

const step: fc.Arbitrary<Step> = fc.record({
    action: fc.oneof(
        { weight: 8, arbitrary: fc.constant<Step["action"]>("up") },
        { weight: 2, arbitrary: fc.constantFrom<Step["action"]>("refresh", "destroy") },
        fc.constantFrom<Step["action"]>("replace", "delete outside", "stop outside", "take label off"),
    ),
    change,
    crash: fc.oneof({ weight: 7, arbitrary: fc.constant(false) }, fc.constant(true)),
    faults: fc.oneof(
        { weight: 4, arbitrary: fc.constant<FaultRule[]>([]) },
        { weight: 4, arbitrary: fc.array(fault, { minLength: 1, maxLength: 3 }) },
        { weight: 1, arbitrary: fc.constant(unseenCreation) },
    ),
});

export const sequence: fc.Arbitrary<Sequence> = fc.record({
    deleteBeforeReplace: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.constant(false)),
    waitUntilRunning: fc.boolean(),
    steps: fc.array(step, { minLength: 2, maxLength: 6 }),
});

let labels = 0;

/** What the platform has under a label. */
interface Live {
    id: string;
    state: string;
    spec: Bag;
}

/**
 * Runs one sequence and then, without faults, an up, another up and a destroy. Throws when a promise is broken:
 * at most one app per resource, no app that nobody knows, no state emptied by a read that failed, no write with effect
 * twice, after an up the app is as asked for, after a destroy nothing is billed.
 */
export async function runSequence(
    { deleteBeforeReplace, waitUntilRunning, steps }: Sequence,
    cloud: TestCloud,
    provider: ProviderProcess,
) {
    const label = `sequence-${++labels}`;
    const stack = new Stack(provider, "app", deleteBeforeReplace);
    const ready = new Stack(provider, "appReady", false);
    let wanted = appInputs({ adoptionLabel: label, ...(waitUntilRunning ? {} : { waitUntilRunning }) });
    /** An up of the app and, where it does not wait by itself, of the wait for it, as a program has them. */
    const up = async (options: UpOptions = {}): Promise<void> => {
        const awaited = (): Promise<void> => {
            const { appId, revision } = stack.resource!.outputs;
            return ready.up({ appId, revision });
        };
        const waits = !waitUntilRunning && wanted.desiredState !== "STOPPED";
        await stack.up(wanted, { ...options, ...(waits ? { before: awaited } : {}) });
    };
    /** A run was killed before its first save: no state says that there is anything to destroy, until the next up. */
    let unknownToState = false;
    /** What is there may not be as the state has it, and no command without faults came since. */
    let tampered = false;

    const alive = (): Live[] => cloud.labelled(label);
    const expectThat = (holds: boolean, what: string): void => {
        if (!holds) throw new Error(`${what}\n${JSON.stringify({ alive: alive(), state: stack.resource })}`);
    };
    /** More replicas may still be on their way: an `up` that changes their number alone does not wait for them. */
    const serves = ({ id, state }: Live): boolean => {
        const { availableReplicas } = cloud.api.status().apps.find((one) => one.id === id)!;
        return state === "RUNNING" || (state === "SCALING" && availableReplicas >= 1);
    };
    const expectAsWanted = (): void => {
        const [app, ...more] = alive();
        expectThat(app !== undefined && more.length === 0, "after an up there is exactly one app");
        expectThat(stack.resource?.outputs.appId === app.id, "the state names the app that there is");
        if (wanted.desiredState === "STOPPED") expectThat(app.state === "STOPPED", "the app is stopped");
        else expectThat(serves(app), "the app serves");
        const { spec } = app;
        const is = {
            image: spec.image,
            region: spec.region,
            env: Object.fromEntries((spec.envVars as Bag[]).map(({ name, value }) => [name, value])),
            labels: Object.fromEntries(
                Object.entries(spec.labels as Bag).filter(([name]) => !/^ovh|^pulumi/.test(name)),
            ),
            replicas: spec.scalingStrategy.fixed.replicas,
            probe: spec.probe?.path,
        };
        const asked = {
            image: wanted.image,
            region: wanted.region,
            env: wanted.envVars,
            labels: wanted.labels,
            replicas: wanted.scalingStrategy?.fixed.replicas ?? 1,
            probe: wanted.readinessProbe?.path,
        };
        expectThat(sorted(is) === sorted(asked), `the app is as asked for: ${sorted(is)} is not ${sorted(asked)}`);
    };

    for (const { action, change: wish, crash, faults: drawn } of steps) {
        wanted = { ...wanted, ...wish };
        const outside = ["delete outside", "stop outside", "take label off"].includes(action);
        // Faults are for Pulumi, not for the colleague.
        const faults = outside ? [] : drawn;
        const lagging = faults.some(({ kind }) => kind === "stale");
        const before = alive();
        const known = stack.resource?.outputs.appId as string | undefined;
        const since = cloud.mark();
        cloud.watch(label);
        for (const rule of faults) cloud.api.faults.add(rule);
        let failed: Error | undefined;
        try {
            if (action === "up" || action === "replace") {
                await up({ crash, replace: action === "replace" });
            } else if (action === "refresh") await stack.refresh();
            else if (action === "destroy") await stack.destroy();
            else for (const { id } of before) await cloud.outside(id, action);
        } catch (error) {
            failed = error as Error;
        }
        cloud.api.faults.clear();

        if (crash) tampered = true;
        // It may have got as far as deleting what the state still has.
        if (failed && known && !alive().some(({ id }) => id === known)) tampered = true;
        if (crash && !stack.resource && (action === "up" || action === "replace")) unknownToState = true;
        if (!failed && (action === "up" || action === "replace")) {
            unknownToState = false;
            if (faults.length === 0) tampered = false;
            // What was done outside may stay unseen while looks fail; the next up sees it.
            if (!tampered && !lagging) expectAsWanted();
        }
        // Here lists lag longer than an app takes to come up, which hides a second one from the look at the end.
        if (lagging || outside) tampered = true;
        if (action === "refresh" && known && !stack.resource) {
            expectThat(!alive().some(({ id }) => id === known), "a refresh drops only what is gone");
        }
        if (action === "destroy" && !failed && !unknownToState && !lagging) {
            expectThat(alive().length === 0, "after a destroy nothing is left");
        }
        // A list that lags, and a replacement that the user wants to overlap, may have two for a time.
        if (!lagging && deleteBeforeReplace) {
            expectThat(cloud.mostAlive() <= Math.max(1, before.length), "never more than one app");
        }
        if (!lagging) expectThat(twice(since()).length === 0, "no write twice with effect");
        if (failed && faults.length === 0 && !crash && !isExpected(failed)) throw failed;
    }

    await up();
    expectAsWanted();
    const since = cloud.mark();
    expectThat((await stack.preview(wanted)) === "same", "a preview after an up has no changes");
    await up();
    const writes = since().filter(({ method }) => method !== "GET");
    expectThat(writes.length === 0, `a second up writes nothing: ${JSON.stringify(writes)}`);
    await stack.refresh();
    expectThat((await stack.preview(wanted)) === "same", "a preview after a refresh has no changes");
    await stack.destroy();
    expectThat(alive().length === 0, "after a destroy nothing is left");
}

/** Writes that had an effect more than once in one command. An env or label may well be written, undone and rewritten. */
function twice(requests: { method: string; path: string; effect: boolean }[]): string[] {
    const effective = requests
        .filter(({ method, effect }) => method !== "GET" && effect)
        .map(({ method, path }) => `${method} ${path}`);
    return effective.filter((write, i) => !write.endsWith("/label") && effective.indexOf(write) !== i);
}

/** What a command may say even when nothing goes wrong: the app was tampered with before, and a later one mends it. */
function isExpected(error: Error): boolean {
    return /does not exist any more/.test(error.message);
}

function sorted(value: unknown): string {
    return JSON.stringify(value, (_key, inner: unknown) =>
        inner !== null && typeof inner === "object" && !Array.isArray(inner)
            ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
            : inner,
    );
}
