import { CoreV1Api, type KubeConfig } from "@kubernetes/client-node";
import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import type { RequestOptions } from "node:https";
import { rootCertificates } from "node:tls";
import { doorLabels, doorName } from "../../src/front-door/manifests";
import { frontDoorJobName } from "../../src/monitoring/scrape-jobs";
import type { FrontDoorSettings, Settings } from "../../src/settings";
import { ask, type Answer } from "../http";
import type { Prometheus } from "../prometheus";
import { runs, type VerifiedModel } from "./app";
import { caution, expect, unseen, type Check } from "./check";
import { clusterAnswers } from "./cluster";
import { prometheusAnswers } from "./metrics";
import { leastCertificateDays } from "./serving";

/** What the checks of a front door go by. */
export interface DoorLook {
    kubernetes: KubeConfig;
    namespace: string;
    prometheus: Prometheus;
    /** By consumer. */
    clientKeys: Record<string, string>;
    /** Where a door is reached from here, by model, in place of its own address: `http://127.0.0.1:8080`. */
    at: Record<string, string>;
    /** Authority to trust besides Node's own, PEM. */
    ca?: Buffer;
}

/**
 * Of texts `NAME=URL`, as people give them.
 * @returns addresses of front doors by the name of their model
 * @throws Error for people when one is of another form, or names no model with a front door
 */
export function doorAddresses(given: string[], { models }: Pick<Settings, "models">): Record<string, string> {
    return Object.fromEntries(
        given.map((text) => {
            const [, name, url] = /^([^=]+)=(https?:\/\/.+)$/.exec(text) ?? [];
            const fix = "give a model with a front door and an address: --front-door ministral=http://127.0.0.1:8080";
            if (name === undefined || !Object.hasOwn(models, name) || !models[name].frontDoor) {
                throw new Error(`--front-door ${text}: ${fix}`);
            }
            return [name, url];
        }),
    );
}

/**
 * Checks what a client of a model's front door sees, and who can reach it. The app is asked only while it runs, and then for
 * its list of models.
 */
export async function checkFrontDoor(check: Check, model: VerifiedModel, look: DoorLook): Promise<void> {
    const { name, settings } = model;
    const { frontDoor } = settings;
    if (!frontDoor) return;
    await check(`${name}: front door is reached by whom it should`, () => checkService(name, frontDoor, look), {
        needs: [clusterAnswers],
    });
    await check(`${name}: front door's metrics are in Prometheus`, () => checkMetrics(name, look), {
        needs: [prometheusAnswers],
    });
    const secured = `${name}: front door serves its certificate, which lasts`;
    const call = (key?: string) => callDoor(model, frontDoor, look, key);
    if (frontDoor.certificate) await check(secured, () => checkCertificate(name, frontDoor.certificate!, call));
    const shut = `${name}: front door answers 401 without a key`;
    await check(
        shut,
        async () => {
            const { status } = await call();
            const fix = "pulumi refresh, then pulumi up; until then anybody who reaches it may use this GPU";
            expect(status === 401, `status ${status}`, fix);
            return "401";
        },
        { needs: frontDoor.certificate ? [secured] : [] },
    );
    for (const consumer of frontDoor.clients) {
        await check(
            `${name}: front door lets ${consumer} through to the app`,
            async () => seenByConsumer(await call(look.clientKeys[consumer]), name, look.namespace),
            // One that sleeps is not woken to be looked at.
            { needs: [shut, runs(name, settings)] },
        );
    }
}

async function checkService(
    name: string,
    { access, allowedSources }: FrontDoorSettings,
    { kubernetes, namespace }: DoorLook,
): Promise<string> {
    const core = kubernetes.makeApiClient(CoreV1Api);
    const { items } = await core.listNamespacedService({ namespace });
    const { spec } = items.find(({ metadata }) => metadata?.name === doorName(name)) ?? {};
    expect(spec, `there is no Service ${doorName(name)} in ${namespace}`, "pulumi refresh, then pulumi up");
    const wanted = access === "internal" ? "ClusterIP" : "LoadBalancer";
    const kind = `its Service is of type ${spec.type ?? "ClusterIP"}, not ${wanted}`;
    expect((spec.type ?? "ClusterIP") === wanted, kind, "pulumi refresh, then pulumi up");
    if (access === "internal") return "the cluster's pods";
    const found = (spec.loadBalancerSourceRanges ?? []).join(", ");
    const said = `open to ${found || "all"}, configured are ${allowedSources.join(", ")}`;
    expect(found === allowedSources.join(", "), said, "pulumi refresh, then pulumi up");
    return found;
}

/** Seconds in which a door's first scrape may not have come: the operator writes the job, Prometheus reads it, and scrapes. */
const firstScrape = 120;

async function checkMetrics(name: string, { kubernetes, namespace, prometheus }: DoorLook): Promise<string> {
    const up = await prometheus.value(`up{job="${frontDoorJobName}",model="${name}"}`);
    if (up !== 1) {
        const age = await secondsSinceStart(name, kubernetes, namespace);
        const young = age !== undefined && age < firstScrape;
        const left = `too young to judge: its pod began ${Math.round(age ?? 0)} s ago`;
        caution(!young, left, `if it is still so after ${firstScrape} s, it is broken: npm run verify`);
    }
    const fix = "see docs/operations/VllmFrontDoorDown.md";
    expect(up !== undefined, `no target of job ${frontDoorJobName} for this model`, fix);
    expect(up === 1, "up is 0: its Envoy does not answer Prometheus", fix);
    return `up{job="${frontDoorJobName}"} == 1`;
}

