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
import { ministral } from "../../settings/config";
import { recordedReport } from "./recordings";

export const sampleFile = join(checkout, "docs/examples/preview-comment.md");

/** One stack that a policy refuses, and one whose model gets another image and may have more replicas. */
export function sampleComment(): string {
    const cost = (changes: Record<string, unknown>): string => costDifference(costBy({}), costBy(ministral(changes)));
    const image = "vllm/vllm-openai:v0.33.0";
    const dev = recordedReport("region", "dev", cost({ region: "BHS" }));
    const prod = recordedReport("image-and-replicas", "prod", cost({ image, replicas: { max: 5 } }));
    return `${previewComment([dev, prod])}\n`;
}

if (require.main === module) writeFileSync(sampleFile, sampleComment());
