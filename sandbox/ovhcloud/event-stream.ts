import type { ServerResponse } from "node:http";
import type { SandboxStatus } from "./status";

/** Least time between two events, ms: what changes together is told together. */
const together = 100;
const most = 1000;

/** `GET /sandbox/events`: tells every listener the status, once per second and soon after each change. */
export class EventStream {
    private readonly listeners = new Set<ServerResponse>();
    private timer?: NodeJS.Timeout;
    private due = Infinity;

    constructor(private readonly status: () => SandboxStatus) {}

    open(answer: ServerResponse): void {
        answer.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
        answer.write(this.event());
        this.listeners.add(answer);
        answer.on("close", () => this.listeners.delete(answer));
        this.within(most);
    }

    changed(): void {
        if (this.listeners.size > 0) this.within(together);
    }

    close(): void {
        clearTimeout(this.timer);
        for (const answer of this.listeners) answer.end();
        this.listeners.clear();
    }

    private within(ms: number): void {
        const due = performance.now() + ms;
        if (this.timer && due >= this.due) return;
        clearTimeout(this.timer);
        this.due = due;
        this.timer = setTimeout(() => {
            this.timer = undefined;
            this.due = Infinity;
            if (this.listeners.size === 0) return;
            const event = this.event();
            // Who reads too slowly misses some: each is the whole status.
            for (const answer of this.listeners) if (!answer.writableNeedDrain) answer.write(event);
            this.within(most);
        }, ms).unref();
    }

    private event(): string {
        return `data: ${JSON.stringify(this.status())}\n\n`;
    }
}
