import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readEvents, type Events } from "../../../tools/pipeline/events";
import { reportOf, type Report } from "../../../tools/pipeline/report";

/** What the real engine said of a change of the sandbox's stack; made by record.ts. */
export function recordedEvents(name: string): Events {
    return readEvents(readFileSync(join(__dirname, "recordings", `${name}.jsonl`), "utf8"));
}

export function recordedReport(name: string, stack = "dev", cost?: string): Report {
    return reportOf(recordedEvents(name), { stack, policiesRun: true, cost });
}
