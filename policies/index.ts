// The pack that `pulumi preview --policy-pack policies` asks: it sees every resource as it would be made, also what
// transforms.ts made of it. The rules are functions (rules.ts), and so is what they share with the program's own checks.
import {
    PolicyPack,
    type ReportViolation,
    type ResourceValidationArgs,
    type StackValidationArgs,
} from "@pulumi/policy";
import { allowedIn, exceptions } from "./allowed";
import { descriptions, openAdvisories, overspending, rules, type Resource, type Rule } from "./rules";

/** Of the resource, `urn:pulumi:STACK::...`. */
const stackOf = (urn: string): string => urn.split("::")[0].split(":")[2];

function resourceOf({ type, name, props, opts }: ResourceValidationArgs): Resource {
    return { type, name, props, protect: opts.protect };
}

const resourcePolicies = Object.entries<Rule>(rules).map(([name, rule]) => ({
    name,
    description: descriptions[name as keyof typeof rules],
    enforcementLevel: "mandatory" as const,
    validateResource: (args: ResourceValidationArgs, report: ReportViolation): void =>
        rule(resourceOf(args), allowedIn(stackOf(args.urn))).forEach((message) => report(message)),
}));

/** Both levels exist, because a policy's level is the same for every stack. */
const advisoryPolicies = (["refuse", "warn"] as const).map((how) => ({
    name: how === "refuse" ? "advisories" : "advisories-warned",
    description: descriptions.advisories,
    enforcementLevel: how === "refuse" ? ("mandatory" as const) : ("advisory" as const),
    validateResource: (args: ResourceValidationArgs, report: ReportViolation): void => {
        if (allowedIn(stackOf(args.urn)).advisories !== how) return;
        const today = new Date().toISOString().slice(0, 10);
        openAdvisories(resourceOf(args), exceptions, today).forEach((message) => report(message));
    },
}));

const spendPolicy = {
    name: "spend-limit",
    description: descriptions["spend-limit"],
    enforcementLevel: "mandatory" as const,
    validateStack: ({ resources }: StackValidationArgs, report: ReportViolation): void => {
        if (resources.length === 0) return;
        const plain = resources.map(({ type, name, props, opts }) => ({ type, name, props, protect: opts.protect }));
        overspending(plain, allowedIn(stackOf(resources[0].urn))).forEach((message) => report(message));
    },
};

new PolicyPack("ovhcloud-llm-serving", { policies: [...resourcePolicies, ...advisoryPolicies, spendPolicy] });
