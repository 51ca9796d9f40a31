import type { iam, me } from "@ovhcloud/pulumi-ovh";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Cluster } from "../cluster/cluster";
import type { Monitoring } from "../monitoring/monitoring";
import { checksum } from "../monitoring/relay/manifests";
import { controllerRules } from "../monitoring/rules";
import { controllerJob, controllerJobName } from "../monitoring/scrape-jobs";
import type { LimitsSettings, MonitoringSettings } from "../settings";
import { apiAddresses, serviceAccount } from "../service-account";
import { transformed, type Transform } from "../transform";
import type { ControllerConfig } from "./controller";
import type { KeptModel } from "./keep";
import type { UnitPrice } from "./unowned";
import {
    controllerActions,
    controllerApp,
    controllerDeployment,
    controllerFiles,
    controllerLabels,
    controllerPort,
    controllerService,
    credentialKey,
    prometheusUrl,
} from "./manifests";

export interface ModelControllerTransforms {
    controllerClient?: Transform<me.APIOAuth2ClientArgs>;
    controllerPolicy?: Transform<iam.PolicyArgs>;
    controllerDeployment?: Transform<k8s.apps.v1.DeploymentArgs>;
}

/** A model that is kept, as far as it is known while the program runs. */
export type ControlledModel = { [Key in keyof KeptModel]: pulumi.Input<KeptModel[Key]> };

export interface ModelControllerArgs {
    models: ControlledModel[];
    /** Whether any of them has a lease. */
    leases: boolean;
    limits: LimitsSettings;
    projectId: string;
    /** What GPUs cost, as far as the stack knows. */
    unitPrices: pulumi.Input<UnitPrice[]>;
    /** An OAuth2 client that is there; without it one is made. */
    clientId?: string;
    clientSecret?: pulumi.Input<string>;
    settings: MonitoringSettings;
    /** Address under which the runbooks are found, without a slash at the end. */
    runbooks: string;
    monitoring: Monitoring;
    cluster: Cluster;
    transform?: ModelControllerTransforms;
}

/** Seconds between two looks at a model's app. */
const period = 30;

/** The program in the cluster that carries out schedules, leases and the limit of spend, and as whom it asks OVHcloud. */
export class ModelController extends pulumi.ComponentResource {
    constructor(
        private readonly name: string,
        private readonly args: ModelControllerArgs,
        opts?: pulumi.ComponentResourceOptions,
    ) {
        const { cluster, monitoring, transform = {} } = args;
        super("ovhcloud-llm-serving:controller:ModelController", name, {}, { ...opts, providers: [cluster.provider] });
        const child = cluster.inside(this);
        // One each: a transform may change it in place.
        const metadata = () => ({ name: controllerApp, namespace: monitoring.namespace, labels: controllerLabels });
        const data = pulumi.output(this.config()).apply(controllerFiles);
        const credential = pulumi.secret(pulumi.output(this.credential()).apply((known) => JSON.stringify(known)));

        const files = new k8s.core.v1.ConfigMap(name, { metadata: metadata(), data }, child);
        const secretData = { [credentialKey]: credential };
        const secret = new k8s.core.v1.Secret(name, { metadata: metadata(), stringData: secretData }, child);
        const deployment = { metadata: metadata(), spec: controllerDeployment(data.apply(checksum)) };
        // It does not start without what it mounts.
        const mounting = { ...child, dependsOn: [files, secret] };
        new k8s.apps.v1.Deployment(...transformed(transform.controllerDeployment, name, deployment, mounting));
        new k8s.core.v1.Service(name, { metadata: metadata(), spec: controllerService }, child);
        this.watch();
        this.registerOutputs();
    }

    private config(): pulumi.Input<ControllerConfig> {
        const { projectId, models, unitPrices, limits } = this.args;
        const { eurosPerMonth, action } = limits;
        const spend = eurosPerMonth && action ? { eurosPerMonth, action, prometheus: prometheusUrl } : undefined;
        return pulumi.all([models, unitPrices]).apply(([kept, prices]) => ({
            api: apiAddresses(),
            projectId,
            period,
            models: kept,
            unitPrices: prices,
            spend,
        }));
    }

    /** The OAuth2 client that is given, or one that may do what the controller does with this project's apps, and nothing else. */
    private credential(): { clientId: pulumi.Input<string>; clientSecret: pulumi.Input<string> } {
        const { clientId, clientSecret, projectId, leases, limits, transform = {} } = this.args;
        if (clientId !== undefined && clientSecret !== undefined) return { clientId, clientSecret };
        const account = {
            role: "controller",
            description: "Schedules, leases and limits of spend: changes how models scale",
            appActions: controllerActions({
                stops: leases || limits.action === "stop",
                starts: limits.action === "stop",
            }),
            projectId,
            transform: { client: transform.controllerClient, policy: transform.controllerPolicy },
        };
        return serviceAccount(this.name, account, { parent: this });
    }

    /** The job of its own metrics, and the alerts on the limit of spend and on the project; those on a model are among the model's rules. */
    private watch(): void {
        const { monitoring, settings, limits, runbooks, cluster } = this.args;
        const options = { ...cluster.inside(this), dependsOn: monitoring.release };
        const metadata = { name: controllerJobName, namespace: monitoring.namespace };
        const address = pulumi.interpolate`${controllerApp}.${monitoring.namespace}.svc:${controllerPort}`;
        const times = { interval: settings.scrapeInterval, timeout: settings.scrapeTimeout };
        new k8s.apiextensions.CustomResource(
            `${this.name}-job`,
            {
                apiVersion: "monitoring.coreos.com/v1alpha1",
                kind: "ScrapeConfig",
                metadata,
                spec: address.apply((host) => controllerJob(host, times)),
            },
            options,
        );
        new k8s.apiextensions.CustomResource(
            `${this.name}-rules`,
            {
                apiVersion: "monitoring.coreos.com/v1",
                kind: "PrometheusRule",
                metadata,
                spec: { groups: [controllerRules(limits.action, runbooks)] },
            },
            options,
        );
    }
}