/** Of the door's youngest pod; undefined when none has begun. */
async function secondsSinceStart(name: string, kubernetes: KubeConfig, namespace: string): Promise<number | undefined> {
    const { items } = await kubernetes.makeApiClient(CoreV1Api).listNamespacedPod({ namespace });
    const wanted = Object.entries(doorLabels(name));
    const begun = items
        .filter(({ metadata }) => wanted.every(([label, value]) => metadata?.labels?.[label] === value))
        .flatMap(({ status }) => status?.startTime ?? []);
    if (begun.length === 0) return undefined;
    return (Date.now() - Math.max(...begun.map((time) => new Date(time).getTime()))) / 1000;
}

async function checkCertificate(name: string, pem: string, call: () => Promise<Answer>): Promise<string> {
    await call(); // ends when another one is served
    const { validTo, subjectAltName, subject } = new X509Certificate(pem);
    const days = Math.floor((Date.parse(validTo) - Date.now()) / 86_400_000);
    const fix =
        `give the next one: pulumi config set --path models.${name}.frontDoor.certificate < chain.pem; ` +
        "pulumi config set --secret frontDoorTlsKey < key.pem; pulumi up";
    expect(days >= 0, `it ended on ${validTo}`, fix);
    caution(days > leastCertificateDays, `it ends in ${days} days, on ${validTo}`, fix);
    return `${subjectAltName ?? subject}, until ${validTo}`;
}

function seenByConsumer({ status, body }: Answer, name: string, namespace: string): string {
    const refused = "the app refuses the token that the door has: pulumi refresh, then pulumi up makes another";
    // The door's own 401 says so.
    const isItsOwn = body.includes("invalid_api_key");
    const unknown = `the door has another key than clientKeys says: pulumi up, or wait for two minutes`;
    expect(status !== 401, isItsOwn ? "401 from the door" : "401 from the app", isItsOwn ? unknown : refused);
    const look = `kubectl logs -n ${namespace} deployment/${doorName(name)}; see docs/operations/VllmFrontDoorDown.md`;
    if (status === 429) unseen("429: it asks as often as it may");
    expect(status === 200, `status ${status}`, look);
    return "200 from /v1/models";
}

/** Asks the door for the list of models. Rejects when it does not answer, or with another certificate than the one configured. */
async function callDoor(
    { name, output }: VerifiedModel,
    frontDoor: FrontDoorSettings,
    { namespace, at, ca }: DoorLook,
    key?: string,
): Promise<Answer> {
    const { access, certificate } = frontDoor;
    const own = access === "loadBalancer" ? output.frontDoorUrl : undefined;
    const base = at[name] ?? sandboxAddress(name, certificate !== undefined) ?? own;
    if (base === undefined) {
        const port = certificate ? 443 : 80;
        const local = `${certificate ? "https" : "http"}://127.0.0.1:8080`;
        const fix =
            `kubectl port-forward -n ${namespace} service/${doorName(name)} 8080:${port} & ` +
            `npm run verify -- --front-door ${name}=${local}`;
        unseen(access === "internal" ? "the cluster's pods alone reach it" : "it has no address yet", fix);
    }
    const url = `${base.replace(/(\/v1)?\/*$/, "")}/v1/models`;
    const trusted = certificate && [...rootCertificates, certificate, ...(ca ? [ca.toString()] : [])].join("\n");
    const more = certificate ? { checkServerIdentity: isThe(certificate) } : {};
    try {
        return await ask(url, { token: key, ca: trusted, more, timeoutSeconds: 15 });
    } catch (error) {
        const { message } = error as Error;
        const fix = "frontDoor.allowedSources may not name this machine's address; look from one that it names";
        if (key === undefined && own === base && /no answer within|ETIMEDOUT/.test(message)) unseen(message, fix);
        throw error;
    }
}

/** That what is served is this certificate: stricter than a name, and the door may be reached by another one. */
function isThe(pem: string): NonNullable<RequestOptions["checkServerIdentity"]> {
    const { fingerprint256, validTo } = new X509Certificate(pem);
    return (_host, served) =>
        served.fingerprint256 === fingerprint256
            ? undefined
            : new Error(
                  `it serves another certificate, until ${served.valid_to}, than the one configured, until ${validTo}`,
              );
}

/** The port of this machine at which the sandbox runs a model's door, whose pod does not run. */
function sandboxAddress(name: string, tls: boolean): string | undefined {
    const file = process.env.OVH_SANDBOX_FRONT_DOORS;
    if (file === undefined || !existsSync(file)) return undefined;
    const port = (JSON.parse(readFileSync(file, "utf8")) as Record<string, number | undefined>)[name];
    return port === undefined ? undefined : `${tls ? "https" : "http"}://127.0.0.1:${port}`;
}
