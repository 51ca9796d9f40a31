/** A request to OVHcloud that did not come to what it should. */
export abstract class RequestError extends Error {
    constructor(
        /** `PUT /ai/app/ID/image` */
        readonly operation: string,
        what: string,
    ) {
        super(`${operation}: ${what}`);
    }
}

/** OVHcloud answered, and not with success. */
export class ApiError extends RequestError {
    constructor(
        operation: string,
        readonly status: number,
        /** What OVHcloud said, whole: `explain` shortens it once secrets are masked. */
        readonly said: string,
        readonly queryId: string | undefined,
    ) {
        super(operation, `OVHcloud answered ${status}: ${said}${queryId ? ` (X-Ovh-QueryID ${queryId})` : ""}`);
    }

    get gone(): boolean {
        return this.status === 404;
    }

    /** Worth another try: the request was refused for now, or the platform is ill. */
    get transient(): boolean {
        return this.status === 429 || this.status === 408 || this.status >= 500;
    }
}

/** No answer came: the connection failed or took too long. What the request did is unknown, unless it was never sent. */
export class NoAnswerError extends RequestError {
    constructor(
        operation: string,
        cause: unknown,
        /** Whether the request cannot have reached the platform. */
        readonly neverSent: boolean,
        what = `no answer from OVHcloud (${causeText(cause)})`,
    ) {
        super(operation, what);
    }
}

/** Success was said, but what came of it cannot be read: as unclear as no answer. */
export class MalformedAnswerError extends NoAnswerError {
    constructor(
        operation: string,
        /** What is wrong, such as `spec.name is not a text`. */
        fault: string,
        text: string,
        /** What could be read. */
        readonly body?: unknown,
        neverSent = false,
    ) {
        super(operation, undefined, neverSent, `OVHcloud's answer is not as its API says: ${fault}; ${excerpt(text)}`);
    }

    /** The id that the answer names, when nothing else of it can be relied on: what it stands for exists. */
    get seenId(): string | undefined {
        const id = (this.body as { id?: unknown } | null | undefined)?.id;
        return typeof id === "string" && uuid.test(id) ? id : undefined;
    }
}

/** No safe connection can be made, so nothing was sent, and another try ends no better. */
export class TlsError extends RequestError {
    constructor(operation: string, host: string, code: string) {
        super(
            operation,
            certificateCodes.test(code)
                ? `the certificate of ${host} cannot be trusted (${code}), so nothing was sent. If a proxy of yours reads ` +
                      "encrypted traffic, name its CA: export NODE_EXTRA_CA_CERTS=/path/to/ca.pem; else check endpoint and clock"
                : `${host} does not speak TLS as it should (${code}), so nothing was sent: check endpoint, port and proxy`,
        );
    }
}

const certificateCodes = /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|ERR_TLS_CERT_)/;

/** Whether the code of a failed connection is one of TLS. */
export function isTlsCode(code: string): boolean {
    return certificateCodes.test(code) || /^(EPROTO$|ERR_SSL_)/.test(code);
}

export function isTransient(error: unknown): boolean {
    return error instanceof NoAnswerError || (error instanceof ApiError && error.transient);
}

/** What the API's structure calls an id. */
export const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Far more than `explain` shows. */
const longest = 10_000;

/** An answer without the texts in it, which may be secret, and without control characters; `explain` shortens it. */
function excerpt(text: string): string {
    if (text.trim() === "") return "it is empty";
    const plain = text
        .slice(0, longest)
        .replace(/"(?:[^"\\]|\\.)*"?(\s*:)?/g, (string, colon?: string) => (colon ? string : '"..."'))
        .replace(/[\p{Cc}\s]+/gu, " ");
    return `it begins with ${plain}`;
}

function causeText(error: unknown): string {
    const { code, message } = (error ?? {}) as { code?: unknown; message?: string };
    return typeof code === "string" ? code : (message ?? String(error));
}
