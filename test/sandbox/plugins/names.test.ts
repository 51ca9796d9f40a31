import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { secret, startStandIn, temporaryFolder, unknown } from "./engine";
import type { TypeNames } from "./recordings/record-schemas";
import schemas from "./recordings/schemas.json";

/** A state is moved over to the real plugin, and back, only where both give everything the same name. */
const dir = temporaryFolder();
afterAll(() => rmSync(dir, { recursive: true }));

const plugins = ["ovh", "random", "openstack"] as const;

describe.each(plugins)("the %s stand-in has the real one's names:", (name) => {
    const types = Object.entries<TypeNames>(schemas).filter(([type]) => type.startsWith(`${name}:`));
    const starting = startStandIn(name, join(dir, name));
    afterAll(async () => (await starting).close());

    it.each(types)("%s", async (type, { inputs, required, outputs, secret: secrets }) => {
        const plugin = await starting;
        const all = Object.fromEntries([...inputs, "nonsense"].map((input) => [input, "x"]));
        const difference = await plugin.diff(type, { id: "x", inputs: {}, state: {} }, all);
        expect(difference.names).toEqual(inputs);

        const { failures } = await plugin.check(type, { serviceName: "x" });
        const missing = failures.flatMap(({ reason }) => /argument "(\w+)" is required/.exec(reason)?.[1] ?? []);
        const inTerraform = required.map((input) => input.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
        // The random plugin says it with another text.
        if (name !== "random") expect(missing.sort()).toEqual(inTerraform.sort());

        // Its previews show what is known alone, and what it has made its recordings show.
        if (name === "openstack") return;
        const { state } = await plugin.create(type, {}, { preview: true });
        const shown = Object.keys(state).filter((property) => !["id", "__meta"].includes(property));
        expect(outputs).toEqual(expect.arrayContaining(shown));
        const own = outputs.filter((output) => !inputs.includes(output));
        expect(shown).toEqual(expect.arrayContaining(own));
        const marked = shown.filter((property) => typeof state[property] === "object");
        expect(marked.sort()).toEqual(secrets);
        for (const property of marked) expect(state[property]).toEqual(secret(unknown));
    });
});
