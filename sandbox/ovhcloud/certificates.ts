import "reflect-metadata"; // which the next wants to find loaded
import * as x509 from "@peculiar/x509";
import { webcrypto } from "node:crypto";
import type { State } from "./store";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const days = (n: number): number => n * 24 * 3600 * 1000;

/*
 * The library is typed with the browser's lib, which this project does without: hence the casts of Node's webcrypto.
 */

/**
 * An authority of this sandbox alone and one certificate for 127.0.0.1 signed by it, both valid for a year.
 * The authority's key is forgotten at once: nothing else can ever be signed with it.
 */
export async function makeCertificates(): Promise<NonNullable<State["certificates"]>> {
    x509.cryptoProvider.set(webcrypto as never);
    const authorityKeys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const serverKeys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const notBefore = new Date(Date.now() - days(1));
    const notAfter = new Date(Date.now() + days(365));
    const authority = await x509.X509CertificateGenerator.createSelfSigned({
        serialNumber: "01",
        name: "CN=OVHcloud sandbox on this machine (simulated)",
        notBefore,
        notAfter,
        keys: authorityKeys,
        signingAlgorithm: algorithm,
        extensions: [
            new x509.BasicConstraintsExtension(true, 0, true),
            new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
        ],
    });
    const server = await x509.X509CertificateGenerator.create({
        serialNumber: "02",
        subject: "CN=127.0.0.1",
        issuer: authority.subject,
        notBefore,
        notAfter,
        publicKey: serverKeys.publicKey as never,
        signingKey: authorityKeys.privateKey,
        signingAlgorithm: algorithm,
        extensions: [
            new x509.SubjectAlternativeNameExtension([
                { type: "ip", value: "127.0.0.1" },
                { type: "dns", value: "localhost" },
            ]),
            new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        ],
    });
    const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", serverKeys.privateKey)).toString("base64");
    return {
        ca: authority.toString("pem") + "\n",
        certificate: server.toString("pem") + "\n",
        key: `-----BEGIN PRIVATE KEY-----\n${key.match(/.{1,64}/g)!.join("\n")}\n-----END PRIVATE KEY-----\n`,
    };
}
