/** What the pods of this project's own programs have in common: one file from a ConfigMap, run by Node, with no rights. */
import { buildSync } from "esbuild";

const programs = new Map<string, string>();

/**
 * A program in one file, as the image's Node runs it.
 * @param entryPoint path of its TypeScript
 */
export function programFile(entryPoint: string): string {
    let text = programs.get(entryPoint);
    if (text === undefined) {
        const options = { bundle: true, platform: "node", format: "cjs", target: "node22", write: false } as const;
        text = buildSync({ ...options, entryPoints: [entryPoint] }).outputFiles[0].text;
        programs.set(entryPoint, text);
    }
    return text;
}

/** Node 22.21.1 on Alpine 3.22, the multi-platform index. */
export const nodeImage =
    "node:22.21.1-alpine3.22@sha256:b2358485e3e33bc3a33114d2b1bdb18cdbe4df01bd2b257198eb51beb1f026c5";

export const containerSecurity = {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
};

export const podSecurity = {
    runAsNonRoot: true,
    runAsUser: 1000,
    runAsGroup: 1000,
    fsGroup: 1000,
    seccompProfile: { type: "RuntimeDefault" },
};

export const healthProbes = {
    readinessProbe: { httpGet: { path: "/healthz", port: "metrics" } },
    livenessProbe: { httpGet: { path: "/healthz", port: "metrics" }, periodSeconds: 30 },
};

export const smallResources = {
    requests: { cpu: "20m", memory: "96Mi" },
    limits: { cpu: "500m", memory: "256Mi" },
};
