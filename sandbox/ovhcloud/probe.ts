import type { Clock, Timers } from "./clock";
import { fetchText } from "./local-http";
import type { Slot } from "./slot";

/** A readiness or liveness probe, complete. */
export interface ProbeSpec {
    path: string;
    port: number;
    initialDelaySeconds: number;
    periodSeconds: number;
    timeoutSeconds: number;
    failureThreshold: number;
    successThreshold: number;
}

/** The probe with the defaults that the API's documentation gives; fields that are null are absent. */
export function completeProbe(given: { [K in keyof ProbeSpec]?: ProbeSpec[K] | null }, httpPort: number): ProbeSpec {
    const defaults = {
        path: "/",
        port: httpPort,
        initialDelaySeconds: 0,
        periodSeconds: 10,
        timeoutSeconds: 1,
        failureThreshold: 3,
        successThreshold: 1,
    };
    return { ...defaults, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null)) };
}

/** At a high speed or with many replicas, probes come later rather than take all of this machine. */
const mostPerRealSecond = 200;

/** What it takes to probe one replica. */
export interface Probing {
    clock: Clock;
    timers: Timers;
    /** Probes that run at the same time as this one, itself included. */
    probes: () => number;
    /** Is told how many looks in a row have failed or succeeded, once per look. */
    looked: (failures: number, successes: number) => void;
}

/** Probes a replica until it is stopped or has ended. */
export function probe(slot: Slot, spec: ProbeSpec, { clock, timers, probes, looked }: Probing): void {
    let failures = 0;
    let successes = 0;
    const look = async (): Promise<void> => {
        if (slot.stopping || slot.ended) return;
        const ok = await answers(slot.portOf(spec.port), spec.path, spec.timeoutSeconds * 1000);
        failures = ok ? 0 : failures + 1;
        successes = ok ? successes + 1 : 0;
        if (slot.stopping || slot.ended) return;
        looked(failures, successes);
        const leastMs = (1000 * probes()) / mostPerRealSecond;
        timers.afterReal(Math.max(clock.realMs(spec.periodSeconds), leastMs), () => void look());
    };
    timers.after(spec.initialDelaySeconds, () => void look());
}

async function answers(port: number, path: string, timeoutMs: number): Promise<boolean> {
    try {
        await fetchText(port, path, timeoutMs);
        return true;
    } catch {
        return false;
    }
}
