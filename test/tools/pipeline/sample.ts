/**
 * The sample of the comment in docs/examples, from what the real engine said:
 *
 *     node --import tsx test/tools/pipeline/sample.ts
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkout } from "../../../sandbox/layout";
import { costDifference } from "../../../tools/cost/difference";
import { previewComment } from "../../../tools/pipeline/comment";
import { costBy } from "../../prices/world";
import { recordedReport } from "./recordings";

export const sampleFile = join(checkout, "docs/examples/preview-comment.md");

/** One stack that a policy refuses, and one that gets another model, for which the first may have fewer replicas. */
export function sampleComment(): string {
    const cost = (models: object): string => costDifference(costBy({}), costBy({ models }));
    const another = { ministral: { replicas: { max: 2 } }, qwen: { model: "Qwen/Qwen3-8B" } };
    const dev = recordedReport("region", "dev", cost({ ministral: { region: "BHS" } }));
    const prod = recordedReport("another-model", "prod", cost(another));
    return `${previewComment([dev, prod])}\n`;
}

if (require.main === module) writeFileSync(sampleFile, sampleComment());
