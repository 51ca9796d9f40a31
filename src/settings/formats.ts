import { isIP } from "node:net";

/** An image by an exact version, a digest, or both. */
export const exactImage =
    /^[^\s:@]+(:\d+\/[^\s:@]+)?(:(?!latest(@|$))[\w.-]+(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})$/;

/** A setting's path as a shell takes it, which would read brackets as a pattern. */
export const shellPath = (path: string): string => (path.includes("[") ? `'${path}'` : path);

/** Whether an address range is the whole internet. */
export const isEverywhere = (cidr: string): boolean => cidr === "0.0.0.0/0" || cidr === "::/0";

/** Reads a duration as Prometheus writes it ("15d", "1h30m"), in seconds; undefined when it is none or zero. */
export function durationSeconds(text: string): number | undefined {
    const match = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/.exec(text);
    if (!match) return undefined;
    const units = [365 * 86400, 7 * 86400, 86400, 3600, 60, 1, 0.001];
    const seconds = units.reduce((sum, unit, index) => sum + unit * Number(match[index + 1] ?? 0), 0);
    return seconds > 0 ? seconds : undefined;
}

/** The first and last address of an IPv4 range as numbers; undefined when it is none. */
export function ipv4Range(cidr: string): { first: number; last: number } | undefined {
    const [address, bits, ...rest] = cidr.split("/");
    if (rest.length > 0 || isIP(address) !== 4 || !/^\d{1,2}$/.test(bits ?? "") || Number(bits) > 32) return undefined;
    const size = 2 ** (32 - Number(bits));
    const value = address.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0);
    const first = Math.floor(value / size) * size;
    return { first, last: first + size - 1 };
}

/** What is wrong with an address range and what would be right, such as this one; undefined when it is fine. */
export function cidrFault(cidr: string, right = "203.0.113.0/24"): string | undefined {
    const [address, bits, ...rest] = cidr.split("/");
    const version = isIP(address);
    const example = `give an address range such as "${right}"`;
    if (version === 0 || rest.length > 0) return example;
    if (bits === undefined) return `name the range: "${address}/${version === 4 ? 32 : 128}" is this one address`;
    if (!/^\d{1,3}$/.test(bits) || Number(bits) > (version === 4 ? 32 : 128)) return example;
    const range = version === 4 ? ipv4Range(cidr) : undefined;
    if (range && dotted(range.first) !== address) {
        return `the range starts at another address: "${dotted(range.first)}/${Number(bits)}"`;
    }
    return undefined;
}

/** An IPv4 address of a number. */
export function dotted(address: number): string {
    return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

/** The name in `known` that `name` was probably meant to be: at most two letters off, capitals aside. */
export function nearest(name: string, known: string[]): string | undefined {
    const ranked = known
        .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
        .sort((a, b) => a.distance - b.distance);
    const best = ranked[0];
    return best && best.distance <= Math.min(2, name.length - 1) ? best.candidate : undefined;
}

function editDistance(a: string, b: string): number {
    let row = Array.from({ length: b.length + 1 }, (_, index) => index);
    for (let i = 1; i <= a.length; i++) {
        const next = [i];
        for (let j = 1; j <= b.length; j++) {
            const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
            next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] || swapped ? 0 : 1));
        }
        row = next;
    }
    return row[b.length];
}
