import "reflect-metadata"; // which the next wants to find loaded
import * as x509 from "@peculiar/x509";
import { KeyObject, randomBytes, webcrypto } from "node:crypto";
import type { State } from "./store";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const days = (n: number): number => n * 24 * 3600 * 1000;

/** PEM. */
export interface Certificate {
    certificate: string;
    key: string;
}

/** An authority of this sandbox alone, valid for a year as what it signs. Its key is nowhere but in this object. */
export interface Authority {
    /** PEM. */
    certificate: string;
    /** @param subject such as `CN=127.0.0.1` */
    issue(subject: string, usage: { names?: string[]; client?: boolean }): Promise<Certificate>;
}

/*
 * The library is typed with the browser's lib, which this project does without: hence the casts of Node's webcrypto.
 */

/** @param name of the authority, such as `CN=...` */
export async function makeAuthority(name: string): Promise<Authority> {
    x509.cryptoProvider.set(webcrypto as never);
    const keys = await makeKeys();
    const valid = { notBefore: new Date(Date.now() - days(1)), notAfter: new Date(Date.now() + days(365)) };
    const serialNumber = (): string => `0${randomBytes(8).toString("hex").slice(1)}`;
    const authority = await x509.X509CertificateGenerator.createSelfSigned({
        serialNumber: serialNumber(),
        name,
        ...valid,
        keys,
        signingAlgorithm: algorithm,
        extensions: [
            new x509.BasicConstraintsExtension(true, 0, true),
            new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
        ],
    });
    return {
        certificate: pem(authority),
        async issue(subject, { names = [], client = false }) {
            const own = await makeKeys();
            const san = names.map((one) => ({ type: /^[\d.]+$/.test(one) ? "ip" : "dns", value: one }) as const);
            const { clientAuth, serverAuth } = x509.ExtendedKeyUsage;
            const certificate = await x509.X509CertificateGenerator.create({
                serialNumber: serialNumber(),
                subject,
                issuer: authority.subject,
                ...valid,
                publicKey: own.publicKey as never,
                signingKey: keys.privateKey,
                signingAlgorithm: algorithm,
                extensions: [
                    ...(san.length > 0 ? [new x509.SubjectAlternativeNameExtension(san)] : []),
                    new x509.ExtendedKeyUsageExtension([client ? clientAuth : serverAuth]),
                ],
            });
            return { certificate: pem(certificate), key: keyPem(own.privateKey) };
        },
    };
}

/** The authority and the certificate of the gateways. The authority's key is forgotten: nothing else is ever signed with it. */
export async function makeCertificates(): Promise<NonNullable<State["certificates"]>> {
    const authority = await makeAuthority("CN=OVHcloud sandbox on this machine (simulated)");
    const names = ["127.0.0.1", "localhost"];
    return { ca: authority.certificate, ...(await authority.issue("CN=127.0.0.1", { names })) };
}

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
    return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

function pem(certificate: x509.X509Certificate): string {
    return certificate.toString("pem") + "\n";
}

/** As Kubernetes wants the key of its service accounts: it knows no other form of one. */
function keyPem(key: webcrypto.CryptoKey): string {
    return KeyObject.from(key).export({ type: "sec1", format: "pem" }).toString();
}
