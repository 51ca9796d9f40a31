import { describe, expect, it } from "vitest";
import { urlTarget } from "../../../tools/loadtest/target";

describe("an address in place of a stack", () => {
    it.each([
        ["https://host.example.org", "https://host.example.org/v1"],
        ["https://host.example.org/v1/", "https://host.example.org/v1"],
        ["http://127.0.0.1:8000/proxy", "http://127.0.0.1:8000/proxy/v1"],
    ])("%s is %s", (url, baseUrl) => {
        expect(urlTarget(url, undefined, undefined).baseUrl).toBe(baseUrl);
    });

    it.each([
        ["host/v1", "--url host/v1 is not a URL"],
        ["localhost:8000/v1", "--url localhost:8000/v1: begin it with https:// or http://"],
    ])("%s is refused", (url, message) => {
        expect(() => urlTarget(url, undefined, undefined)).toThrow(message);
    });

    it.each(["https://me:made-up-password@host/v1", "https://host/v1?key=made-up-password"])(
        "with what would be left out, or would be a secret in the report, is refused and not shown",
        (url) => {
            expect(() => urlTarget(url, undefined, undefined)).toThrow(
                /^--url: leave out what is before @ and after \?; the token is taken from OPENAI_API_KEY$/,
            );
        },
    );
});
