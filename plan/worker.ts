// A process of its own that runs settings of one problem, one after the other.
import { evaluate } from "./evaluate";
import type { Task } from "./pool";
import type { Problem } from "./problem";

let problem: Problem;
process.on("message", (message: Problem | Task) => {
    if ("profile" in message) problem = message;
    else process.send!({ result: evaluate(problem, message.setting, message.limits, message.seed) });
});
process.on("disconnect", () => process.exit());
// Ctrl-C in the terminal reaches all; it is for the one that was asked, which has a report to make.
process.on("SIGINT", () => undefined);
