import type { Input } from "@pulumi/pulumi";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { containerSecurity, healthProbes, nodeImage, podSecurity, programFile, smallResources } from "../pod";
import { tokenKey, tokenSecretName } from "../scrape-jobs";
import type { RelayConfig } from "./relay";

/** Label `app` of all relays' objects. */
export const relayApp = "vllm-relay";
export const relayPort = 9400;

/** Name of the Deployment, Service and ConfigMap of a model's relay. */
export function relayName(model: string): string {
    return `${relayApp}-${model}`;
}

export function relayLabels(model: string) {
    return { app: relayApp, model };
}

/** Files of the ConfigMap. */
export const scriptFile = "relay.cjs";
export const configFile = "config.json";

/** Name of the Secret with what a model's state is read with, and its key there. */
export function appReaderSecretName(model: string): string {
    return `${relayApp}-app-reader-${model}`;
}
export const appReaderKeyFile = "key";

/** The relay's program. */
export function relayScript(): string {
    return programFile(join(__dirname, "relay.ts"));
}

/** Content of the ConfigMap. */
export function relayFiles(config: RelayConfig): Record<string, string> {
    return { [scriptFile]: relayScript(), [configFile]: JSON.stringify(config, undefined, 2) };
}

/** Changes with the files: the relay reads them once, so that new ones need a new pod. */
export function checksum(files: Record<string, string>): string {
    return createHash("sha256").update(JSON.stringify(files)).digest("hex");
}

const folder = `/etc/${relayApp}`;

/**
 * @param filesChecksum changes with what the relay reads once
 * @param sleeps whether the model may sleep, so that its state is read
 */
export function relayDeployment<Text extends Input<string>>(model: string, filesChecksum: Text, sleeps: boolean) {
    const labels = relayLabels(model);
    // Readable to the group, which is the container's.
    const ofSecret = (secretName: string) => ({ secret: { secretName, defaultMode: 0o440 } });
    const container = {
        name: "relay",
        image: nodeImage,
        command: ["node", "--max-old-space-size=96", `${folder}/files/${scriptFile}`],
        args: [
            `--config=${folder}/files/${configFile}`,
            `--token-file=${folder}/token/${tokenKey}`,
            ...(sleeps ? [`--key-file=${folder}/key/${appReaderKeyFile}`] : []),
            `--listen=0.0.0.0:${relayPort}`,
        ],
        ports: [{ name: "metrics", containerPort: relayPort }],
        ...healthProbes,
        resources: smallResources,
        securityContext: containerSecurity,
        volumeMounts: [
            { name: "files", mountPath: `${folder}/files`, readOnly: true },
            { name: "token", mountPath: `${folder}/token`, readOnly: true },
            ...(sleeps ? [{ name: "key", mountPath: `${folder}/key`, readOnly: true }] : []),
        ],
    };
    return {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
            metadata: { labels, annotations: { "checksum/files": filesChecksum } },
            spec: {
                automountServiceAccountToken: false,
                securityContext: podSecurity,
                containers: [container],
                volumes: [
                    { name: "files", configMap: { name: relayName(model) } },
                    { name: "token", ...ofSecret(tokenSecretName(model)) },
                    ...(sleeps ? [{ name: "key", ...ofSecret(appReaderSecretName(model)) }] : []),
                ],
            },
        },
    };
}

export function relayService(model: string) {
    return { selector: relayLabels(model), ports: [{ name: "metrics", port: relayPort, targetPort: "metrics" }] };
}
