import type { Input } from "@pulumi/pulumi";
import { transformSync } from "esbuild";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
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

/** Node 22.21.1 on Alpine 3.22, the multi-platform index. */
export const nodeImage =
    "node:22.21.1-alpine3.22@sha256:b2358485e3e33bc3a33114d2b1bdb18cdbe4df01bd2b257198eb51beb1f026c5";

/** A file of the relay as Node runs it: without its types. */
function script(file: string): string {
    const source = readFileSync(join(__dirname, file), "utf8");
    return transformSync(source, { loader: "ts", format: "cjs", platform: "node", target: "es2022" }).code;
}

/** The relay's program, by file. */
export function relayScripts(): Record<string, string> {
    // The second is found by require, which adds .js and not .cjs.
    return { [scriptFile]: script("relay.ts"), "completion-probe.js": script("completion-probe.ts") };
}

/** Content of the ConfigMap. */
export function relayFiles(config: RelayConfig): Record<string, string> {
    return { ...relayScripts(), [configFile]: JSON.stringify(config, undefined, 2) };
}

/** Changes with the files: the relay reads them once, so that new ones need a new pod. */
export function checksum(files: Record<string, string>): string {
    return createHash("sha256").update(JSON.stringify(files)).digest("hex");
}

const folder = `/etc/${relayApp}`;

/** @param filesChecksum changes with what the relay reads once */
export function relayDeployment<Text extends Input<string>>(model: string, filesChecksum: Text) {
    const labels = relayLabels(model);
    const container = {
        name: "relay",
        image: nodeImage,
        command: ["node", "--max-old-space-size=96", `${folder}/files/${scriptFile}`],
        args: [
            `--config=${folder}/files/${configFile}`,
            `--token-file=${folder}/token/${tokenKey}`,
            `--listen=0.0.0.0:${relayPort}`,
        ],
        ports: [{ name: "metrics", containerPort: relayPort }],
        readinessProbe: { httpGet: { path: "/healthz", port: "metrics" } },
        livenessProbe: { httpGet: { path: "/healthz", port: "metrics" }, periodSeconds: 30 },
        resources: {
            requests: { cpu: "20m", memory: "96Mi" },
            limits: { cpu: "500m", memory: "256Mi" },
        },
        securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
        },
        volumeMounts: [
            { name: "files", mountPath: `${folder}/files`, readOnly: true },
            { name: "token", mountPath: `${folder}/token`, readOnly: true },
        ],
    };
    return {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
            metadata: { labels, annotations: { "checksum/files": filesChecksum } },
            spec: {
                automountServiceAccountToken: false,
                securityContext: {
                    runAsNonRoot: true,
                    runAsUser: 1000,
                    runAsGroup: 1000,
                    fsGroup: 1000,
                    seccompProfile: { type: "RuntimeDefault" },
                },
                containers: [container],
                volumes: [
                    { name: "files", configMap: { name: relayName(model) } },
                    // Readable to the group, which is the container's.
                    { name: "token", secret: { secretName: tokenSecretName(model), defaultMode: 0o440 } },
                ],
            },
        },
    };
}

export function relayService(model: string) {
    return { selector: relayLabels(model), ports: [{ name: "metrics", port: relayPort, targetPort: "metrics" }] };
}
