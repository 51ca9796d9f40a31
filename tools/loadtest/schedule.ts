/**
 * When each worker sends its first request, in seconds from the start: evenly spread over the ramp, the first at once.
 * After that a worker sends its next request when the last is answered (a closed loop: a slow model is asked less often).
 */
export function rampedStarts(workers: number, rampSeconds: number): number[] {
    return Array.from({ length: workers }, (_, worker) => (worker * rampSeconds) / workers);
}
