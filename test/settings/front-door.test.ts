import { beforeAll, describe, expect, it } from "vitest";
import { makeAuthority, type Certificate } from "../../sandbox/ovhcloud/certificates";
import { frontDoorWarnings } from "../../src/settings/checks/front-door";
import { faultsOf, parse, secretKeys } from "./config";

const clientKeys = { search: "made-up-key-of-search", chat: "made-up-key-of-the-chat" };
const door = (frontDoor: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
    models: { ministral: { frontDoor: { clients: ["search"], ...frontDoor } } },
    clientKeys,
    ...more,
});
const at = (key: string) => `models.ministral.frontDoor.${key}`;

describe("a front door", () => {
    it("is there only when it is asked for, and then for the cluster alone", () => {
        expect(parse({}).models.ministral.frontDoor).toBeUndefined();
        expect(parse(door({}), secretKeys).models.ministral.frontDoor).toEqual({
            clients: ["search"],
            requestsPerMinute: {},
            holdSeconds: 900,
            maxWaiting: 100,
            access: "internal",
            keepAddress: false,
            allowedSources: [],
        });
    });

    it.each<[string, Record<string, unknown>, string, RegExp]>([
        ["nobody is let in", door({ clients: [] }), at("clients"), /name who may ask/],
        ["a consumer twice", door({ clients: ["search", "search"] }), at("clients[1]"), /once/],
        [
            "one without a key",
            door({ clients: ["search", "mail"] }),
            "clientKeys.mail",
            /^give its key: openssl rand -hex 24 \| pulumi config set --secret --path clientKeys\.mail$/,
        ],
        ["no keys at all", door({}, { clientKeys: undefined }), "clientKeys.search", /give its key/],
        ["a key that is guessed", door({}, { clientKeys: { search: "secret" } }), "clientKeys.search", /16 to 256/],
        [
            "two with one key",
            door({}, { clientKeys: { search: clientKeys.search, chat: clientKeys.search } }),
            "clientKeys.chat",
            /has the key of search.*openssl rand -hex 24 \| pulumi config set/,
        ],
        [
            "a limit of a stranger",
            door({ requestsPerMinute: { mail: 5 } }),
            at("requestsPerMinute.mail"),
            /config rm --path/,
        ],
        ["a limit of none", door({ requestsPerMinute: { search: 0 } }), at("requestsPerMinute.search"), /at least 1/],
        ["a wait of a day", door({ holdSeconds: 86400 }), at("holdSeconds"), /at most 3600/],
        ["a public door for nobody", door({ access: "loadBalancer" }), at("allowedSources"), /who may reach it/],
        [
            "a key without a certificate",
            door({}, { frontDoorTlsKey: pemKey() }),
            "frontDoorTlsKey",
            /pulumi config rm frontDoorTlsKey/,
        ],
    ])("%s: refused by the key as one types it", (_what, config, key, fix) => {
        expect(faultsOf(config, secretKeys)).toEqual([
            expect.objectContaining({ key, fix: expect.stringMatching(fix) as string }),
        ]);
    });

    it("no key is taken in plain text, or shown", () => {
        const faults = faultsOf(
            door({}),
            secretKeys.filter((key) => key !== "clientKeys"),
        );
        expect(faults.map(({ key, found }) => [key, found])).toEqual([
            ["clientKeys.search", "stored in plain text"],
            ["clientKeys.chat", "stored in plain text"],
        ]);
        const wrong = faultsOf(door({}, { clientKeys: { search: "not secret enough" } }), secretKeys);
        expect(JSON.stringify(wrong)).not.toContain("not secret enough");
    });
});

function pemKey(): string {
    return "-----BEGIN PRIVATE KEY-----\nmade up\n-----END PRIVATE KEY-----\n";
}

describe("its certificate", () => {
    let own: Certificate;
    let other: Certificate;
    beforeAll(async () => {
        const authority = await makeAuthority("CN=an authority of this test");
        own = await authority.issue("CN=chat.example.org", { names: ["chat.example.org"] });
        other = await authority.issue("CN=other.example.org", { names: ["other.example.org"] });
    });
    const secured = (certificate: string, frontDoorTlsKey?: string) =>
        door({ access: "loadBalancer", allowedSources: ["198.51.100.0/24"], certificate }, { frontDoorTlsKey });

    it("goes with its key, and no other", () => {
        expect(faultsOf(secured(own.certificate, own.key), secretKeys)).toEqual([]);
        const fault = (key?: string) => faultsOf(secured(own.certificate, key), secretKeys).map((one) => one.key);
        expect(fault(other.key)).toEqual(["frontDoorTlsKey"]);
        expect(fault()).toEqual(["frontDoorTlsKey"]);
        const noPem = "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n";
        expect(faultsOf(secured(noPem, own.key), secretKeys)).toEqual([
            expect.objectContaining({
                key: at("certificate"),
                found: expect.stringMatching(/no certificate/) as string,
            }),
        ]);
    });

    it("is missed on a public door, and its end is told of before", () => {
        const warnings = (certificate?: string, now = new Date()) => {
            const config = certificate ? secured(certificate, own.key) : secured("", undefined);
            if (!certificate) delete (config.models.ministral.frontDoor as Record<string, unknown>).certificate;
            return frontDoorWarnings("ministral", parse(config, secretKeys).models.ministral, now);
        };
        expect(warnings()).toEqual([expect.stringMatching(/without TLS/)]);
        expect(warnings(own.certificate)).toEqual([]);
        const late = new Date(Date.now() + 360 * 86_400_000);
        expect(warnings(own.certificate, late)).toEqual([expect.stringMatching(/ends on/)]);
    });
});
