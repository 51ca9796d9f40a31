/** What an app was made as, in what no call can change, and so whether it can become what is wanted. */
import { shortHash } from "../values/hash";
import type { AppInputs } from "./args";
import { comparableInputs, comparableLive, immutable, isAsWanted, onlySettable, type Field } from "./comparable";
import { madeAsLabelName, type LiveApp } from "./live";

/**
 * Value of the label that tells what an app was made as: a hash of what no call can change, then a letter for each
 * property that it has been given and that no call can take away. An interrupted creation finds its app by it, whatever
 * form the platform has given to the fields since.
 */
export function madeAs(inputs: AppInputs): string {
    const wanted = comparableInputs(inputs);
    const given = onlySettable.filter((field) => wanted[field] !== undefined);
    return madeAsValue(shortHash(immutable.map((field) => wanted[field] ?? null)), given);
}

/** The same after the app was given more of what cannot be taken away; undefined for an app without the label. */
export function madeAsNow(live: LiveApp, inputs: AppInputs): string | undefined {
    const { hash, given } = readMadeAs(live);
    if (hash === undefined) return undefined;
    const wanted = comparableInputs(inputs);
    return madeAsValue(
        hash,
        onlySettable.filter((field) => given.includes(field) || wanted[field] !== undefined),
    );
}

/** Whether calls of the API can turn an app into what is wanted. */
export function canBecome(live: LiveApp, inputs: AppInputs): boolean {
    const wanted = comparableInputs(inputs);
    const { hash, given } = readMadeAs(live);
    if (hash !== undefined) {
        return madeAs(inputs).startsWith(hash) && given.every((field) => wanted[field] !== undefined);
    }
    return couldBecome(live, inputs);
}

/** The same by the fields alone, for an app that was made elsewhere. */
export function couldBecome(live: LiveApp, inputs: AppInputs): boolean {
    const actual = comparableLive(live, inputs);
    const wanted = comparableInputs(inputs);
    return (
        immutable.every((field) => isAsWanted(field, actual, wanted)) &&
        !(live.spec.livenessProbe && !inputs.livenessProbe) &&
        !(live.spec.probe && !inputs.readinessProbe) &&
        !(live.spec.grpcPort && !inputs.grpcPort)
    );
}

/** Whether an app was given a property that no call can take away; by the label alone, so never of one made elsewhere. */
export function madeAsHas(live: LiveApp, field: Field): boolean {
    return readMadeAs(live).given.includes(field);
}

const letters = Object.fromEntries(onlySettable.map((field) => [field, field[0]]));

function madeAsValue(hash: string, given: Field[]): string {
    return hash + given.map((field) => letters[field]).join("");
}

function readMadeAs({ spec }: LiveApp): { hash?: string; given: Field[] } {
    const [, hash, given = ""] = /^([0-9a-f]{8})([a-z]*)$/.exec(spec.labels?.[madeAsLabelName] ?? "") ?? [];
    return { hash, given: onlySettable.filter((field) => given.includes(letters[field])) };
}
