// `npm run cost`: what does the stack cost, and what has it cost?
import { styled } from "../../machine/terminal";
import { runCost } from "./run";

runCost(process.argv.slice(2)).then(
    (code) => process.exit(code),
    (error: Error) => {
        console.error(styled("red", `error: ${error.message}`));
        process.exit(2);
    },
);
