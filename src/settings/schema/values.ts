import { z } from "zod";
import { cidrFault, durationSeconds } from "../formats";

/** Kinds of single values that settings have, each with what to say when one does not fit. */

/** A string with a pattern, and what to say when it does not match or is missing. */
export const text = (pattern: RegExp, rule: string) =>
    z.string({ error: ({ input }) => (input === undefined ? rule : undefined) }).regex(pattern, rule);
export const count = z.int();
/** A duration as Prometheus writes it, of at most, and at least, so many seconds. */
export const duration = (rule: string, most: number, least = 0) =>
    z.string().refine((value) => {
        const seconds = durationSeconds(value) ?? Infinity;
        return seconds >= least && seconds <= most;
    }, rule);
export const kubernetesName = text(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    "use lower-case letters, digits and hyphens, at most 63",
);
const sizeRule = 'give a size of at least 1Gi, in whole Gi or Ti, such as "50Gi" (not "50G", "50gi" or "0.5Ti")';
/** A volume's size. Block storage begins at 1 GiB. */
export const size = text(/^[1-9]\d*(Mi|Gi|Ti)$/, sizeRule).refine(
    (value) => !value.endsWith("Mi") || parseInt(value) >= 1024,
    sizeRule,
);
export const storageClass = text(
    /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/,
    'give a storage class such as "csi-cinder-high-speed"',
);
/** An address range, and one that would be right. */
export const cidr = (right?: string) =>
    z.string().superRefine((value, context) => {
        const fault = cidrFault(value, right);
        if (fault) context.addIssue({ code: "custom", message: fault });
    });
/** Text. `pulumi config set --path` stores 1 and true as number and boolean, so these are taken as their text. */
export const written = <Schema extends z.ZodType<string>>(schema: Schema) =>
    z.preprocess((value) => (/^(number|boolean)$/.test(typeof value) ? String(value) : value), schema);
/** A number. `pulumi config set --path` stores 0.9 as text, so that is taken too. */
export const decimal = (schema: z.ZodNumber) =>
    z.preprocess((value) => (typeof value === "string" && /^\d*\.\d+$/.test(value) ? Number(value) : value), schema);
/** A PEM file. */
export const pem = (kind: string) =>
    z
        .string()
        .regex(
            new RegExp(`^-----BEGIN ${kind}-----\\n[\\s\\S]+-----END ${kind}-----\\s*$`),
            `give a PEM file, which begins with -----BEGIN ${kind.replace("(.+ )?", "")}-----`,
        );
export const path = text(/^\/\S*$/, "give a path that starts with /");
/** A name of the stack's own for something in a map. */
export const ownName = (of: string) =>
    text(/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/, `use lower-case letters, digits and hyphens for a ${of}'s name`);
/** What a client sends as `Authorization: Bearer KEY`. */
export const clientKey = z
    .string()
    .regex(
        /^[\w.~+/=-]{16,256}$/,
        'give 16 to 256 letters, digits and . _ ~ + / = -, such as "made-up-key-0123456789", and best what openssl rand -hex 24 writes',
    );
/** A text that goes where Alertmanager and Prometheus take `{{ }}` for a template. */
export const plain = (pattern: RegExp, rule: string) =>
    text(pattern, rule).refine((value) => !value.includes("{{"), 'leave out "{{", it would be run as a template');
