import type { ScalingRule } from "../sandbox/ovhcloud/autoscaler";
import type { Aggregation } from "../sandbox/ovhcloud/status";
import type { EngineConfig } from "../sandbox/vllm/engine";
import type { Histogram } from "./histogram";
import type { ScheduleEntry } from "./schedule";

/** What the autoscaler reads of each replica. */
export type Signal = "vllm:num_requests_running" | "vllm:num_requests_waiting" | "vllm:kv_cache_usage_perc";

/** One number for the whole app, as a relay would compute it: of what serves, and of how many replicas there are to be. */
export type RelaySignal = (serving: readonly { running: number; waiting: number }[], wanted: number) => number;

/** How many replicas there are to be. */
export type Scaling =
    | ({
          metric: Signal | RelaySignal;
          target: number;
          aggregation: Aggregation;
          /** Hours with another least and most; in all others those of the rule hold. */
          schedule?: readonly ScheduleEntry[];
      } & ScalingRule)
    /** By a list: so many from the beginning of each interval on. Knows no boot, each is there when it is asked for. */
    | { every: number; replicas: readonly number[] };

/** What one replica is, and what the platform does. Times are seconds. */
export interface World {
    engine: Pick<EngineConfig, "maxNumSeqs" | "maxNumBatchedTokens" | "blockSize" | "numBlocks" | "step">;
    prefixCaching: boolean;
    /** Tokens of prompt and answer beyond which vLLM refuses a request. Default: what fits into the KV cache. */
    maxModelLen?: number;
    /** Added by the API server to each request. */
    requestOverhead: number;
    /** From the decision to the first request: queue, image, weights, compilation, probes. Log-normal. */
    boot: { median: number; spread: number };
    /** Chance that no GPU is free when one is asked for, and how long until the next try. */
    noGpu: { chance: number; retry: number };
    /** Between two looks of the autoscaler. Default: Kubernetes' own, 15. */
    lookEvery?: number;
    /** What a replica that is to go has to answer what it has; what is left then is lost. 0: all at once, without `drain`. */
    drainSeconds: number;
    /** Requests that come while there is no replica, of which the first wakes one: refused, or held until it serves. */
    asleep: "refused" | "held";
    scaling: Scaling;
}

/** What users can count on: `models.NAME.targets`. */
export interface Targets {
    timeToFirstToken: number;
    interTokenLatency: number;
}

/** Some minutes of a run. */
export interface Interval {
    /** Requests that came. */
    requests: number;
    /** Replicas that the autoscaler wanted, and those that served, at its end. */
    wanted: number;
    serving: number;
    /** Seconds to the first token, of the requests answered in it; absent when there were none. */
    firstTokenP95?: number;
}

export interface Outcome {
    /** Was given up, at a limit: the figures are of the time until then. */
    givenUp: boolean;
    requests: number;
    /** Answered, with the first token and the mean time between tokens in time. */
    within: number;
    /** Came when no replica served, and were not held. */
    refused: number;
    /** Cut off by a scale-down: not answered in the seconds of the drain. */
    lost: number;
    /** Longer than the KV cache or the context: refused by vLLM. Not among `requests`. */
    tooLong: number;
    /** Times that a request came while there was no replica and none under way. */
    wakeUps: number;
    preemptions: number;
    /** Billed: from the moment a replica has its GPU. */
    replicaSeconds: number;
    busySeconds: number;
    firstToken: Histogram;
    interToken: Histogram;
    intervals: Interval[];
}

/** Where a run may end early, as it cannot be of interest any more. */
export interface Limits {
    /** Requests that were late or failed. */
    late: number;
    replicaSeconds: number;
}
