import type { Input } from "@pulumi/pulumi";
import { containerSecurity, podSecurity } from "../monitoring/pod";
import { frontDoorJobName, type Relabeling, type ScrapeJob } from "../monitoring/scrape-jobs";
import type { FrontDoorSettings } from "../settings";
import { bootstrapFile, doorMemory, doorPort, filesFolder, metricsPort, secretsFolder, unlimited } from "./envoy";

/**
 * Envoy 1.40.0 without a shell. By its tag alone: no registry of images could be asked for the digest where this was written.
 */
export const envoyImage = "envoyproxy/envoy:distroless-v1.40.0";

/** Label `app` of all front doors' objects. */
export const doorApp = "vllm-front-door";

/** Name of the Deployment, Service, ConfigMap and Secret of a model's front door. */
export function doorName(model: string): string {
    return `${doorApp}-${model}`;
}

export function doorLabels(model: string) {
    return { app: doorApp, model };
}

/**
 * Seconds that a door that is replaced goes on with what it has. Not more: a namespace that is deleted waits for its pods before
 * it gives back load balancers and volumes, and `ClusterContents` waits five minutes for all of that.
 */
const lingerSeconds = 60;

/** Seconds for which a connection may be silent: while it is held, and while the engine thinks. */
function silentSeconds({ holdSeconds }: FrontDoorSettings): number {
    return holdSeconds + 600;
}

/** @param bootstrapChecksum changes with what Envoy reads once; it watches all else */
export function doorDeployment<Text extends Input<string>>(
    model: string,
    settings: FrontDoorSettings,
    bootstrapChecksum: Text,
) {
    const labels = doorLabels(model);
    const memory = doorMemory(settings);
    const container = {
        name: "envoy",
        image: envoyImage,
        command: ["envoy"],
        args: [
            // Apart: Envoy takes no `=`.
            ...["--config-path", `${filesFolder}/${bootstrapFile}`],
            // Of no use where a pod takes the place of another one.
            "--disable-hot-restart",
            ...["--concurrency", "2"],
        ],
        ports: [
            { name: "door", containerPort: doorPort },
            { name: "metrics", containerPort: metricsPort },
        ],
        readinessProbe: { httpGet: { path: "/healthz", port: "metrics" }, periodSeconds: 5 },
        livenessProbe: { httpGet: { path: "/healthz", port: "metrics" }, periodSeconds: 30 },
        resources: {
            requests: { cpu: "50m", memory: "96Mi" },
            // A quarter above what Envoy is told, since it counts its heap alone.
            limits: { memory: `${Math.ceil(memory * 1.25)}Mi` },
        },
        securityContext: containerSecurity,
        // Told to end it would cut what runs. It gets no new connections meanwhile.
        lifecycle: { preStop: { sleep: { seconds: lingerSeconds } } },
        volumeMounts: [
            { name: "files", mountPath: filesFolder, readOnly: true },
            { name: "secrets", mountPath: secretsFolder, readOnly: true },
        ],
    };
    const soon = ["not-ready", "unreachable"].map((what) => ({
        key: `node.kubernetes.io/${what}`,
        operator: "Exists",
        effect: "NoExecute",
        tolerationSeconds: 30,
    }));
    return {
        // One: several would each have a queue and limits of its own.
        replicas: 1,
        strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        selector: { matchLabels: labels },
        template: {
            metadata: { labels, annotations: { "checksum/bootstrap": bootstrapChecksum } },
            spec: {
                automountServiceAccountToken: false,
                securityContext: podSecurity,
                terminationGracePeriodSeconds: lingerSeconds + 10,
                // A node that is lost is left after half a minute, not after five.
                tolerations: soon,
                containers: [container],
                volumes: [
                    { name: "files", configMap: { name: doorName(model) } },
                    // Readable to the group, which is the container's.
                    { name: "secrets", secret: { secretName: doorName(model), defaultMode: 0o440 } },
                ],
            },
        },
    };
}

/**
 * Name of the Service that clients come in by. With a kept address it is another one, so that it stands before the one of before
 * goes: a load balancer that has an address takes no other.
 */
export function doorEntrance(model: string, { keepAddress }: FrontDoorSettings): string {
    return keepAddress ? `${doorName(model)}-kept` : doorName(model);
}

/** Where clients come in: port 443 with a certificate, else 80. */
export function doorService(model: string, settings: FrontDoorSettings) {
    const { access, allowedSources, certificate } = settings;
    const ports = [{ name: "door", port: certificate ? 443 : 80, targetPort: "door" }];
    const selector = doorLabels(model);
    if (access === "internal") return { type: "ClusterIP", selector, ports };
    return { type: "LoadBalancer", loadBalancerSourceRanges: allowedSources, selector, ports };
}

/** OVHcloud's load balancer would cut a request that waits after 50 s. Milliseconds. */
export function balancerAnnotations(settings: FrontDoorSettings): Record<string, string> {
    if (settings.access === "internal") return {};
    const silence = String(silentSeconds(settings) * 1000);
    return Object.fromEntries(
        ["client-data", "member-data"].map((side) => [`loadbalancer.openstack.org/timeout-${side}`, silence]),
    );
}

/** Name of the Service that Prometheus alone asks: the other one may be public. */
export function doorMetricsName(model: string): string {
    return `vllm-door-metrics-${model}`;
}

export function doorMetricsService(model: string) {
    return { selector: doorLabels(model), ports: [{ name: "metrics", port: metricsPort, targetPort: "metrics" }] };
}

/** @param address host and port */
export function doorJob(
    model: string,
    address: string,
    { interval, timeout }: { interval: string; timeout: string },
): ScrapeJob {
    return {
        jobName: frontDoorJobName,
        scheme: "HTTP",
        metricsPath: "/metrics",
        scrapeInterval: interval,
        scrapeTimeout: timeout,
        staticConfigs: [{ targets: [address], labels: { service: doorApp, model } }],
        metricRelabelings: [
            // Of the filter where it limits nobody.
            { sourceLabels: [limitLabel], regex: unlimited, action: "drop" },
            named("consumer", ["envoy_route", limitLabel]),
            named("code", ["envoy_response_code"]),
            { regex: `envoy_(route|virtual_host|response_code|cluster_name)|${limitLabel}`, action: "labeldrop" },
        ],
    };
}

const limitLabel = "envoy_local_http_ratelimit_prefix";

/** A label under the name that people ask for, of whichever of these Envoy gives. */
function named(targetLabel: string, sourceLabels: string[]): Relabeling {
    return { sourceLabels, separator: "", regex: "(.+)", targetLabel, action: "replace" };
}
