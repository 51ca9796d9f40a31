import { Authorization } from "pulumi-ovh-ai-deploy";
import { Cluster } from "./src/cluster/cluster";
import { ModelController } from "./src/controller/model-controller";
import { FrontDoor } from "./src/front-door/front-door";
import { Model } from "./src/inference/model";
import { ModelMonitoring } from "./src/monitoring/model-monitoring";
import { Monitoring } from "./src/monitoring/monitoring";
import { appReader } from "./src/monitoring/relay/app-reader";
import { jobName } from "./src/monitoring/scrape-jobs";
import { fixedPrice, replicaPrice, unitPrices } from "./src/prices/cost";
import { needsReader } from "./src/refuse-without-accounts";
import { stackCost } from "./src/stack-cost";
import { settings } from "./src/stack-settings";
import { transforms } from "./transforms";

const { projectId, huggingFaceToken } = settings;

/** What all of it costs an hour and a month. */
export const cost = stackCost();

const authorization = new Authorization("authorization", { serviceName: projectId });

const served = Object.entries(settings.models).map(([name, model]): [string, Model] => [
    name,
    new Model(name, {
        settings: model,
        limits: settings.limits,
        projectId,
        huggingFaceToken,
        secretEnv: settings.modelsHoldSecrets,
        authorization,
        transform: transforms.model,
    }),
]);

const cluster = new Cluster("cluster", {
    settings: settings.cluster,
    projectId,
    namespace: settings.monitoring.namespace,
    transform: transforms.cluster,
});

const monitoring = new Monitoring("monitoring", {
    settings: settings.monitoring,
    alerting: settings.alerting,
    models: Object.keys(settings.models),
    grafanaTlsKey: settings.grafanaTlsKey,
    secretValues: settings.monitoringHoldsSecrets,
    cluster,
    spend: { ...settings.limits, fixedPrice: cost.then(fixedPrice) },
    protect: settings.cluster.protect,
    transform: transforms.monitoring,
});

// What the relays of models that may sleep read their state with.
const appReaderKey =
    settings.appReaderKey ??
    (needsReader(settings.models)
        ? appReader("app-reader", { projectId, transform: transforms.appReader })
        : undefined);

// Each model adds what is its own, so that one that fails or waits keeps nothing of the others unwatched.
const watched = served.map(
    ([name, model]) =>
        new ModelMonitoring(name, {
            model: { ...model.monitored(), replicaPrice: cost.then((known) => replicaPrice(known, name)) },
            settings: settings.monitoring,
            runbooks: settings.alerting.runbooks,
            appReaderKey,
            monitoring,
            cluster,
            transform: transforms.modelMonitoring,
        }),
);

// One address that stays and waits, for the models that ask for it.
const frontDoors = Object.fromEntries(
    served.flatMap(([name, model]) => {
        const { frontDoor } = model.settings;
        if (!frontDoor) return [];
        const args = {
            model: name,
            settings: frontDoor,
            url: model.url,
            token: model.clientToken,
            clientKeys: settings.clientKeys ?? {},
            tlsKey: settings.frontDoorTlsKey,
            scrape: settings.monitoring,
            monitoring,
            cluster,
            transform: transforms.frontDoor,
        };
        return [[name, new FrontDoor(`${name}-front-door`, args)]];
    }),
);

// Only where a model has a schedule or a lease, or spend has a limit that is acted on.
const kept = served.flatMap(([name, model]) => {
    const price = cost.then((known) => replicaPrice(known, name));
    const controlled = model.controlled();
    return controlled ? [{ ...controlled, price }] : [];
});
const controller =
    kept.length === 0
        ? []
        : [
              new ModelController("controller", {
                  models: kept,
                  leases: kept.some(({ lease }) => lease !== undefined),
                  limits: settings.limits,
                  unitPrices: cost.then((known) => unitPrices(known, settings.models)),
                  projectId,
                  clientId: settings.controllerClientId,
                  clientSecret: settings.controllerClientSecret,
                  settings: settings.monitoring,
                  runbooks: settings.alerting.runbooks,
                  monitoring,
                  cluster,
                  transform: transforms.controller,
              }),
          ];

// Last, so that a model that does not come up keeps nothing else from being there and watched.
for (const [, model] of served) model.awaitRunning([monitoring, ...watched, ...controller]);

// The outputs of one model lie flat: those of `ministral`, or of the first by name where there is none.
const main = served.find(([name]) => name === "ministral") ?? served[0];
export const { appId, appUrl, openAiBaseUrl, platformMonitoringUrl, clientToken } = main[1].outputs();
export const models = Object.fromEntries(
    served.map(([name, model]) => {
        const door = frontDoors[name] && { frontDoorUrl: frontDoors[name].openAiBaseUrl };
        return [name, { ...model.outputs(), ...door, scrapeJob: jobName(name) }];
    }),
);
export const { grafanaUrl, grafanaPassword, grafanaPortForward } = monitoring;
export const { kubeconfig } = cluster;
/** For DNS: addresses that outlive the cluster, of Grafana and of front doors that keep theirs. Without any an empty object: Pulumi warns of an output that is undefined. */
export const addresses = cluster.keptAddresses;
