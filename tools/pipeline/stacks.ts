/** Files that no stack is made of: a change of them alone needs no preview. */
const noPart = [
    /\.md$/,
    /^(docs|test|bench|sandbox|plan|tools|machine|dashboards|access|policies|\.github|\.ci)\//,
    /^(LICENSE|renovate\.json|eslint\.config\.mjs|vitest\.config\.mts|\.editorconfig|\.gitignore|\.prettierignore|\.prettierrc\.json)$/,
];

/**
 * The stacks that a change of these files can change. A stack's own file changes that stack, the program all of them; a file that
 * nobody knows counts as a part of the program.
 * @param files paths from the root of the checkout
 * @param stacks those that there are
 */
export function changedStacks(files: string[], stacks: string[]): string[] {
    const own = (file: string): string | undefined => /^Pulumi\.([\w-]+)\.yaml$/.exec(file)?.[1];
    const ofProgram = files.some((file) => own(file) === undefined && !noPart.some((pattern) => pattern.test(file)));
    return stacks.filter((stack) => ofProgram || files.some((file) => own(file) === stack));
}
