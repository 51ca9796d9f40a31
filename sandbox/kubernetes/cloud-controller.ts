import {
    ApiException,
    CoreV1Api,
    makeInformer,
    StorageV1Api,
    type Informer,
    type KubeConfig,
    type KubernetesListObject,
    type KubernetesObject,
    type V1PersistentVolume,
    type V1PersistentVolumeClaim,
    type V1Service,
    type V1StorageClass,
} from "@kubernetes/client-node";

import { zoneLabel } from "./node-pool";

/**
 * What OVHcloud's controllers do in a cluster, as far as objects show it: addresses for services of type LoadBalancer,
 * Cinder's storage classes, and a volume for each claim, which grows with it. Nothing answers at the addresses and no volume stores anything.
 */
export interface CloudController {
    stop(): Promise<void>;
}

/** The project's floating IPs, of which a Service may ask for one by `loadBalancerIP`. */
export interface FloatingIps {
    /** Gives the address to this load balancer; false while the project has none of it, or another one has it. */
    attach(address: string, portId: string): boolean;
    /** A load balancer has gone: what it had stays with the project. */
    release(portId: string): void;
}

const driver = "cinder.csi.openstack.org";

/** Classes of the documentation (2026-01); the first is the default. */
const storageClasses = ["csi-cinder-high-speed", "csi-cinder-high-speed-gen2", "csi-cinder-classic"];

/** TEST-NET-3 of RFC 5737, for documentation: no machine has such an address. */
const loadBalancerAddress = (n: number): string => `203.0.113.${n}`;
const firstAddress = 10;
const lastAddress = 254;

const restartMs = 1000;
/** Between two tries for an address that is not to be had. */
const retryMs = 2000;

/** Resolves once the storage classes are there and the watches have begun. */
export async function startCloudController(
    config: KubeConfig,
    log: (line: string) => void,
    floatingIps?: FloatingIps,
): Promise<CloudController> {
    const core = config.makeApiClient(CoreV1Api);
    const storage = config.makeApiClient(StorageV1Api);
    await orExists(storage.createCSIDriver({ body: { metadata: { name: driver }, spec: { attachRequired: false } } }));
    for (const body of storageClasses.map(storageClass)) await orExists(storage.createStorageClass({ body }));

    const services = new Map<string, V1Service>();
    const claims = new Map<string, V1PersistentVolumeClaim>();
    const volumes = new Map<string, V1PersistentVolume>();
    /** Services whose address is not to be had, which is told once. */
    const waiting = new Set<string>();
    let stopped = false;
    // One change at a time, so that two services never get the same address.
    let queue: Promise<void> = Promise.resolve();
    const soon = (title: string, work: () => Promise<unknown>): void => {
        queue = queue.then(async () => {
            if (stopped) return;
            try {
                await work();
            } catch (error) {
                // Changed or deleted meanwhile: the watch brings the new state.
                if (error instanceof ApiException && (error.code === 404 || error.code === 409)) return;
                if (!stopped) log(`cloud controller: ${title}: ${(error as Error).message.split("\n")[0]}`);
            }
        });
    };

    function anyAddress(): string {
        const used = new Set([...services.values()].map(ingressOf));
        let n = firstAddress;
        while (used.has(loadBalancerAddress(n))) n++;
        if (n > lastAddress) throw new Error("no address is left");
        return loadBalancerAddress(n);
    }

    function giveAddress(service: V1Service): void {
        const key = keyOf(service);
        soon(`service ${key}`, async () => {
            const now = services.get(key);
            if (now?.spec?.type !== "LoadBalancer" || ingressOf(now)) return;
            const asked = now.spec.loadBalancerIP;
            if (asked && !floatingIps?.attach(asked, now.metadata!.uid!)) {
                if (!waiting.has(key)) log(`cloud controller: service ${key}: floating IP ${asked} is not available`);
                waiting.add(key);
                setTimeout(() => stopped || giveAddress(now), retryMs).unref();
                return;
            }
            waiting.delete(key);
            const loadBalancer = { ingress: [{ ip: asked ?? anyAddress() }] };
            const { name, namespace } = now.metadata as { name: string; namespace: string };
            const body = [{ op: "add", path: "/status/loadBalancer", value: loadBalancer }];
            await core.patchNamespacedServiceStatus({ name, namespace, body });
            services.set(key, { ...now, status: { ...now.status, loadBalancer } });
        });
    }

    function provision(claim: V1PersistentVolumeClaim): void {
        soon(`claim ${keyOf(claim)}`, async () => {
            const { metadata, spec, status } = claim;
            if (
                status?.phase !== "Pending" ||
                spec?.volumeName ||
                !storageClasses.includes(spec?.storageClassName ?? "")
            ) {
                return;
            }
            // WaitForFirstConsumer: the scheduler says when a pod needs it.
            const name = metadata?.annotations?.["volume.kubernetes.io/selected-node"];
            if (!name) return;
            const zone = (await core.readNode({ name })).metadata!.labels?.[zoneLabel];
            await orExists(core.createPersistentVolume({ body: volumeFor(claim, zone) }));
        });
    }

    /** As external-resizer does; nothing has a file system that would have to grow, too. */
    function expand(claim: V1PersistentVolumeClaim): void {
        soon(`claim ${keyOf(claim)}`, async () => {
            const { metadata, spec, status } = claim;
            const wanted = spec?.resources?.requests?.storage;
            const has = status?.capacity?.storage;
            // The API server lets none shrink.
            if (status?.phase !== "Bound" || !spec?.volumeName || !wanted || !has || wanted === has) return;
            const { name, namespace } = metadata as { name: string; namespace: string };
            const capacity = { op: "replace", path: "/spec/capacity/storage", value: wanted };
            await core.patchPersistentVolume({ name: spec.volumeName, body: [capacity] });
            const body = [{ op: "replace", path: "/status/capacity/storage", value: wanted }];
            await core.patchNamespacedPersistentVolumeClaimStatus({ name, namespace, body });
        });
    }

    function reclaim(volume: V1PersistentVolume): void {
        if (volume.status?.phase !== "Released" || volume.spec?.csi?.driver !== driver) return;
        if (volume.spec.persistentVolumeReclaimPolicy !== "Delete" || volume.metadata?.deletionTimestamp) return;
        soon(`volume ${keyOf(volume)}`, () => core.deletePersistentVolume({ name: volume.metadata!.name! }));
    }

    const listServices = () => core.listServiceForAllNamespaces();
    const serviceInformer = watch(config, "/api/v1/services", listServices, services, giveAddress);
    serviceInformer.on("delete", ({ metadata }) => floatingIps?.release(metadata!.uid!));
    const informers = [
        serviceInformer,
        watch(
            config,
            "/api/v1/persistentvolumeclaims",
            () => core.listPersistentVolumeClaimForAllNamespaces(),
            claims,
            (claim) => {
                provision(claim);
                expand(claim);
            },
        ),
        watch(config, "/api/v1/persistentvolumes", () => core.listPersistentVolume(), volumes, reclaim),
    ];
    for (const informer of informers) {
        informer.on("error", () => {
            // The API server restarts, or a watch has become too old.
            if (!stopped) {
                setTimeout(() => void (stopped || informer.start().catch(() => undefined)), restartMs).unref();
            }
        });
        await informer.start();
    }
    return {
        async stop() {
            stopped = true;
            await Promise.all(informers.map((informer) => informer.stop()));
            await queue;
        },
    };
}

