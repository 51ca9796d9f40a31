import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { overlay } from "../../src/settings/defaults";
import { cidrFault, durationSeconds, ipv4Range, nearest } from "../../src/settings/formats";

it.each([
    ["15d", 15 * 86400],
    ["1h30m", 5400],
    ["1w2d", 9 * 86400],
    ["500ms", 0.5],
    ["15", undefined],
    ["", undefined],
    ["0s", undefined],
    ["1.5h", undefined],
    ["30m1h", undefined],
    ["-1s", undefined],
])("durationSeconds(%j) is %j", (text, seconds) => {
    expect(durationSeconds(text)).toBe(seconds);
});

describe("cidrFault", () => {
    it.each(["0.0.0.0/0", "198.51.100.7/32", "10.0.0.0/8", "2001:db8::/32", "::1/128"])("%s is fine", (cidr) => {
        expect(cidrFault(cidr)).toBeUndefined();
    });

    it.each([
        "",
        "/24",
        "1.2.3/24",
        "1.2.3.4/33",
        "1.2.3.4/-1",
        "1.2.3.4/24/8",
        "2001:db8::/129",
        "host/24",
        "1.2.3.4/x",
    ])("%j is none", (cidr) => {
        expect(cidrFault(cidr)).toMatch(/^give an address range/);
    });

    it("names the range that an address is in, which is fine then", () => {
        const octet = fc.integer({ min: 0, max: 255 });
        fc.assert(
            fc.property(fc.tuple(octet, octet, octet, octet), fc.integer({ min: 0, max: 32 }), (address, bits) => {
                const cidr = `${address.join(".")}/${bits}`;
                const range = ipv4Range(cidr)!;
                expect(range.last - range.first).toBe(2 ** (32 - bits) - 1);
                const fault = cidrFault(cidr);
                if (!fault) return;
                const [, proposed] = /"(.*)"/.exec(fault)!;
                expect(cidrFault(proposed)).toBeUndefined();
                expect(ipv4Range(proposed)).toEqual(range);
            }),
        );
    });
});

it.each([
    ["modles", ["models", "cluster"], "models"],
    ["Replicas", ["replicas", "region"], "replicas"],
    ["maximum", ["min", "max"], undefined],
    ["x", ["y"], undefined],
    ["allowedSource", ["access", "allowedSources"], "allowedSources"],
])("nearest(%j) of %j is %j", (name, known, expected) => {
    expect(nearest(name, known)).toBe(expected);
});

describe("overlay", () => {
    const json = fc.jsonValue({ maxDepth: 3 });

    it("keeps what is not named, and changes neither argument", () => {
        const base = { a: { b: 1, c: [1, 2] }, d: "x" };
        const over = { a: { b: 2 }, e: null };
        const copies = structuredClone([base, over]);
        expect(overlay(base, over)).toEqual({ a: { b: 2, c: [1, 2] }, d: "x" });
        expect([base, over]).toEqual(copies);
    });

    it("of anything on itself changes nothing but nulls", () => {
        fc.assert(
            fc.property(json, (value) => {
                const once = overlay(value, value);
                expect(overlay(once, once)).toEqual(once);
            }),
        );
    });

    it("does not reach into prototypes", () => {
        const over = JSON.parse('{"__proto__": {"polluted": true}}') as unknown;
        const merged = overlay({ a: 1 }, over) as Record<string, unknown>;
        expect(merged.polluted).toBeUndefined();
        expect(Object.keys(merged)).toContain("__proto__");
        expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    });
});
