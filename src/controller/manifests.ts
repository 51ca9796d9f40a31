import type { Input } from "@pulumi/pulumi";
import { join } from "node:path";
import { releaseName } from "../monitoring/chart-values";
import {
    containerSecurity,
    healthProbes,
    nodeImage,
    podSecurity,
    programFile,
    smallResources,
} from "../monitoring/pod";
import type { ControllerConfig } from "./controller";

/** Name of the Deployment, Service, ConfigMap and Secret, and label `app` of them. */
export const controllerApp = "vllm-controller";
export const controllerPort = 9400;
export const controllerLabels = { app: controllerApp };

/** Where Prometheus is, for a pod of its namespace: by the chart's Service. */
export const prometheusUrl = `http://${releaseName}-prometheus:9090`;

/** Files of the ConfigMap. */
export const scriptFile = "controller.cjs";
export const configFile = "config.json";
/** Key of the Secret: the OAuth2 client as JSON. */
export const credentialKey = "credential";

/** Content of the ConfigMap. */
export function controllerFiles(config: ControllerConfig): Record<string, string> {
    return {
        [scriptFile]: programFile(join(__dirname, "controller.ts")),
        [configFile]: JSON.stringify(config, undefined, 2),
    };
}

const folder = `/etc/${controllerApp}`;

/** @param filesChecksum changes with what the controller reads once */
export function controllerDeployment<Text extends Input<string>>(filesChecksum: Text) {
    const container = {
        name: "controller",
        image: nodeImage,
        command: ["node", "--max-old-space-size=96", `${folder}/files/${scriptFile}`],
        args: [
            `--config=${folder}/files/${configFile}`,
            `--credential-file=${folder}/credential/${credentialKey}`,
            `--listen=0.0.0.0:${controllerPort}`,
        ],
        ports: [{ name: "metrics", containerPort: controllerPort }],
        ...healthProbes,
        resources: smallResources,
        securityContext: containerSecurity,
        volumeMounts: [
            { name: "files", mountPath: `${folder}/files`, readOnly: true },
            { name: "credential", mountPath: `${folder}/credential`, readOnly: true },
        ],
    };
    return {
        replicas: 1,
        // Two at a time, of which one has the settings of before, would be at odds for a moment.
        strategy: { type: "Recreate" },
        selector: { matchLabels: controllerLabels },
        template: {
            metadata: { labels: controllerLabels, annotations: { "checksum/files": filesChecksum } },
            spec: {
                automountServiceAccountToken: false,
                securityContext: podSecurity,
                containers: [container],
                volumes: [
                    { name: "files", configMap: { name: controllerApp } },
                    // Readable to the group, which is the container's.
                    { name: "credential", secret: { secretName: controllerApp, defaultMode: 0o440 } },
                ],
            },
        },
    };
}

export const controllerService = {
    selector: controllerLabels,
    ports: [{ name: "metrics", port: controllerPort, targetPort: "metrics" }],
};

/** What the controller's credential may do with apps, by the names of OVHcloud's policies. It can make, change and delete nothing. */
export function controllerActions(needs: { stops: boolean; starts: boolean }): string[] {
    return ["get", "scalingstrategy/edit", ...(needs.stops ? ["stop"] : []), ...(needs.starts ? ["start"] : [])];
}
