import { adoptionLabelName, goingStates, type LiveApp } from "../app/live";
import { checkProject, collectFailures, type CheckFailure } from "../errors/check-failure";
import { hasUnknown } from "../values/unknown";
import type { TokenInputs } from "./args";

const roles = ["ai_training_read", "ai_training_operator"];

/** `regions`: those there are, if that is known. */
export function check(inputs: TokenInputs, regions?: string[]): CheckFailure[] {
    const { region, role, labelSelector: selector, overlapSeconds } = inputs;
    return collectFailures((fail) => {
        for (const property of ["name", "region"] as const) {
            if (!inputs[property]) fail(property, "is required: give a text that is not empty");
        }
        if (region && !hasUnknown(region) && regions && !regions.includes(region)) {
            fail("region", `"${region}" has no AI Deploy: there are ${regions.join(", ")}`);
        }
        checkProject(inputs.serviceName, fail);
        if (!hasUnknown(role) && !roles.includes(role)) fail("role", `is "${role}": use ${roles.join(" or ")}`);
        if (selector !== undefined && !hasUnknown(selector) && !/^[^=,\s]+=[^=,\s]+$/.test(selector)) {
            fail(
                "labelSelector",
                `is "${selector}": give key=value. Without it the token would open every app of the project`,
            );
        }
        if (overlapSeconds !== undefined && !hasUnknown(overlapSeconds) && !(overlapSeconds >= 0)) {
            fail("overlapSeconds", `is ${overlapSeconds}: give seconds from 0`);
        }
    });
}

/** What is wrong with a token's selector: it opens apps that are not its own. */
export interface SharedSelector {
    failure: CheckFailure;
    /** Whether to refuse it. A token that has it already is only warned of: it may be in use. */
    refused: boolean;
}

/** `appsWith`: the apps that a selector fits, `undefined` if that cannot be learnt now. */
export async function checkSelector(
    olds: Partial<TokenInputs> | undefined,
    inputs: TokenInputs,
    appsWith: (serviceName: string, labelSelector: string) => Promise<LiveApp[] | undefined>,
): Promise<SharedSelector | undefined> {
    const { serviceName, labelSelector, app } = inputs;
    if (!app || !labelSelector || hasUnknown(labelSelector) || !serviceName || hasUnknown(serviceName)) {
        return undefined;
    }
    const others = strangers(inputs, (await appsWith(serviceName, labelSelector)) ?? []);
    const refused = olds?.labelSelector !== labelSelector;
    // A token of before whose app's label is not known now: the app may well be ours.
    if (others.length === 0 || (!refused && hasUnknown(app))) return undefined;
    return { failure: sharedWith(inputs, others), refused };
}

/** Apps that the token would open beside the one that it is for. `carriers`: those that its selector fits. */
export function strangers({ app }: TokenInputs, carriers: LiveApp[]): LiveApp[] {
    if (typeof app !== "object") return [];
    const isOurs = ({ id, spec }: LiveApp): boolean => {
        const label = spec.labels?.[adoptionLabelName] ?? "";
        // The App resource adds a mark of its own. Not known yet means that no app of ours can have it yet.
        const marked = !hasUnknown(app.adoptionLabel) && label.startsWith(`${app.adoptionLabel}-`);
        return marked || label === app.adoptionLabel || id === app.adopt;
    };
    return carriers.filter((carrier) => !goingStates.includes(carrier.status.state) && !isOurs(carrier));
}

function sharedWith({ labelSelector = "", settingNames }: TokenInputs, others: LiveApp[]): CheckFailure {
    const [key, value] = labelSelector.split("=");
    const apps = others.map(({ id, spec }) => `${spec.name} (${id})`).join(", ");
    const step = /^[\w-]+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
    const setting = `${settingNames?.labels ?? "labels"}${step}`;
    const command = settingNames?.labels ? `: pulumi config set --path '${setting}' ${value}-2` : "";
    return {
        property: "labelSelector",
        reason:
            `"${labelSelector}" would open apps that are not of this stack too: ${apps}. ` +
            `Give ${setting} a value of its own, which only this stack's app has${command}` +
            (settingNames?.adopt && others.length === 1
                ? `. An app of this stack whose state was lost is taken over: pulumi config set --path ${settingNames.adopt} ${others[0].id}`
                : ""),
    };
}
