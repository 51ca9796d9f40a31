import { compare } from "bcryptjs";
import { createRequire } from "node:module";
import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { secret, startStandIn, temporaryFolder, unknown, type Plugin } from "./engine";

const idType = "random:index/randomId:RandomId";
const passwordType = "random:index/randomPassword:RandomPassword";
const stringType = "random:index/randomString:RandomString";

const dir = temporaryFolder();
let plugin: Plugin;

beforeAll(async () => {
    plugin = await startStandIn("random", dir);
    await plugin.configure({ version: "4.21.2" });
});
afterAll(async () => {
    await plugin.close();
    rmSync(dir, { recursive: true });
});

it("has the version that the SDK asks for, so that the engine does not warn", async () => {
    const { version } = createRequire(__filename)("@pulumi/random/package.json") as { version: string };
    expect(await plugin.version()).toBe(version);
});

describe("RandomId", () => {
    it("gives all encodings of the same bytes, with the prefix", async () => {
        const { id, state } = await plugin.create(idType, { byteLength: 4, prefix: "app-" });
        const bytes = Buffer.from(id, "base64url");
        expect(bytes).toHaveLength(4);
        expect(state).toEqual({
            id,
            byteLength: 4,
            prefix: "app-",
            b64Url: `app-${id}`,
            b64Std: `app-${bytes.toString("base64")}`,
            hex: `app-${bytes.toString("hex")}`,
            dec: `app-${bytes.readUInt32BE()}`,
        });
    });

    it("is another each time", async () => {
        const ids = await Promise.all(Array.from({ length: 20 }, () => plugin.create(idType, { byteLength: 8 })));
        expect(new Set(ids.map(({ id }) => id)).size).toBe(20);
    });

    it("shows in a preview what is not known yet, and nothing else as unknown", async () => {
        const { id, state } = await plugin.create(idType, { byteLength: 4 }, { preview: true });
        expect(id).toBe("");
        expect(state).toEqual({
            id: unknown,
            byteLength: 4,
            b64Std: unknown,
            b64Url: unknown,
            dec: unknown,
            hex: unknown,
        });
    });

    it("stays with the same inputs, and is replaced with others", async () => {
        const inputs = { byteLength: 4, keepers: { region: "GRA" } };
        const before = { inputs, ...(await plugin.create(idType, inputs)) };
        expect(await plugin.diff(idType, before, inputs)).toMatchObject({ changes: false, replaces: [] });
        const cases = { byteLength: 5, prefix: "x", keepers: { region: "BHS" } };
        for (const [name, value] of Object.entries(cases)) {
            const difference = await plugin.diff(idType, before, { ...inputs, [name]: value });
            expect(difference).toMatchObject({ changes: true, replaces: [name] });
        }
        const { keepers: _, ...without } = inputs;
        expect(await plugin.diff(idType, before, without)).toMatchObject({ replaces: ["keepers"] });
        const ignoring = await plugin.diff(idType, before, { ...inputs, byteLength: 5 }, ["byteLength"]);
        expect(ignoring.changes).toBe(false);
        const unknownKeeper = await plugin.diff(idType, before, { ...inputs, keepers: { region: unknown } });
        expect(unknownKeeper.replaces).toEqual(["keepers"]);
    });

    it("survives a refresh as it is, and can be taken over by its id alone", async () => {
        const inputs = { byteLength: 6 };
        const before = { inputs, ...(await plugin.create(idType, inputs)) };
        expect(await plugin.read(idType, before)).toEqual({ id: before.id, inputs, state: before.state });
        const adopted = await plugin.read(idType, { id: before.id, inputs: {}, state: {} });
        expect(adopted.state.hex).toBe(before.state.hex);
    });

    it("refuses a length that is none", async () => {
        const { failures } = await plugin.check(idType, { byteLength: 0 });
        expect(failures).toEqual([{ property: "byteLength", reason: expect.stringContaining("at least 1") }]);
    });
});

describe("RandomPassword", () => {
    it("is secret, has what is asked for, and its hash belongs to it", async () => {
        const inputs = { length: 24, minUpper: 3, minNumeric: 4, minSpecial: 2, overrideSpecial: "_-" };
        const { state } = await plugin.create(passwordType, inputs);
        const { value: password } = state.result as { value: string };
        expect(state.result).toEqual(secret(password));
        expect(state.bcryptHash).toEqual(secret(expect.stringMatching(/^\$2a\$10\$/)));
        expect(password).toMatch(/^[A-Za-z0-9_-]{24}$/);
        expect(password.match(/[A-Z]/g)!.length).toBeGreaterThanOrEqual(3);
        expect(password.match(/[0-9]/g)!.length).toBeGreaterThanOrEqual(4);
        expect(password.match(/[_-]/g)!.length).toBeGreaterThanOrEqual(2);
        expect(await compare(password, state.bcryptHash.value as string)).toBe(true);
    });

    it("uses only the kinds that are on", async () => {
        const inputs = { length: 200, special: false, upper: false, numeric: false };
        const { state } = await plugin.create(passwordType, inputs);
        expect(state.result.value).toMatch(/^[a-z]{200}$/);
    });

    it("hides in a preview that there will be a secret", async () => {
        const { state } = await plugin.create(passwordType, { length: 9 }, { preview: true });
        expect(state.result).toEqual(secret(unknown));
    });

    it("keeps its secret over a refresh, and no change is seen then", async () => {
        const inputs = { length: 16, special: false };
        const before = { inputs, ...(await plugin.create(passwordType, inputs)) };
        const refreshed = await plugin.read(passwordType, before);
        expect(refreshed).toEqual({ id: "none", inputs, state: before.state });
        expect(await plugin.diff(passwordType, refreshed, inputs)).toMatchObject({ changes: false });
        const longer = await plugin.diff(passwordType, refreshed, { ...inputs, length: 17 });
        expect(longer.replaces).toEqual(["length"]);
    });

    it("refuses what cannot be", async () => {
        const tooShort = await plugin.check(passwordType, { length: 4, minUpper: 5 });
        expect(tooShort.failures).toMatchObject([{ property: "length" }]);
        const nothing = await plugin.check(passwordType, {
            length: 8,
            lower: false,
            upper: false,
            numeric: false,
            special: false,
        });
        expect(nothing.failures).toHaveLength(1);
        expect((await plugin.check(passwordType, { length: unknown })).failures).toEqual([]);
    });
});

it("RandomString is no secret, and its own id", async () => {
    const { id, state } = await plugin.create(stringType, { length: 12, special: false });
    expect(state.result).toBe(id);
    expect(id).toMatch(/^[A-Za-z0-9]{12}$/);
});

it("names a type that is not simulated, and itself", async () => {
    await expect(plugin.check("random:index/randomPet:RandomPet", {})).rejects.toThrow(
        /random:index\/randomPet:RandomPet is not simulated.*stand-in.*random:index\/randomId:RandomId/,
    );
    await expect(plugin.invoke("random:index/getNothing:getNothing", {})).rejects.toThrow(/is not simulated/);
});

it("ends with the engine", async () => {
    const other = await startStandIn("random", dir);
    const ended = new Promise((resolve) => other.process.on("exit", resolve));
    other.process.stdin!.destroy();
    expect(await ended).toBe(0);
});