/** Keeps `cache` as the cluster is, and calls `changed` with each object that is new or changed. */
function watch<T extends KubernetesObject>(
    config: KubeConfig,
    path: string,
    list: () => Promise<KubernetesListObject<T>>,
    cache: Map<string, T>,
    changed: (object: T) => void,
): Informer<T> {
    const informer = makeInformer<T>(config, path, list);
    const keep = (object: T): void => {
        cache.set(keyOf(object), object);
        changed(object);
    };
    informer.on("add", keep);
    informer.on("update", keep);
    informer.on("delete", (object) => void cache.delete(keyOf(object)));
    return informer;
}

function keyOf({ metadata }: KubernetesObject): string {
    return metadata?.namespace ? `${metadata.namespace}/${metadata.name}` : (metadata?.name ?? "");
}

function ingressOf({ status }: V1Service): string | undefined {
    return status?.loadBalancer?.ingress?.[0]?.ip;
}

function storageClass(name: string, index: number): V1StorageClass {
    return {
        metadata: {
            name,
            annotations: index === 0 ? { "storageclass.kubernetes.io/is-default-class": "true" } : undefined,
        },
        provisioner: driver,
        reclaimPolicy: "Delete",
        volumeBindingMode: "WaitForFirstConsumer",
        allowVolumeExpansion: true,
    };
}

/** @param zone the one where its first pod is to run: only nodes there can have it */
function volumeFor({ metadata, spec }: V1PersistentVolumeClaim, zone: string | undefined): V1PersistentVolume {
    const { name, namespace, uid } = metadata!;
    const inZone = { matchExpressions: [{ key: zoneLabel, operator: "In", values: [zone!] }] };
    return {
        metadata: { name: `pvc-${uid}`, annotations: { "pv.kubernetes.io/provisioned-by": driver } },
        spec: {
            capacity: { storage: spec!.resources!.requests!.storage },
            accessModes: spec!.accessModes,
            storageClassName: spec!.storageClassName,
            persistentVolumeReclaimPolicy: "Delete",
            claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", name, namespace, uid },
            csi: { driver, volumeHandle: uid! },
            ...(zone && { nodeAffinity: { required: { nodeSelectorTerms: [inZone] } } }),
        },
    };
}

/** Creates what may be there from an earlier start. */
async function orExists(creation: Promise<unknown>): Promise<void> {
    try {
        await creation;
    } catch (error) {
        if (!(error instanceof ApiException && error.code === 409)) throw error;
    }
}
