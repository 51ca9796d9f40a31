/** A setting that cannot be used: shown with a hint at the usage. */
export class UsageError extends Error {}
