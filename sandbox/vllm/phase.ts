/** How far a replica is: through its boot, then serving, hanging or stalled by a fault, ending, ended. */
export type Phase =
    | "starting"
    | "downloading"
    | "loading"
    | "compiling"
    | "warming-up"
    | "serving"
    | "hanging"
    | "stalled"
    | "draining"
    | "ended";
