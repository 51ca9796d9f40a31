/** How the platform writes an app's fields, to see later whether somebody changed one. */
import { shortHash } from "../values/hash";
import { entry } from "../values/json";
import type { AppInputs } from "./args";
import { liveEnv, ownLabels, type Field } from "./comparable";
import type { LiveApp } from "./live";

/**
 * A mark per field that can change, of how the platform writes it, to see later whether it was changed: comparing its
 * writing with its own is safe where comparing with ours would see differences of form. For that both must come from a GET
 * of the app by itself, since a list may write an app otherwise. The variables' values are left out: marks lie in the
 * state in clear.
 */
export function marksOf({ spec }: LiveApp): Record<string, string> {
    const { flavor, gpu, cpu } = spec.resources;
    const fields: Partial<Record<Field, unknown>> = {
        image: spec.image,
        flavor,
        gpu,
        cpu,
        command: spec.command,
        defaultHttpPort: spec.defaultHttpPort,
        grpcPort: spec.grpcPort,
        labels: ownLabels(spec.labels),
        envVars: (spec.envVars ?? []).map(({ name }) => name).sort(),
        livenessProbe: spec.livenessProbe,
        readinessProbe: spec.probe,
        scalingStrategy: spec.scalingStrategy,
        deploymentStrategy: spec.deploymentStrategy,
    };
    return Object.fromEntries(Object.entries(fields).map(([field, value]) => [field, shortHash(value)]));
}

/** Whether the platform writes a field as it did when the marks were taken: then nobody has changed it. */
export function isMarked(field: Field, live: LiveApp, marks: Record<string, string>, inputs: AppInputs): boolean {
    if (marks[field] !== marksOf(live)[field]) return false;
    // Marks do not hold the variables' values.
    return field !== "envVars" || sameValues(live, inputs.envVars ?? {});
}

/** Whether no variable that we know is shown with another value. */
function sameValues({ spec }: LiveApp, known: Record<string, string>): boolean {
    return Object.entries(liveEnv(spec.envVars, known)).every(
        ([name, value]) => (entry(known, name) ?? value) === value,
    );
}
