/** Files that no stack is made of: a change of them alone needs no preview. */
const noPart = [
    /\.md$/,
    /^(docs|test|bench|sandbox|plan|tools|machine|dashboards|access|policies|\.github|\.ci)\//,
    /^(LICENSE|renovate\.json|eslint\.config\.mjs|vitest\.config\.mts|\.editorconfig|\.gitignore|\.prettierignore|\.prettierrc\.json)$/,
];

/** The stack of a file of stack config; names may have dots. */
const stackOf = (file: string): string | undefined => /^Pulumi\.([\w.-]+)\.yaml$/.exec(file)?.[1];

/** The stacks whose config is among these files, sorted; the sandbox is none that anybody is billed for. */
export function stacksIn(files: string[]): string[] {
    const stacks = files.flatMap((file) => stackOf(file) ?? []);
    return [...new Set(stacks)].filter((stack) => stack !== "sandbox").sort();
}

/**
 * The stacks that a change of these files can change. A stack's own file changes that stack, the program all of them; a file that
 * nobody knows counts as a part of the program.
 * @param files paths from the root of the checkout
 * @param stacks those that there are
 */
export function changedStacks(files: string[], stacks: string[]): string[] {
    const ofProgram = files.some(
        (file) => stackOf(file) === undefined && !noPart.some((pattern) => pattern.test(file)),
    );
    return stacks.filter((stack) => ofProgram || files.some((file) => stackOf(file) === stack));
}

/** The stacks whose config is gone with this change: what they have at OVHcloud is not, and is billed. */
export function deletedStacks(files: string[], stacks: string[]): string[] {
    return stacksIn(files).filter((stack) => !stacks.includes(stack));
}
