import { removeCommand, setCommand } from "../commands";
import { durationSeconds, nearest } from "../formats";
import { monitoringSchema, type MonitoringSettings } from "../schema";
import type { CrossFault } from "./config";

/** Faults of scraping, namespace and Grafana. */
export function monitoringFaults(config: unknown, plan: unknown, keyGiven: boolean): CrossFault[] {
    const faults: CrossFault[] = [];
    const raw = (config ?? {}) as Record<string, unknown>;
    const interval = durationSeconds(String(raw.scrapeInterval));
    const timeout = durationSeconds(String(raw.scrapeTimeout));
    if (interval && timeout && timeout > interval) {
        const fix = `give at most monitoring.scrapeInterval, which is "${String(raw.scrapeInterval)}"`;
        faults.push({ path: ["monitoring", "scrapeTimeout"], fix });
    }
    const namespace = monitoringSchema.shape.namespace.safeParse(raw.namespace).data;
    if (namespace && /^(default$|kube-)/.test(namespace)) {
        // Made by Kubernetes, or reserved for it: the stack makes its namespace, and deletes it at the end.
        const fix = "give it one of its own: pulumi config set --path monitoring.namespace monitoring";
        faults.push({ path: ["monitoring", "namespace"], fix });
    }
    faults.push(...storageClassFaults((raw.storage as Record<string, unknown> | null | undefined)?.class, plan));
    const grafana = monitoringSchema.shape.grafana.safeParse(raw.grafana).data;
    if (grafana) faults.push(...grafanaFaults(grafana, keyGiven));
    return faults;
}

/** Storage classes of Managed Kubernetes; each also with `-luks`, encrypted. */
const cinder = ["csi-cinder-high-speed", "csi-cinder-high-speed-gen2", "csi-cinder-classic"];
export const storageClasses = cinder.flatMap((name) => [name, `${name}-luks`]);

/** A class that does not exist leaves the volumes, and so the whole release, waiting until the time is over. */
function storageClassFaults(name: unknown, plan: unknown): CrossFault[] {
    if (typeof name !== "string" || name === "") return [];
    const path = ["monitoring", "storage", "class"];
    const guess = storageClasses.includes(name) ? undefined : nearest(name, storageClasses);
    if (guess) return [{ path, fix: `did you mean "${guess}"?` }];
    if (plan !== "standard" || !name.startsWith("csi-cinder-classic")) return [];
    const fix =
        "the plan standard does not have it: pulumi config set --path monitoring.storage.class csi-cinder-high-speed";
    return [{ path, fix }];
}

function grafanaFaults(grafana: MonitoringSettings["grafana"], keyGiven: boolean): CrossFault[] {
    const faults: CrossFault[] = [];
    const at = (...path: PropertyKey[]) => ["monitoring", "grafana", ...path];
    const { access, keepAddress, allowedSources, ingress } = grafana;
    if (keepAddress && access !== "loadBalancer") {
        const fix =
            "only a load balancer has an address to keep: pulumi config set --path monitoring.grafana.keepAddress false, " +
            "which gives the address back, or pulumi config set --path monitoring.grafana.access loadBalancer";
        faults.push({ path: at("keepAddress"), fix });
    }
    if (access !== "internal" && allowedSources.length === 0) {
        const fix =
            "name who may reach Grafana: pulumi config set --path 'monitoring.grafana.allowedSources[0]' <your address>/32 " +
            "(0.0.0.0/0 opens it to all), or set monitoring.grafana.access to internal";
        faults.push({ path: at("allowedSources"), fix });
    }
    for (const [index, source] of allowedSources.entries()) {
        const bits = Number(source.split("/")[1]);
        // Half the world is no way to say the whole of it.
        if (bits > 0 && bits < 8) {
            const fix = "name the networks that are meant, or 0.0.0.0/0 if Grafana is to be open to all";
            faults.push({ path: at("allowedSources", index), fix });
        }
    }
    if (access === "ingress") {
        if (!ingress) {
            const fix =
                "give host and class, and an issuer of cert-manager or a certificate: " +
                setCommand(at("ingress", "host"), "grafana.example.org");
            faults.push({ path: at("ingress"), fix });
        } else if ((ingress.issuer === undefined) === (ingress.certificate === undefined)) {
            const fix =
                "give one of issuer (of cert-manager) and certificate (with its key in grafanaTlsKey): " +
                (ingress.issuer
                    ? removeCommand(at("ingress", "issuer"))
                    : setCommand(at("ingress", "certificate"), "< chain.pem"));
            faults.push({ path: at("ingress"), found: ingress.issuer ? "both" : "neither of the two", fix });
        }
    }
    const certificate = access === "ingress" && ingress?.certificate !== undefined;
    if (certificate && !keyGiven) {
        const fix = "set the key of the certificate: pulumi config set --secret grafanaTlsKey < key.pem";
        faults.push({ path: ["grafanaTlsKey"], fix });
    }
    if (!certificate && keyGiven) {
        const fix =
            `take it away: ${removeCommand(["grafanaTlsKey"])}, or give the certificate that it belongs to: ` +
            "monitoring.grafana.ingress.certificate";
        faults.push({ path: ["grafanaTlsKey"], found: "a key without a certificate", fix });
    }
    return faults;
}
