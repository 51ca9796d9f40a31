import { duration, styled } from "../../machine/terminal";

/** Takes a line. */
export type Say = (line: string) => void;

/** What the work of a phase tells of itself. */
export interface Phase {
    /** Notes a line in the log. */
    log: Say;
    /** Shows a line as what the phase is at. */
    show: Say;
    /** Both. */
    say: Say;
}

/** What has come of a phase. */
export interface Outcome<T> {
    value: T;
    /** In a few words, for the line that stays. */
    seen: string;
    /** Default: true. */
    ok?: boolean;
}

export interface PhasesOptions {
    /** Gets every line that a phase logs. */
    log: Say;
    out?: Pick<NodeJS.WriteStream, "write" | "isTTY" | "columns">;
}

/** Where there is no line to rewrite, what a long phase is at is printed this often. */
const plainPeriodMs = 15_000;
const plainWidth = 80;
const titleWidth = 16;
const timeWidth = 13;

/**
 * The phases of a command as a person watches them: one line each, with its time and what has come of it. On a terminal the
 * line lives while the phase does; elsewhere a phase that takes long gets a plain line now and then.
 */
export class Phases {
    private readonly log: Say;
    private readonly out: NonNullable<PhasesOptions["out"]>;
    private isLive = false;

    constructor({ log, out = process.stdout }: PhasesOptions) {
        this.log = log;
        this.out = out;
        // An end in the middle of a phase leaves no half line behind.
        process.on("exit", () => this.clear());
    }

    /** Runs one phase. Rejects as the work does. */
    async run<T>(title: string, work: (phase: Phase) => Promise<Outcome<T>>): Promise<T> {
        const started = performance.now();
        const time = (): string => duration(performance.now() - started);
        const isTerminal = this.out.isTTY;
        let at = "";
        const render = (): void => {
            if (isTerminal) this.live(title, time(), at);
            else if (at) this.plain(cut(`  ${title}, ${time()}: ${at}`, plainWidth));
        };
        this.log(`● ${title}`);
        if (isTerminal) render();
        const ticker = setInterval(render, isTerminal ? 500 : plainPeriodMs);
        const log: Say = (line) => this.log(`  ${line.trimEnd()}`);
        const show: Say = (line) => {
            at = line.trim();
            if (isTerminal) render();
        };
        const say: Say = (line) => {
            log(line);
            show(line);
        };
        const ended = (mark: string, seen: string): void => {
            clearInterval(ticker);
            this.clear();
            this.plain(
                `${mark} ${styled("bold", title.padEnd(titleWidth))} ${time().padStart(timeWidth)}  ${seen}`.trimEnd(),
            );
            this.log(`  ${title}: ${[time(), seen].filter(Boolean).join(", ")}`);
        };
        try {
            const { value, seen, ok = true } = await work({ log, show, say });
            ended(ok ? styled("green", "✓") : styled("red", "✗"), seen);
            return value;
        } catch (error) {
            ended(styled("red", "✗"), "");
            throw error;
        }
    }

    private live(title: string, time: string, at: string): void {
        const line = `◌ ${title.padEnd(titleWidth)} ${time.padStart(timeWidth)}  ${at}`;
        this.clear();
        this.out.write(cut(line, (this.out.columns ?? plainWidth) - 1));
        this.isLive = true;
    }

    private plain(line: string): void {
        this.out.write(line + "\n");
    }

    private clear(): void {
        if (this.isLive) this.out.write("\r\u001b[2K");
        this.isLive = false;
    }
}

function cut(line: string, width: number): string {
    return line.length > width ? line.slice(0, width - 1) + "…" : line;
}
