import {
    controllerRules,
    modelRules,
    spendRules,
    stackRules,
    type RuleGroup,
    type WatchedModel,
} from "../../src/monitoring/rules";

/** The reference architecture: up to three replicas, each of them seen by the relay. */
export const relayed: WatchedModel = {
    name: "ministral",
    app: "11111111-2222-4333-8444-555555555555",
    region: "GRA",
    image: "vllm/vllm-openai:v0.13.0",
    replicas: { min: 1, max: 3 },
    scaling: { metric: "vllm:num_requests_running", target: 50, aggregation: "AVERAGE" },
    maxNumSeqs: 1024,
    targets: { timeToFirstToken: 1, interTokenLatency: 0.05, withinTargets: 0.95, errorBudget: 0.01 },
    replicaPrice: 2,
    desiredState: "RUNNING",
    relayed: true,
};

/** Several replicas behind one address, as the guide scrapes them. */
export const direct: WatchedModel = { ...relayed, name: "direct", relayed: false };

/** One replica, which needs no relay; scaled on something else, of which there is no price. */
export const single: WatchedModel = {
    ...relayed,
    name: "single",
    replicas: { min: 1, max: 1 },
    scaling: { metric: "vllm:num_requests_waiting", target: 5, aggregation: "SUM" },
    replicaPrice: undefined,
    relayed: false,
};

/** One that sleeps when nobody asks. */
export const sleeper: WatchedModel = { ...relayed, name: "sleeper", replicas: { min: 0, max: 3 } };

/** One that the controller keeps, until a lease ends, with a limit of spend. */
export const kept: WatchedModel = { ...relayed, name: "kept", controlled: { lease: true } };

/** One that clients reach by a front door. */
export const doored: WatchedModel = { ...relayed, name: "doored", frontDoor: true };

/** One that sleeps and has a front door. */
export const dooredSleeper: WatchedModel = { ...sleeper, name: "doored-sleeper", frontDoor: true };

/** One that sleeps, until a lease ends. */
export const keptSleeper: WatchedModel = { ...sleeper, name: "kept-sleeper", controlled: { lease: true } };

/** All rules of a stack of these models, as Prometheus works on them. */
export function allRules(models: WatchedModel[], runbooks = "docs/operations"): RuleGroup[] {
    return [
        ...models.map((model) => modelRules(model, runbooks)),
        ...(models.some(({ controlled }) => controlled) ? [controllerRules("stop", runbooks)] : []),
        stackRules(runbooks),
        // Of two replicas of the one that has a price, all the time.
        spendRules({ eurosPerMonth: 4000, fixedPrice: 0.5 }, runbooks),
    ];
}
