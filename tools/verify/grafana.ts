import { CoreV1Api, NetworkingV1Api, type KubeConfig } from "@kubernetes/client-node";
import { grafanaBalancer, grafanaService } from "../../src/monitoring/chart-values";
import type { MonitoringSettings } from "../../src/settings";
import { caution, expect } from "./check";

export type GrafanaAccess = MonitoringSettings["grafana"]["access"];

/** How Grafana is reached, by `monitoring.grafana.access`, in the namespace of the monitoring. `look` says what it saw and throws when that was not promised. */
export const grafanaPromises: Record<
    GrafanaAccess,
    { promise: string; look: (kubernetes: KubeConfig, grafanaUrl: string, namespace: string) => Promise<string> }
> = {
    loadBalancer: {
        promise: "Grafana is open to the named sources only",
        look: async (kubernetes, grafanaUrl, namespace) => {
            const [service, ...others] = await grafanaLoadBalancers(kubernetes, namespace);
            const sources = service?.spec?.loadBalancerSourceRanges ?? [];
            const address = service?.status?.loadBalancer?.ingress?.[0]?.ip;
            expect(address && others.length === 0, "no LoadBalancer address, or several");
            expect(sources.length > 0, "no source ranges: open to all");
            expect(grafanaUrl.startsWith(`http://${address}/`), `grafanaUrl is ${grafanaUrl}`);
            cautionOpen(sources);
            return `${address}:80 from ${sources.join(", ")}`;
        },
    },
    ingress: {
        promise: "Grafana is open by https through the ingress only",
        look: async (kubernetes, grafanaUrl, namespace) => {
            const { items } = await kubernetes.makeApiClient(NetworkingV1Api).listNamespacedIngress({ namespace });
            const { hostname, protocol } = new URL(grafanaUrl);
            const ingress = items.find(({ spec }) => spec?.rules?.some(({ host }) => host === hostname));
            expect(ingress && protocol === "https:", `no ingress for grafanaUrl, ${grafanaUrl}`);
            expect(
                ingress.spec?.tls?.some(({ hosts, secretName }) => secretName && hosts?.includes(hostname)),
                `the ingress has no certificate for ${hostname}`,
            );
            const sources = ingress.metadata?.annotations?.["nginx.ingress.kubernetes.io/whitelist-source-range"];
            expect(sources, "the ingress names no sources: open to all");
            await expectNoLoadBalancer(kubernetes, namespace);
            cautionOpen(sources.split(","));
            return `${hostname} by class ${ingress.spec?.ingressClassName} from ${sources}`;
        },
    },
    internal: {
        promise: "Grafana is reached from inside the cluster only",
        look: async (kubernetes, grafanaUrl, namespace) => {
            await expectNoLoadBalancer(kubernetes, namespace);
            expect(grafanaUrl.startsWith("http://localhost:"), `grafanaUrl is ${grafanaUrl}`);
            return "no load balancer; kubectl port-forward as in the output grafanaPortForward";
        },
    },
};

/** Somebody may have wanted it so. */
function cautionOpen(sources: string[]): void {
    const fix = "name who may: pulumi config set --path 'monitoring.grafana.allowedSources[0]' ADDRESS/32";
    caution(!sources.some((source) => source.trim().endsWith("/0")), `open to all: ${sources.join(", ")}`, fix);
}

/** The load balancers that lead to Grafana: the stack's own, and the chart's Service if it was made one. */
async function grafanaLoadBalancers(kubernetes: KubeConfig, namespace: string) {
    const { items } = await kubernetes.makeApiClient(CoreV1Api).listNamespacedService({ namespace });
    const names = [grafanaBalancer(false), grafanaBalancer(true), grafanaService];
    return items.filter(({ spec, metadata }) => spec?.type === "LoadBalancer" && names.includes(metadata!.name!));
}

async function expectNoLoadBalancer(kubernetes: KubeConfig, namespace: string): Promise<void> {
    const names = (await grafanaLoadBalancers(kubernetes, namespace)).map(({ metadata }) => metadata?.name);
    expect(names.length === 0, `there is a load balancer: ${names.join(", ")}`);
}
