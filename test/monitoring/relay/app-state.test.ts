import { expect, it } from "vitest";
import { parseReader } from "../../../src/monitoring/relay/app-state";

it("a credential is a client, or a key, by its parts", () => {
    expect(parseReader("EU.0123456789abcdef:made-up-secret")).toEqual({
        clientId: "EU.0123456789abcdef",
        clientSecret: "made-up-secret",
    });
    expect(parseReader("a-key:made-up-secret:a-consumer-key")).toEqual({
        applicationKey: "a-key",
        applicationSecret: "made-up-secret",
        consumerKey: "a-consumer-key",
    });
});

it.each(["", ":", "a:", ":b", "a:b:", "a::c", "a:b:c:d", "a-secret-alone"])('"%s" is none, and is not told', (text) => {
    const refused = "the app reader's credential is neither ID:SECRET nor KEY:SECRET:CONSUMER";
    expect(() => parseReader(text)).toThrow(new Error(refused));
});
