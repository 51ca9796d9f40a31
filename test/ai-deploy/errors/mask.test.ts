import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { mask } from "../../../packages/ai-deploy/src/errors/mask";
import { explain } from "../../../packages/ai-deploy/src/errors/explain";
import { ApiError } from "../../../packages/ai-deploy/src/errors/request-errors";

const secret = `hf_"quoted"\\and/slashed&<é\u0007'`;

describe("a secret is masked", () => {
    it.each<[string, (text: string) => string]>([
        ["as it is", (text) => text],
        ["in JSON", (text) => JSON.stringify({ text })],
        ["in JSON within JSON", (text) => JSON.stringify({ text: JSON.stringify({ text }) })],
        ["in JSON that escapes slashes", (text) => JSON.stringify({ text }).replaceAll("/", "\\/")],
        [
            "in JSON of ASCII",
            (text) =>
                JSON.stringify({ text }).replace(
                    /[^ -~]|[<>&']/g,
                    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
                ),
        ],
        ["in a URL", (text) => `https://x/?token=${encodeURIComponent(text)}`],
        ["in a URL in small letters", (text) => encodeURIComponent(text).replace(/%../g, (code) => code.toLowerCase())],
        ["in a form", (text) => new URLSearchParams({ text }).toString()],
        ["in Base64", (text) => Buffer.from(text).toString("base64")],
        [
            "in HTML",
            (text) =>
                text.replace(
                    /[&<>"']/g,
                    (c) => `&${{ "&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "#39" }[c]};`,
                ),
        ],
    ])("%s", (_form, write) => {
        const text = write(secret);
        expect(mask(`before ${text} after`, [secret])).toContain("[secret]");
        expect(mask(`before ${text} after`, [secret])).not.toContain("quoted");
        expect(mask(`before ${text} after`, [secret])).toMatch(/^before .* after$/s);
    });

    it("line by line, as a log repeats it", () => {
        const key = "-----BEGIN KEY-----\nfirst-line-of-it\nsecond-line-of-it\n";
        expect(mask("2026 first-line-of-it\n2026 second-line-of-it", [key])).toBe("2026 [secret]\n2026 [secret]");
    });

    it("before the text is cut, wherever the secret lies", () => {
        for (let before = 380; before < 520; before++) {
            const said = `${"x".repeat(before)}${secret}`;
            const told = explain(new ApiError("GET /x", 400, said, undefined), "doing", [secret]).message;
            expect(told).not.toContain("hf_");
        }
    });

    it("in any text, whatever it is", () => {
        fc.assert(
            fc.property(fc.string({ minLength: 6, unit: "binary" }), fc.string(), (one, around) => {
                fc.pre(!around.includes(one) && !"[secret]".includes(one));
                const written = JSON.stringify({ [around]: one });
                return !mask(written, [one]).includes(JSON.stringify(one).slice(1, -1));
            }),
        );
    });
});
