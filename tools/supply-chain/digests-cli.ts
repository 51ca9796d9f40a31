import { resolve } from "node:path";
import { table } from "../../machine/terminal";
import { pulumi, project } from "../stack";
import { namedImages, resolveDigest, type NamedImage, type Resolved } from "./digests";

/**
 * `npm run -s supply-chain -- digests`: what the registries say of these images, or of all that the checkout names. `pin`: sets
 * those of the stacks' models. Resolves with the exit code.
 */
export async function printDigests(
    images: string[],
    pin: boolean,
    folder = resolve(__dirname, "../.."),
): Promise<number> {
    const named: NamedImage[] =
        images.length > 0 ? images.map((image) => ({ image, place: { file: "" } })) : namedImages(folder);
    const known = new Map<string, Promise<Resolved | Error>>();
    for (const { image } of named) {
        known.set(image, known.get(image) ?? resolveDigest(image).catch((error: Error) => error));
    }
    const rows: string[][] = [["image", "digest", ""]];
    const found: { named: NamedImage; resolved: Resolved }[] = [];
    for (const [image, asked] of known) {
        const answer = await asked;
        if (answer instanceof Error) rows.push([image, "", answer.message]);
        else rows.push([image.split("@")[0], answer.digest, answer.state]);
        for (const one of named.filter((other) => other.image === image)) {
            if (!(answer instanceof Error)) found.push({ named: one, resolved: answer });
        }
    }
    console.log(table(rows));
    for (const { named: one, resolved } of found.filter((other) => other.resolved.state === "not pinned")) {
        if (!("stack" in one.place)) continue;
        const { stack, model } = one.place;
        const path = `${project}:models.${model}.image`;
        console.log(`pulumi config set --stack ${stack} --path ${path} ${resolved.pinned}`);
        if (pin) await pulumi(["config", "set", "--path", path, resolved.pinned], stack);
    }
    if (found.length < named.length) return 2;
    return found.some(({ resolved }) => resolved.state === "moved") ? 1 : 0;
}
