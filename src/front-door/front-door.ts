import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { X509Certificate } from "node:crypto";
import type { Cluster } from "../cluster/cluster";
import { unawaited } from "../cluster/kept-address";
import type { Monitoring } from "../monitoring/monitoring";
import { checksum } from "../monitoring/relay/manifests";
import { frontDoorJobName } from "../monitoring/scrape-jobs";
import type { FrontDoorSettings, MonitoringSettings } from "../settings";
import { transformed, type Transform } from "../transform";
import { bootstrapFile, doorFiles, doorSecrets, metricsPort } from "./envoy";
import {
    balancerAnnotations,
    doorDeployment,
    doorEntrance,
    doorJob,
    doorLabels,
    doorMetricsName,
    doorMetricsService,
    doorName,
    doorService,
} from "./manifests";

export interface FrontDoorTransforms {
    deployment?: Transform<k8s.apps.v1.DeploymentArgs>;
    /** Where clients come in. */
    service?: Transform<k8s.core.v1.ServiceArgs>;
}

export interface FrontDoorArgs {
    /** Name of the model in the stack. */
    model: string;
    settings: FrontDoorSettings;
    /** Address of the app as the platform gives it. */
    url: pulumi.Input<string>;
    /** Opens the app. */
    token: pulumi.Input<string>;
    /** `clientKeys` of the settings, by consumer. */
    clientKeys: pulumi.Input<Record<string, string>>;
    /** `frontDoorTlsKey` of the settings, where there is a certificate. */
    tlsKey?: pulumi.Input<string>;
    scrape: Pick<MonitoringSettings, "scrapeInterval" | "scrapeTimeout">;
    monitoring: Monitoring;
    cluster: Cluster;
    transform?: FrontDoorTransforms;
}

/** An Envoy in the cluster that clients of one model come to: one address, which waits while the model is away. */
export class FrontDoor extends pulumi.ComponentResource {
    /** What OpenAI clients take as `base_url`; undefined while the load balancer has no address. */
    readonly openAiBaseUrl: pulumi.Output<string | undefined>;
    private readonly child: pulumi.CustomResourceOptions;

    constructor(
        private readonly name: string,
        private readonly args: FrontDoorArgs,
        opts?: pulumi.ComponentResourceOptions,
    ) {
        const { cluster, model, settings, transform = {} } = args;
        super("ovhcloud-llm-serving:front-door:FrontDoor", name, {}, { ...opts, providers: [cluster.provider] });
        this.child = cluster.inside(this);

        const data = pulumi.output(args.url).apply((url) => doorFiles({ url, ...this.config() }));
        const files = new k8s.core.v1.ConfigMap(name, { metadata: this.metadata(), data }, this.child);
        const stringData = pulumi.secret(this.secrets().apply(doorSecrets));
        const secret = new k8s.core.v1.Secret(name, { metadata: this.metadata(), stringData }, this.child);
        const readOnce = data.apply((known) => checksum({ [bootstrapFile]: known[bootstrapFile] }));
        const deployment = { metadata: this.metadata(), spec: doorDeployment(model, settings, readOnce) };
        // It does not start without what it mounts.
        const mounting = { ...this.child, dependsOn: [files, secret] };
        new k8s.apps.v1.Deployment(...transformed(transform.deployment, name, deployment, mounting));
        const kept = settings.keepAddress ? cluster.keepAddress(name) : undefined;
        const annotations = { ...balancerAnnotations(settings), ...(kept && unawaited) };
        const service = {
            metadata: { ...this.metadata(doorEntrance(model, settings)), annotations },
            spec: { ...doorService(model, settings), ...(kept && { loadBalancerIP: kept }) },
        };
        const serviceName = kept ? `${name}-kept` : name;
        const entrance = new k8s.core.v1.Service(...transformed(transform.service, serviceName, service, this.child));
        this.openAiBaseUrl = this.address(entrance, kept).apply((address) => address && `${address}/v1`);
        this.watch();
        this.registerOutputs({ openAiBaseUrl: this.openAiBaseUrl });
    }

    /** One each: a transform may change it in place. */
    private metadata(name = doorName(this.args.model)) {
        return { name, namespace: this.args.monitoring.namespace, labels: doorLabels(this.args.model) };
    }

    private config() {
        const { holdSeconds, maxWaiting, certificate } = this.args.settings;
        return { holdSeconds, maxWaiting, tls: certificate !== undefined };
    }

    private secrets() {
        const { settings, token, clientKeys, tlsKey } = this.args;
        const { clients, requestsPerMinute, certificate, holdSeconds } = settings;
        return pulumi.all([token, clientKeys, tlsKey]).apply(([opens, keys, key]) => ({
            clients: Object.fromEntries(
                clients.map((one) => [one, { key: keys[one], requestsPerMinute: requestsPerMinute[one] }]),
            ),
            token: opens,
            tls: certificate !== undefined && key !== undefined ? { certificate, key } : undefined,
            holdSeconds,
        }));
    }

    /** Scheme and host as clients reach it: the name in its certificate, else the address. */
    private address(
        service: k8s.core.v1.Service,
        kept: pulumi.Output<string> | undefined,
    ): pulumi.Output<string | undefined> {
        const { model, settings, monitoring } = this.args;
        const scheme = settings.certificate ? "https" : "http";
        const named = settings.certificate && hostOf(settings.certificate);
        if (named) return pulumi.output(`${scheme}://${named}`);
        if (settings.access === "internal") {
            return pulumi.interpolate`${scheme}://${doorName(model)}.${monitoring.namespace}.svc`;
        }
        if (kept) return kept.apply((host) => `${scheme}://${host}`);
        return service.status.apply((status) => {
            // Typed as always there, but absent until the cloud has made the load balancer.
            const [address] = (status as typeof status | undefined)?.loadBalancer?.ingress ?? [];
            const host: string | undefined = address?.ip ?? address?.hostname;
            return host && `${scheme}://${host}`;
        });
    }

    /** The job of Envoy's metrics, and the Service that it asks. */
    private watch(): void {
        const { model, scrape, monitoring } = this.args;
        const service = { metadata: this.metadata(doorMetricsName(model)), spec: doorMetricsService(model) };
        new k8s.core.v1.Service(`${this.name}-metrics`, service, this.child);
        const address = pulumi.interpolate`${doorMetricsName(model)}.${monitoring.namespace}.svc:${metricsPort}`;
        const times = { interval: scrape.scrapeInterval, timeout: scrape.scrapeTimeout };
        new k8s.apiextensions.CustomResource(
            `${this.name}-job`,
            {
                apiVersion: "monitoring.coreos.com/v1alpha1",
                kind: "ScrapeConfig",
                metadata: { name: `${frontDoorJobName}-${model}`, namespace: monitoring.namespace },
                spec: address.apply((host) => doorJob(model, host, times)),
            },
            { ...this.child, dependsOn: monitoring.release },
        );
    }
}

/** The first name of a certificate that is one host's. */
function hostOf(pem: string): string | undefined {
    const names = new X509Certificate(pem).subjectAltName?.split(", ") ?? [];
    return names.find((name) => /^DNS:[^*]+$/.test(name))?.slice("DNS:".length);
}
