// One token, everything about it from stack config, so that a test changes one setting at a time.
import * as pulumi from "@pulumi/pulumi";
import { RandomId } from "@pulumi/random";
import { Token } from "pulumi-ovh-ai-deploy";

const config = new pulumi.Config();

const token = new Token("token", {
    name: "engine-test",
    region: config.get("region") ?? "GRA",
    role: "ai_training_read",
    labelSelector: `group=${config.get("group") ?? "engine-test"}`,
    rotation: config.get("rotation"),
    overlapSeconds: config.getNumber("overlapSeconds") ?? 3600,
    app: { adoptionLabel: new RandomId("adoption", { byteLength: 8 }).hex },
});

export const value = token.value;
