import { createPrivateKey, X509Certificate } from "node:crypto";
import { removeCommand, setCommand } from "../commands";
import { isMap } from "../defaults";
import { isEverywhere } from "../formats";
import type { FrontDoorSettings, ModelSettings } from "../schema";
import type { Config, CrossFault, ReadModel } from "./config";

/** Faults of the models' front doors: who may come in, from where, and how their traffic is kept private. */
export function frontDoorFaults(models: ReadModel[], config: Config, now: Date): CrossFault[] {
    const doors = models.flatMap(({ settings: { frontDoor }, at }) => (frontDoor ? [{ frontDoor, at }] : []));
    const keys = isMap(config.clientKeys) ? config.clientKeys : {};
    const certificates = doors.some(({ frontDoor }) => frontDoor.certificate !== undefined);
    const faults = doors.flatMap((door) => [...clientFaults(door, keys), ...accessFaults(door)]);
    faults.push(...twinKeyFaults(keys));
    if (certificates && config.frontDoorTlsKey === undefined) {
        const fix = "set the key of the certificate: pulumi config set --secret frontDoorTlsKey < key.pem";
        faults.push({ path: ["frontDoorTlsKey"], fix });
    }
    if (!certificates && config.frontDoorTlsKey !== undefined) {
        const fix =
            `take it away: ${removeCommand(["frontDoorTlsKey"])}, or give the certificate that it belongs to: ` +
            "models.NAME.frontDoor.certificate";
        faults.push({ path: ["frontDoorTlsKey"], found: "a key without a certificate", fix });
    }
    return [...faults, ...doors.flatMap((door) => certificateFaults(door, config.frontDoorTlsKey, now))];
}

interface Door {
    frontDoor: FrontDoorSettings;
    at: ReadModel["at"];
}

function clientFaults(
    { frontDoor: { clients, requestsPerMinute }, at }: Door,
    keys: Record<string, unknown>,
): CrossFault[] {
    const twins = clients
        .map((name, index) => ({ first: clients.indexOf(name), index, path: at("frontDoor", "clients", index) }))
        .filter(({ first, index }) => first < index)
        .map(({ path }) => ({ path, fix: `name each once: ${removeCommand(path)}` }));
    const keyless = [...new Set(clients)]
        .filter((name) => !Object.hasOwn(keys, name))
        .map((name) => {
            const fix = `give its key: openssl rand -hex 24 | pulumi config set --secret --path clientKeys.${name}`;
            return { path: ["clientKeys", name], fix };
        });
    const strangers = Object.keys(requestsPerMinute)
        .filter((name) => !clients.includes(name))
        .map((name) => {
            const path = at("frontDoor", "requestsPerMinute", name);
            const naming = setCommand(at("frontDoor", "clients", clients.length), name);
            return { path, fix: `take it away: ${removeCommand(path)}, or name ${name} among the clients: ${naming}` };
        });
    return [...twins, ...keyless, ...strangers];
}

function accessFaults({ frontDoor: { access, keepAddress, allowedSources }, at }: Door): CrossFault[] {
    const [, name] = at();
    if (keepAddress && access === "internal") {
        const key = `models.${String(name)}.frontDoor`;
        const fix =
            `only a load balancer has an address to keep: pulumi config set --path ${key}.keepAddress false, ` +
            `which gives the address back, or pulumi config set --path ${key}.access loadBalancer`;
        return [{ path: at("frontDoor", "keepAddress"), fix }];
    }
    if (access === "internal" || allowedSources.length > 0) return [];
    const fix =
        `name who may reach it: pulumi config set --path 'models.${String(name)}.frontDoor.allowedSources[0]' ` +
        "<your address>/32 (0.0.0.0/0 opens it to all who have a key)";
    return [{ path: at("frontDoor", "allowedSources"), fix }];
}

/** Of two consumers with one key the second could not be told from the first. */
function twinKeyFaults(keys: Record<string, unknown>): CrossFault[] {
    const names = Object.keys(keys);
    return names.flatMap((name, index) => {
        const twin = names.slice(0, index).find((other) => keys[other] === keys[name]);
        const fix =
            `it has the key of ${twin}, so both would be counted as one: ` +
            `openssl rand -hex 24 | pulumi config set --secret --path clientKeys.${name}`;
        return twin === undefined ? [] : [{ path: ["clientKeys", name], fix }];
    });
}

function certificateFaults({ frontDoor, at }: Door, key: unknown, now: Date): CrossFault[] {
    if (frontDoor.certificate === undefined) return [];
    const path = at("frontDoor", "certificate");
    const certificate = readCertificate(frontDoor.certificate);
    const another = setCommand(path, "< chain.pem");
    if (!certificate) {
        return [
            {
                path,
                found: "no certificate that could be read",
                fix: `give the chain as PEM, its own first: ${another}`,
            },
        ];
    }
    if (new Date(certificate.validTo) < now) {
        return [
            {
                path,
                found: `a certificate that ended on ${certificate.validTo}`,
                fix: `give one that holds: ${another}`,
            },
        ];
    }
    if (typeof key !== "string" || belongs(certificate, key)) return [];
    const fix = "give the key of this certificate: pulumi config set --secret frontDoorTlsKey < key.pem";
    return [{ path: ["frontDoorTlsKey"], found: "a key of another certificate, or none that could be read", fix }];
}

function readCertificate(pem: string): X509Certificate | undefined {
    try {
        return new X509Certificate(pem);
    } catch {
        return undefined;
    }
}

function belongs(certificate: X509Certificate, key: string): boolean {
    try {
        return certificate.checkPrivateKey(createPrivateKey(key));
    } catch {
        return false;
    }
}

/** What is allowed of a front door and may yet surprise, a sentence each. */
export function frontDoorWarnings(name: string, { frontDoor }: ModelSettings, now: Date): string[] {
    if (!frontDoor) return [];
    const { access, allowedSources, certificate } = frontDoor;
    const key = `models.${name}.frontDoor`;
    const warnings: string[] = [];
    if (access === "loadBalancer" && certificate === undefined) {
        const whose = allowedSources.some(isEverywhere) ? "open to the whole internet and " : "";
        warnings.push(
            `${key}.certificate: none, so the door is ${whose}without TLS: keys, questions and answers travel unencrypted`,
        );
    }
    const end = certificate === undefined ? undefined : readCertificate(certificate)?.validTo;
    if (end !== undefined && new Date(end).getTime() - now.getTime() < 14 * 86_400_000) {
        warnings.push(`${key}.certificate: it ends on ${end}; give the next one before`);
    }
    return warnings;
}
