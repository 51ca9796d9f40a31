// A process of its own that runs tasks of one problem, one after the other.
import { evaluate, evaluateSchedule } from "./evaluate";
import type { Task } from "./pool";
import type { Problem } from "./problem";

let problem: Problem;
process.on("message", (message: Problem | Task) => {
    if ("profile" in message) problem = message;
    // With a callback it is no error that whoever asked has been killed meanwhile: "disconnect" ends this one then.
    else process.send!({ result: run(message) }, () => undefined);
});
process.on("disconnect", () => process.exit());

function run(task: Task) {
    const world = { ...problem, ...task.change };
    if ("replicas" in task) return evaluateSchedule(world, task.every, task.replicas);
    return evaluate(world, task.setting, task.limits, task.seed);
}
