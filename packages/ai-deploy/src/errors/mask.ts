/** Shorter ones are left, since they would hit ordinary words. */
const shortestSecret = 6;

/**
 * Replaces secret values in a text that came from outside, in each form in which an answer or a log may repeat them.
 * Shortening comes after it: half a secret would not be found.
 */
export function mask(text: string, secrets: string[]): string {
    const forms = new Set(secrets.filter((secret) => typeof secret === "string").flatMap(formsOf));
    return [...forms]
        .filter((form) => form.length >= shortestSecret)
        .sort((a, b) => b.length - a.length)
        .reduce((masked, form) => masked.split(form).join("[secret]"), text);
}

/** A secret as it is, line by line, and as JSON, URLs, forms, HTML and Base64 write it. */
function formsOf(secret: string): string[] {
    const lines = secret.split(/\r?\n/);
    return [secret, ...(lines.length > 1 ? lines : [])].flatMap((plain) => {
        const json = inJson(plain);
        const url = encodeURIComponent(plain);
        const form = new URLSearchParams([["", plain]]).toString().slice(1);
        return [
            plain,
            json,
            json.replaceAll("/", "\\/"),
            inJson(json),
            asAscii(json),
            ...[url, form].flatMap((encoded) => [encoded, encoded.replace(/%../g, (code) => code.toLowerCase())]),
            plain.replace(/[&<>"']/g, (character) => entities[character]),
            Buffer.from(plain).toString("base64"),
            Buffer.from(plain).toString("base64url"),
        ];
    });
}

/** As the inside of a JSON text. */
function inJson(plain: string): string {
    return JSON.stringify(plain).slice(1, -1);
}

/** As serializers write that keep to ASCII, or to what HTML may hold. */
function asAscii(json: string): string {
    return json.replace(/[^ -~]|[<>&']/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
