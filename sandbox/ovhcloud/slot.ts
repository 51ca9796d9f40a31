import type { Duplex } from "node:stream";
import type { Replica } from "../vllm/replica";
import type { Backend } from "./gateway";
import type { FaultStatus, ReplicaStatus } from "./status";

/** The place of one replica in its app, from the wait for a GPU until its container has ended. */
export class Slot implements Backend {
    readonly startedAt = new Date().toISOString();
    /** Undefined as long as it waits for a GPU, for its image, or for a crashed one before it. */
    replica?: Replica;
    waitsFor: "pending" | "pulling" = "pending";
    ready = false;
    wasReady = false;
    stopping = false;
    /** Being stopped, which the gateway does not know yet. */
    isStillRouted = false;
    /** Its container has ended. */
    ended = false;
    requests = 0;

    /**
     * @param crashes how often a container in this place has crashed
     * @param httpPort the app's
     */
    constructor(
        readonly index: number,
        readonly generation: number,
        public crashes: number,
        private readonly httpPort: () => number,
    ) {}

    /** Whether it is ready, and to stay. */
    get serves(): boolean {
        return this.ready && !this.stopping;
    }

    /** Whether the gateway sends it requests. */
    get isRouted(): boolean {
        return this.serves || this.isStillRouted;
    }

    get listens(): boolean {
        return this.portOf(this.httpPort()) > 0;
    }

    /** Where on 127.0.0.1 this port of the container is; 0 when nothing listens on it. */
    portOf(containerPort: number): number {
        const { port = 0, containerPort: own } = this.replica ?? {};
        return own === containerPort ? port : 0;
    }

    connect(): Duplex {
        return this.replica!.connect();
    }

    /** Whether a fault of its app is one of this replica. What makes a replica get stuck is over for one that starts later. */
    concerns({ kind, replica, beginsAt }: FaultStatus): boolean {
        if (this.stopping || (replica ?? this.index) !== this.index) return false;
        return !["hang", "stall"].includes(kind) || this.startedAt <= beginsAt;
    }

    status(): ReplicaStatus {
        const { index, ready, startedAt, replica, requests } = this;
        const load = replica?.load ?? { running: 0, waiting: 0, kvUsage: 0 };
        const phase = replica?.phase ?? this.waitsFor;
        return {
            index,
            phase: this.stopping && phase !== "ended" ? "draining" : phase,
            ready,
            startedAt,
            port: replica?.port ?? 0,
            ...load,
            requests,
        };
    }
}
